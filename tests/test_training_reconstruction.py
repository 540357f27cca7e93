"""Auto-encoders in training: what they are compared with, what a frozen front costs, what fine-tuning runs after."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, data, models, nn, ops, optim
from nanoemo.training.reconstruction import Cascade, Reconstructor


def cascade_of(rng, device="cpu", frozen=True):
    """A front with all that has state or chance in it, behind it a small auto-encoder; and batches of noise."""
    nanoemo.manual_seed(0)
    front = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(4, 48), nn.Sigmoid(), nn.Reshape(4, 4, 3))
    model = Cascade(3, extractor=front, encoder=encoder, decoder=decoder).to(device)
    if frozen:
        front.freeze()
    noise = data.ImageSet(rng.integers(0, 256, (12, 6, 6, 1), dtype=np.uint8), np.zeros(12, int), ("noise",))
    return model, data.DataLoader(noise, 4, transform=data.Scale())


def reconstructor(model, loader):
    return Reconstructor(model, optim.Adam(model.parameters(), lr=0.01), ops.binary_cross_entropy, loader, loader)


def changed(module, before):
    return {name for name, value in module.state_dict().items() if not np.array_equal(value, before[name])}


def test_a_frozen_front_keeps_weights_and_running_statistics(rng, device):
    model, loader = cascade_of(rng, device)
    before = model.state_dict()
    history = reconstructor(model, loader).fit(epochs=3)
    assert {name.split(".")[0] for name in changed(model, before)} == {"encoder", "decoder"}
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(not part.training for _, part in model.extractor.named_modules())


def test_a_frozen_front_gives_the_same_in_training(rng, device):
    """Batch norm by its running statistics, no dropout."""
    model, loader = cascade_of(rng, device)
    model.train()
    images = Tensor(next(iter(loader))[0], device=device)
    one, other = model.extractor(images), model.extractor(images)
    assert not one.requires_grad
    assert np.array_equal(one.cpu().numpy(), other.cpu().numpy())
    assert np.array_equal(one.cpu().numpy(), model.eval().extractor(images).cpu().numpy())


def test_targets_are_the_features_in_their_range(rng, device):
    model, loader = cascade_of(rng, device)
    model.measure_range(loader)
    with nn.undisturbed(model):
        features = np.concatenate([model.extractor(Tensor(x, device=device)).cpu().numpy() for x, _ in loader])
    low, high = features.min(axis=(0, 1, 2)), features.max(axis=(0, 1, 2))
    np.testing.assert_array_equal(model.low.cpu().numpy(), low)
    np.testing.assert_array_equal(model.high.cpu().numpy(), high)
    targets = model.target(Tensor(features, device=device)).cpu().numpy()
    np.testing.assert_allclose(targets, (features - low) / (high - low), rtol=1e-6)
    assert targets.dtype == np.float32
    beyond = model.target(Tensor(2 * features + 9, device=device)).cpu().numpy()
    assert beyond.min() == beyond.max() == 1


def test_a_dead_feature_does_not_divide_by_zero(rng):
    model, loader = cascade_of(rng)
    model.extractor[1].gamma.data[1] = 0
    model.extractor[1].beta.data[1] = -1
    model.measure_range(loader)
    assert (model.low.numpy()[1], model.high.numpy()[1]) == (0, 1)


def test_stopped_while_measuring_the_range_stays(rng):
    model, loader = cascade_of(rng)
    model.measure_range(loader, stop=True)
    assert model.high.numpy().tolist() == [1, 1, 1]


def test_a_front_that_learns_runs_after_what_it_was(rng, device):
    model, loader = cascade_of(rng, device, frozen=False)
    model.measure_range(loader)
    images = Tensor(next(iter(loader))[0], device=device)
    trainer = reconstructor(model, loader)
    before = model.eval().state_dict()
    target = trainer.reconstruct(images)[0].cpu().numpy()
    trainer.fit(epochs=2)
    assert {"extractor.0.weight", "extractor.1.running_mean"} <= changed(model, before)
    model.eval()
    np.testing.assert_array_equal(trainer.reconstruct(images)[0].cpu().numpy(), target)


def test_without_a_front_images_are_made_again(rng):
    parts = dict(models.build("series.conv_ae", input_shape=(8, 8, 1)).children())
    model = Cascade(1, **parts)
    images = Tensor(rng.random((2, 8, 8, 1), dtype=np.float32))
    trainer = Reconstructor(model, optim.Adam(model.parameters()), ops.binary_cross_entropy,
                            data.DataLoader(data.drawn_faces(2), 2))
    target, reconstruction = trainer.reconstruct(images)
    assert np.array_equal(target.numpy(), images.numpy()) and reconstruction.shape == images.shape


@pytest.mark.parametrize("frozen", [True, False])
def test_a_resumed_reconstructor_ends_with_the_same_bits(rng, frozen):
    def make():
        model, loader = cascade_of(np.random.default_rng(0), frozen=frozen)
        return reconstructor(model, loader)

    whole = make()
    whole.fit(epochs=4)
    first, second = make(), make()
    first.fit(epochs=2)
    second.restore(*first.state())
    second.fit(epochs=4)
    for name, value in whole.model.state_dict().items():
        assert np.array_equal(value, second.model.state_dict()[name]), name
