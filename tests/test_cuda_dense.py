"""dense_cupy.py and dense.cu against the definitions in dense.py."""
import numpy as np
import pytest

from nanoemo import backend
from twins import check_pair, same_numbers


@pytest.mark.parametrize("shape, outputs", [((1, 1), 1), ((3, 5), 7), ((2, 3, 4), 5), ((5,), 2), ((33, 2), 33), ((0, 3), 2)],
                         ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(card, rng, shape, outputs, bias):
    b = rng.normal(size=outputs) if bias else None
    check_pair("linear", rng.normal(size=shape), rng.normal(size=(shape[-1], outputs)), b)


def test_only_the_gradients_asked_for(card, rng):
    arrays = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    for needs in [(False, True, True), (True, False, True), (True, True, False)]:
        check_pair("linear", *arrays, needs=needs)


@pytest.mark.parametrize("rows, columns", [(1, 1), (255, 31), (256, 32), (257, 33), (2000, 3), (300_000, 2)], ids=str)
def test_column_sums(card, rng, rows, columns):
    from nanoemo.kernels.dense_cupy import column_sums
    x = rng.normal(size=(rows, columns))
    same_numbers("column_sums", lambda: [column_sums(backend.to_device(x, "cuda"))], [x.sum(axis=0)], np.float64, 1e-10)


def test_shapes_that_do_not_fit_are_refused_as_on_the_cpu(card):
    from nanoemo.kernels.dense_cupy import linear_forward
    x, w = (backend.to_device(np.ones(shape), "cuda") for shape in ((2, 3), (4, 5)))
    with pytest.raises(ValueError, match=r"linear: x has 3 features \(last axis of \(2, 3\)\) but w of shape \(4, 5\)"):
        linear_forward(x, w)
