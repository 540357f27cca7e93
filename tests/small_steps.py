"""A network small enough for its steps to be looked at, and batches for it."""
import numpy as np

from nanoemo import nn


def small_model():
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


def batches(rng, sizes):
    return [(rng.normal(size=(n, 6)).astype(np.float32), rng.integers(0, 3, n)) for n in sizes]
