"""Every registered model, on inputs as small as it takes: a plain and a captured training step on the card, as on the CPU."""
import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, models, nn, ops, optim

IMAGE = (8, 8, 1)
OTHERS = {"alizadeh.deep": (16, 16, 1), "alizadeh.hybrid_deep": (16, 16, 1), "alizadeh.conv5": (16, 16, 1),
          "alizadeh.conv6": (16, 16, 1), "chater.dcnn": (24, 24, 1), "njoku.cnn": (24, 24, 1),
          "chater.conv1d": (8, 1), "chater.lstm": (2, 1)}


def smallest(name):
    """The shape of each input."""
    shapes = nn.shapes_of_inputs(models.recipe(name).input_shape)
    return [OTHERS.get(name, IMAGE), *[(20,)] * (len(shapes) - 1)]


def two_steps(name, device):
    """The losses of two steps on one batch of three; the second is captured on the card.

    In float64, and not of two: batch norm makes much of the rounding of a few values that hardly differ.
    """
    nanoemo.manual_seed(5)
    recipe, shapes, rng = models.recipe(name), smallest(name), np.random.default_rng(5)
    model = models.build(name, input_shape=shapes[0] if len(shapes) == 1 else tuple(shapes)).train().to(device, np.float64)
    # Not Adam, which makes a whole step of a gradient that is 0 but for rounding.
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    batch = [Tensor(rng.random((3, *shape)), device=device) for shape in shapes]
    if recipe.num_classes is not None:
        batch.append(Tensor(np.array([0, 1, recipe.num_classes - 1]), device=device))

    def step(*batch):
        loss = (ops.mse_loss(model(batch[0]), batch[0]) if recipe.num_classes is None
                else ops.cross_entropy(model(*batch[:-1]), batch[-1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = nanoemo.capture(step)
    return [run(*batch).item() for _ in range(2)]


@pytest.mark.parametrize("name", models.names())
def test_a_captured_training_step(card, name):
    assert two_steps(name, "cuda") == pytest.approx(two_steps(name, "cpu"), rel=1e-9)
