"""nanoemo.set_default_device: where tensors begin, and that what was asked to be elsewhere stays there."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, gradcheck, nn, ops, optim
from training_runs import everything, make_trainer


@pytest.fixture(autouse=True)
def put_back():
    yield
    nanoemo.set_default_device("cpu")


@pytest.fixture
def on_default(device):
    nanoemo.set_default_device(device)
    return device


def test_what_is_made_is_on_it(on_default):
    made = [Tensor(1.0), Tensor([1.0]), Tensor(np.ones(2)), Tensor(np.float32(2)), nn.Parameter(np.ones(2)),
            *nn.Sequential(nn.Conv2d(1, 2, 3), nn.LSTM(2, 2), nn.BatchNorm1d(2)).parameters()]
    assert {tensor.device for tensor in made} == {on_default}


def test_a_program_in_numpy_arrays_runs_on_it(on_default, rng):
    """README's, with smaller images: nothing in it names a device."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    images, labels = Tensor(rng.uniform(0, 1, (6, 8, 8, 1)), dtype="float32"), np.arange(6) % 3
    losses = []
    for _ in range(3):
        loss = ops.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert loss.device == model[0].weight.grad.device == on_default
    assert losses[2] < losses[0]
    y = model(images) * np.float32(2) + np.ones(3, np.float32) - [1.0, 2.0, 3.0]
    y.backward(np.ones(y.shape, np.float32))
    assert y.device == on_default
    with pytest.raises(ValueError, match="label 9 in row 0 is not one of the 3 classes"):
        ops.cross_entropy(model(images), np.full(6, 9))
    model[4].bias.data = np.ones(3, np.float32)
    model[4].bias[...] = np.zeros(3, np.float32)
    assert model[4].bias.device == on_default
    hits = model(images).argmax(axis=1) == labels
    assert hits.device == on_default and 0 <= hits.sum().item() <= 6
    x = Tensor(rng.uniform(-1, 1, (2, 3)), requires_grad=True)
    assert gradcheck(lambda x: ops.tanh(x), [x]) and x.device == on_default


def test_what_was_asked_to_be_elsewhere_stays_there(card, rng):
    """A program on the CPU goes on while the default is the card."""
    nanoemo.set_default_device("cuda")
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to("cpu")
    x = Tensor(rng.uniform(0, 1, (5, 4)), dtype="float32", device="cpu", requires_grad=True)
    scores = model(x) * 2 + np.ones(3, np.float32) + [1.0, 0.0, 0.0]
    loss = ops.cross_entropy(scores, np.arange(5) % 3) + ops.mse_loss(scores, np.zeros((5, 3), np.float32))
    loss.backward()
    truths = [scores > 0, ~(scores > np.zeros(3, np.float32)), (scores > 0) & (scores < 1), scores.argmax(axis=1)]
    kept = [loss, x.grad, x.detach(), Tensor(x), x[0], model[0].weight.grad, *truths]
    assert {tensor.device for tensor in kept} == {"cpu"}
    leaf = Tensor(np.ones(2), requires_grad=True, device="cpu")
    (leaf * leaf).backward(np.ones(2))
    assert leaf.grad.device == "cpu" and gradcheck(lambda x: ops.tanh(x), [leaf])


@pytest.mark.parametrize("trains_on", ["cpu", "cuda"])
def test_training_wherever_the_default_is(card, trains_on):
    """The trainer goes by its model, and learns the same as without a default."""
    def trained():
        trainer = make_trainer()
        trainer.model.to(trains_on)
        trainer.fit(2)
        return everything(trainer)

    expected = trained()
    nanoemo.set_default_device("cuda")
    assert trained() == expected
