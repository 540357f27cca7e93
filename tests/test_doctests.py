"""Every example in every docstring of the package and of its kernels."""
import doctest
import importlib
import pkgutil

import pytest

import nanoemo
from nanoemo import kernels

GPU_ONLY = "_cupy"       # twins that import CuPy; their examples are those of the NumPy files


def _module_names():
    yield "nanoemo"
    for module in pkgutil.walk_packages(nanoemo.__path__, "nanoemo."):
        if not module.name.endswith("__main__") and not module.name.startswith("nanoemo.kernels."):
            yield module.name
    for module in pkgutil.iter_modules(kernels.__path__, "nanoemo.kernels."):
        if not module.name.endswith(GPU_ONLY):
            yield module.name


@pytest.mark.parametrize("name", sorted(set(_module_names())))
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_the_walk_finds_kernels_and_models():
    names = set(_module_names())
    assert {"nanoemo.tensor", "nanoemo.kernels.conv", "nanoemo.models.njoku", "nanoemo.nn.module"} <= names
