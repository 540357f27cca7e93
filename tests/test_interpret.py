"""Looking into networks: each quantity against its plain definition."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, interpret, models, nn, no_grad
from nanoemo.interpret import Goal
from nanoemo.interpret.dream import roughness_gradient
from nanoemo.interpret.layers import constant


class TwoInputs(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 3, 3)
        self.relu = nn.ReLU()
        self.dense = nn.Linear(3 * 16 + 2, 4)
        self.idle = nn.ReLU()

    def forward(self, images, extra):
        return self.dense(nanoemo.ops.concat([self.relu(self.conv(images)).reshape(len(images), -1), extra]))


def network(dtype="float64", device="cpu"):
    """Two inputs are what can go wrong most; dropout and batch norm are what `eval` is for."""
    nanoemo.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.Tanh(), nn.MaxPool2d(2),
                         nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
                         nn.Linear(20, 3)).to(device, np.dtype(dtype))


@pytest.fixture
def images(rng):
    return rng.normal(size=(3, 8, 8, 2))


class OneReluTwice(nn.Module):
    def __init__(self):
        nanoemo.manual_seed(3)
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 5, 3)
        self.act, self.pool, self.dense = nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4 * 4, 3)
        self.to(dtype="float64")

    def forward(self, x):
        return self.dense(self.pool(self.act(self.second(self.act(self.first(x))))))


def test_a_layer_that_runs_twice_has_two_outputs(images):
    model = OneReluTwice()
    assert interpret.map_layers(model, images) == ["act:1", "act:2"]
    found = interpret.outputs_of(model, images, ["act:1", "act:2", "act"])
    first = np.maximum(interpret.outputs_of(model, images, ["first"])["first"], 0)
    np.testing.assert_array_equal(found["act:1"], first)
    assert found["act:2"].shape == (3, 4, 4, 5)
    np.testing.assert_array_equal(found["act"], found["act:2"])
    for layer, message in (("act:3", "layer 'act:3' does not run so often when the model does"),
                           ("act:0", "expected the number of a run behind the colon, as in 'act:1'")):
        with pytest.raises(ValueError, match=message):
            interpret.outputs_of(model, images, [layer])


@pytest.mark.parametrize("layer, size", [("act", 4), ("act:2", 4), ("act:1", 6)])
def test_grad_cam_of_a_layer_that_runs_twice(images, layer, size):
    model = OneReluTwice()
    same = nn.Sequential(model.first, nn.ReLU(), model.second, nn.ReLU(), model.pool, model.dense)
    found = interpret.grad_cam(model, images, [0, 1, 2], layer)
    assert found.shape == (3, size, size) and found.any()
    np.testing.assert_allclose(found, interpret.grad_cam(same, images, [0, 1, 2], "1" if size == 6 else "3"), rtol=1e-12)


def test_grad_cam_of_a_layer_that_the_scores_do_not_hang_on(images):
    class Beside(OneReluTwice):
        def forward(self, x):
            self.act(self.second(self.first(x)))
            return self.dense(self.pool(self.second(self.first(x))))

    with pytest.raises(ValueError, match="the scores do not depend on layer 'act'"):
        interpret.grad_cam(Beside(), images, [0, 1, 2], "act")


def scores_of(model, images):
    model.eval()
    with no_grad():
        scores = model(Tensor(images, device=model[0].weight.device)).cpu().numpy()
    model.train()
    return scores


def test_saliency_is_the_steepest_change(images, device):
    """Against central differences of the score, for every pixel of every channel."""
    model, targets, step = network(device=device), [2, 0, 1], 1e-6
    found = interpret.saliency(model, images, targets)
    slopes = np.zeros_like(images)
    for index in np.ndindex(images.shape[1:]):
        change = np.zeros(images.shape[1:])
        change[index] = step
        both = [scores_of(model, images + sign * change)[np.arange(3), targets] for sign in (1, -1)]
        slopes[(slice(None), *index)] = (both[0] - both[1]) / (2 * step)
    assert found.shape == (3, 8, 8)
    np.testing.assert_allclose(found, np.abs(slopes).max(axis=-1), rtol=1e-5, atol=1e-7)


def test_grad_cam_is_its_definition(images, device):
    """Weights by central differences of the score when a whole map is raised by a little at one place after another."""
    model, targets, step = network(device=device), [2, 0, 1], 1e-6
    maps = interpret.outputs_of(model, images, ["5"])["5"]
    rest = nn.Sequential(*list(model)[6:]).eval()
    weights = np.zeros((3, 5))
    for index in np.ndindex(maps.shape[1:]):
        change = np.zeros(maps.shape[1:])
        change[index] = step
        with no_grad():
            up, down = (rest(Tensor(maps + sign * change, device=device)).cpu().numpy()[np.arange(3), targets]
                        for sign in (1, -1))
        weights[:, index[-1]] += (up - down) / (2 * step) / (maps.shape[1] * maps.shape[2])
    expected = np.zeros((3, 2, 2))
    for n, i, j in np.ndindex(3, 2, 2):
        expected[n, i, j] = max(0.0, sum(weights[n, k] * maps[n, i, j, k] for k in range(5)))
    found = interpret.grad_cam(model, images, targets, "5")
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert found.max() > 0


def test_outputs_and_sparsity(images, device):
    model = network(device=device)
    found = interpret.outputs_of(model, images, ["5", "2"])
    assert list(found) == ["5", "2"]
    assert found["2"].shape == (3, 8, 8, 4) and found["5"].shape == (3, 2, 2, 5)
    zeros = sum(1 for value in found["5"].ravel().tolist() if value == 0.0)
    assert interpret.sparsity(found["5"]) == zeros / found["5"].size and 0 < zeros < found["5"].size
    assert interpret.map_layers(model, images) == ["2", "5"]


def test_probabilities(images):
    model = network()
    exponentials = np.exp(scores_of(model, images))
    np.testing.assert_allclose(interpret.probabilities(model, images), exponentials / exponentials.sum(1, keepdims=True))


@pytest.mark.parametrize("goal", [Goal(label=1), Goal(layer="5"), Goal(layer="5", unit=2), Goal(layer="8", unit=0)])
def test_a_dream_reaches_its_goal(goal, rng, device):
    model = network("float32", device)
    start = rng.random((2, 8, 8, 2), dtype=np.float32)
    low = np.full((8, 8, 2), -0.25, np.float32)
    found = interpret.dream(model, start, goal, low, 1.5, steps=30)
    assert found.dtype == np.float32 and found.shape == start.shape
    assert found.min() >= -0.25 and found.max() <= 1.5
    assert (goal.values(model, found) > goal.values(model, start) + 1e-3).all()


def test_the_values_of_a_goal(images):
    model = network()
    maps = interpret.outputs_of(model, images, ["5"])["5"]
    np.testing.assert_allclose(Goal(label=2).values(model, images), scores_of(model, images)[:, 2])
    np.testing.assert_allclose(Goal(layer="5").values(model, images), (maps ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(Goal(layer="5", unit=3).values(model, images), maps[..., 3].mean(axis=(1, 2)))


def test_a_dream_of_one_image_is_the_same_in_a_batch(rng):
    model, start = network("float32"), rng.random((3, 8, 8, 2), dtype=np.float32)
    together = interpret.dream(model, start, Goal(label=0), steps=5)
    alone = interpret.dream(model, start[1:2], Goal(label=0), steps=5)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_a_dream_goes_as_far_in_any_range(rng):
    """Of bytes as of shares: a step is a share of what pixels may be."""
    class Scaled(nn.Module):
        def __init__(self, network):
            self.network = network

        def forward(self, x):
            return self.network(x * (1 / 255))

    model, start = network("float32"), rng.random((1, 8, 8, 2), dtype=np.float32)
    shares = interpret.dream(model, start, Goal(label=1), steps=6)
    of_bytes = interpret.dream(Scaled(model), 255 * start, Goal(label=1), high=255, steps=6)
    np.testing.assert_allclose(of_bytes / 255, shares, atol=1e-4)


def test_a_dream_of_one_of_several_runs_of_a_layer(images):
    model = OneReluTwice()
    for name in ("act:1", "act:2", "act"):
        found = interpret.outputs_of(model, images, [name])[name]
        np.testing.assert_allclose(Goal(layer=name).values(model, images), np.square(found).mean(axis=(1, 2, 3)), rtol=1e-5)
    with pytest.raises(ValueError, match="layer 'act:3' does not run so often when the model does"):
        Goal(layer="act:3").values(model, images)


def test_the_gradient_of_roughness(images):
    def roughness(x):
        return (np.square(np.diff(x, axis=1)).sum() + np.square(np.diff(x, axis=2)).sum()) / 2

    found = roughness_gradient(images)
    for index in [(0, 0, 0, 0), (1, 7, 3, 1), (2, 4, 4, 0)]:
        change = np.zeros_like(images)
        change[index] = 1e-5
        slope = (roughness(images + change) - roughness(images - change)) / 2e-5
        assert abs(found[index] - slope) < 1e-6


def test_smoothness_makes_dreams_smoother(rng):
    def roughness(x):
        return np.square(np.diff(x, axis=1)).mean() + np.square(np.diff(x, axis=2)).mean()

    model, start = network("float32"), rng.random((1, 8, 8, 2), dtype=np.float32)
    rough, smooth = (interpret.dream(model, start, Goal(label=0), smoothness=weight) for weight in (0.0, 0.05))
    assert roughness(smooth) < 0.5 * roughness(rough)


@pytest.mark.parametrize("look", [
    lambda model, x: interpret.saliency(model, x, [0, 1, 2]),
    lambda model, x: interpret.grad_cam(model, x, [0, 1, 2], "5"),
    lambda model, x: interpret.outputs_of(model, x, ["5"]),
    lambda model, x: interpret.dream(model, x, Goal(label=0), -9, 9, steps=1),
])
def test_nobody_notices_that_somebody_looked(look, images):
    """Weights, running statistics, gradients, modes, the random state: all as before."""
    model = network("float32")
    model[4].freeze()
    model.train()
    before = model.state_dict()
    state = str(nanoemo.random.get_state())
    modes = [module.training for _, module in model.named_modules()]
    needs = [parameter.requires_grad for parameter in model.parameters()]
    look(model, images.astype(np.float32))
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert modes == [module.training for _, module in model.named_modules()]
    assert needs == [parameter.requires_grad for parameter in model.parameters()] and False in needs
    assert all(parameter.grad is None for parameter in model.parameters())
    assert str(nanoemo.random.get_state()) == state


def test_constant_puts_things_back_after_an_error():
    model = network()
    with pytest.raises(KeyError), constant(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        raise KeyError
    assert all(parameter.requires_grad for parameter in model.parameters()) and model.training


def test_models_of_two_inputs(rng):
    nanoemo.manual_seed(0)
    model = TwoInputs()
    inputs = rng.random((2, 6, 6, 1), dtype=np.float32), rng.random((2, 2), dtype=np.float32)
    assert interpret.saliency(model, inputs, [0, 3]).shape == (2, 6, 6)
    assert interpret.grad_cam(model, inputs, [0, 3], "relu").shape == (2, 4, 4)
    assert interpret.dream(model, inputs, Goal(label=1), steps=2).shape == (2, 6, 6, 1)
    assert interpret.probabilities(model, inputs).shape == (2, 4)
    with pytest.raises(ValueError, match="'idle' does not run"):
        interpret.outputs_of(model, inputs, ["idle"])
    with pytest.raises(ValueError, match="'idle' does not run"):
        interpret.grad_cam(model, inputs, [0, 3], "idle")
    with pytest.raises(ValueError, match="'idle' does not run"):
        Goal(layer="idle").values(model, inputs)


def test_auto_encoders(rng):
    nanoemo.manual_seed(0)
    model = models.build("series.conv_ae", input_shape=(16, 16, 1))
    x = rng.random((2, 16, 16, 1), dtype=np.float32)
    layer = interpret.map_layers(model, x)[-1]
    assert interpret.dream(model, x, Goal(layer=layer, unit=0), steps=2).shape == x.shape
    for look in (lambda: interpret.saliency(model, x, [0, 0]), lambda: interpret.probabilities(model, x),
                 lambda: interpret.grad_cam(model, x, [0, 0], layer), lambda: Goal(label=0).values(model, x)):
        with pytest.raises(ValueError, match="knows no classes"):
            look()


@pytest.mark.parametrize("look, message", [
    (lambda m, x: interpret.outputs_of(m, x, ["conv"]), r"no layer 'conv'; there are 0 \(Conv2d\), 1 \(BatchNorm2d\)"),
    (lambda m, x: interpret.grad_cam(m, x, [0, 1, 2], "8"), r"layer '8' gives \(3, 3\); expected maps"),
    (lambda m, x: interpret.saliency(m, x, [0, 1, 3]), r"3 classes from 0 to 2, got \[0, 1, 3\]"),
    (lambda m, x: interpret.saliency(m, x, [0]), r"3 classes from 0 to 2, got \[0\]"),
    (lambda m, x: interpret.map_layers(nn.Sequential(nn.Flatten(), nn.ReLU()), x), "no activation layer that gives maps"),
    (lambda m, x: Goal(label=3).values(m, x), "no class number 3; they run from 0 to 2"),
    (lambda m, x: Goal(layer="5", unit=5).values(m, x), "no unit of layer '5' number 5; they run from 0 to 4"),
    (lambda m, x: interpret.dream(m, x, Goal(label=0), smoothness=1.0), "smoothness is 1.0; expected a number from 0 to 0.25"),
    (lambda m, x: interpret.dream(m, x, Goal(label=0), octaves=0), "octaves is 0; expected a number from 1 to 10"),
    (lambda m, x: interpret.dream(m, 255 * abs(x), Goal(label=0)), r"images run from .* may be from 0 to 1; .*high=255.* by 255"),
    (lambda m, x: interpret.dream(m, x, Goal(label=0), np.full((8, 8, 2), -0.1), 9), r"run from -.* may be from -0.1 to 9"),
    (lambda m, x: interpret.saliency(m, x[..., 0], [0, 1, 2]), r"\(N, H, W, C\), got shape \(3, 8, 8\).*images\[..., None\]"),
    (lambda m, x: interpret.grad_cam(m, x[..., 0], [0, 1, 2], "5"), r"expected images \(N, H, W, C\), got shape \(3, 8, 8\)"),
    (lambda m, x: interpret.dream(m, x[0], Goal(label=0), -9, 9), r"expected images \(N, H, W, C\), got shape \(8, 8, 2\)"),
    (lambda m, x: Goal(), "of a class, of a layer"),
    (lambda m, x: Goal(label=1, layer="0"), "of a class, of a layer"),
    (lambda m, x: Goal(label=1, unit=0), "of a class, of a layer"),
])
def test_what_cannot_be_done(look, message, images):
    with pytest.raises(ValueError, match=message):
        look(network(), images)


def test_a_dream_begins_with_what_is_coarse(monkeypatch):
    from scipy import ndimage

    blurs, blur = [], ndimage.gaussian_filter
    monkeypatch.setattr(ndimage, "gaussian_filter", lambda image, sigma: blurs.append(sigma[1]) or blur(image, sigma))
    start = np.random.default_rng(0).random((1, 8, 8, 2), dtype=np.float32)
    interpret.dream(network("float32"), start, Goal(label=0), steps=6, octaves=3)
    assert blurs == [2, 2, 1, 1, 0.5, 0.5]
