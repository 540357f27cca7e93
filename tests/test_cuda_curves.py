"""A training gives the same curve on the card as on the CPU, but for rounding.

How far apart may two curves be that differ in rounding alone? 100 steps amplify what is rounded in the first of them, and
nobody knows beforehand how much. So it is measured: the CPU trains in float32 and in float64 from the same weights. What
lies between those two curves is what roundings of 2⁻²⁴ come to. The card's roundings are as large, in another order; so its
curve must lie as near to the float64 one, within a factor that allows for chance. In float64 all of it is smaller by 2⁻²⁹.
"""
import functools

import numpy as np
import pytest

import nanoemo
from nanoemo import nn, ops, optim
from nanoemo.data import DataLoader, drawn_faces
from nanoemo.data.imageset import ImageSet
from nanoemo.training import Trainer

CHANCE = 4
EPOCHS, BATCH, BATCHES = 25, 8, 4           # 100 steps

OPTIMIZERS = {"momentum": lambda params: optim.SGD(params, lr=0.02, momentum=0.9),
              "adam": lambda params: optim.Adam(params, lr=2e-3)}


def faces():
    """Drawn faces in 8 × 8."""
    drawn = drawn_faces(BATCH * BATCHES, seed=3)
    return ImageSet(drawn.images[:, ::6, ::6].copy(), drawn.labels, drawn.class_names)


@functools.cache
def curve(optimizer, device, dtype):
    """The mean loss of each epoch's steps and that of the validation after it, (epochs, 2)."""
    nanoemo.manual_seed(11)
    # No bias before batch norm: its gradient is 0 but for rounding, and Adam would make whole steps of that.
    model = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, stride=1),
                          nn.Conv2d(4, 6, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25),
                          nn.Linear(24, 7)).to(device, dtype=dtype)
    loader, validation = (DataLoader(faces(), size, shuffle=True, transform=lambda images, rng: (images / 255).astype(dtype))
                          for size in (BATCH, BATCH * BATCHES))
    trainer = Trainer(model, OPTIMIZERS[optimizer](model.parameters()), ops.cross_entropy, loader, validation)
    return np.array([(epoch["loss"], epoch["val_loss"]) for epoch in trainer.fit(EPOCHS)])


@pytest.mark.parametrize("optimizer, dtype", [("momentum", np.float32), ("momentum", np.float64), ("adam", np.float32)])
def test_curves_agree_within_rounding(card, optimizer, dtype):
    exact, rounded = (curve(optimizer, "cpu", precision) for precision in (np.float64, np.float32))
    assert exact[-1, 0] < 0.8 * exact[0, 0], "it learns nothing"
    rounding = np.abs(rounded - exact).max(axis=0) * (np.finfo(dtype).eps / np.finfo(np.float32).eps)
    last_place = np.spacing(exact.max())            # of the curves, which are float64 in any case
    assert (np.abs(curve(optimizer, "cuda", dtype) - exact).max(axis=0) <= CHANCE * rounding + last_place).all()
