"""nanoemo: a neural-network engine written to be read, and the emotion-recognition models of five papers.

    Tensor, no_grad, gradcheck      automatic differentiation (nanoemo.tensor)
    ops, nn, optim                  operations, layers, optimisers; kernels: what computes
    data, features, models          faces and voices, what is made of them, the papers' networks
    training, viz, recognition      training loop and run folders, figures, from a photograph to an emotion

>>> import nanoemo
>>> x = nanoemo.Tensor([3.0], requires_grad=True)
>>> (x * x).backward()
>>> x.grad
Tensor([6.])
"""
import importlib

from nanoemo import backend, kernels, models, nn, ops, optim, random
from nanoemo.backend import get_num_threads, set_default_device, set_num_threads
from nanoemo.capture import capture
from nanoemo.gradcheck import gradcheck
from nanoemo.modes import detect_anomaly, is_grad_enabled, no_grad
from nanoemo.random import manual_seed
from nanoemo.serialization import load_metadata, load_state, save_state
from nanoemo.summary import summary
from nanoemo.tensor import Tensor

__version__ = "0.1.0"
__all__ = ["Tensor", "backend", "capture", "detect_anomaly", "get_num_threads", "gradcheck", "is_grad_enabled", "kernels",
           "load_metadata", "load_state", "manual_seed", "models", "nn", "no_grad", "ops", "optim", "random",
           "save_state", "set_default_device", "set_num_threads", "summary"]


_on_demand = ("bench", "data", "features", "interpret", "recognition", "training", "viz")


def __getattr__(name):
    """What an engine's user need not load comes when it is asked for: `nanoemo.data`, `.training`, `.interpret` …"""
    if name in _on_demand:
        return importlib.import_module(f"nanoemo.{name}")
    raise AttributeError(f"module 'nanoemo' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_on_demand})        # so that the Tab key completes them
