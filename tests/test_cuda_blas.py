"""blas_cupy.py: the row-major products that the kernels are made of."""
from types import SimpleNamespace

import numpy as np
import pytest

from nanoemo import backend


def upload(array):
    return backend.to_device(np.ascontiguousarray(array), "cuda")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 5, 7), (1, 9, 4), (8, 1, 3), (6, 4, 1), (33, 17, 40)], ids=str)
@pytest.mark.parametrize("batch", [(), (1,), (3,)], ids=str)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)], ids=str)
def test_products(card, rng, dtype, sizes, batch, transposed):
    from nanoemo.kernels.blas_cupy import matmul
    n, k, m = sizes
    a, b = rng.normal(size=(*batch, n, k)).astype(dtype), rng.normal(size=(*batch, k, m)).astype(dtype)
    given = [upload(x.swapaxes(-1, -2) if turned else x) for x, turned in zip((a, b), transposed)]
    ways = dict(zip(("transpose_a", "transpose_b"), transposed))
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    y = matmul(*given, **ways)
    assert y.dtype == dtype
    np.testing.assert_allclose(backend.to_device(y, "cpu"), a @ b, rtol=tolerance, atol=tolerance)
    total = rng.normal(size=y.shape).astype(dtype)
    added = upload(total)
    assert matmul(*given, out=added, add=True, **ways) is added
    np.testing.assert_allclose(backend.to_device(added, "cpu"), total + a @ b, rtol=tolerance, atol=tolerance)


def test_products_follow_the_stream(card, rng):
    """cuBLAS forgets its workspace where the stream changes; the host's library refuses a product without one."""
    from nanoemo.kernels import blas_cupy
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 5))
    x, y = upload(a), upload(b)
    streams = [card.cuda.Stream(non_blocking=True), card.cuda.Stream.null, card.cuda.Stream(non_blocking=True)]
    card.cuda.Device().synchronize()
    for stream in streams:
        with stream:
            product = blas_cupy.matmul(x, y)
            assert blas_cupy._cublas.stream == stream.ptr
        stream.synchronize()
        np.testing.assert_allclose(backend.to_device(product, "cpu"), a @ b, rtol=1e-12)


def test_nothing_to_sum_gives_zeros(card):
    from nanoemo.kernels.blas_cupy import matmul
    y = matmul(upload(np.ones((2, 0))), upload(np.ones((0, 3))))
    assert backend.to_device(y, "cpu").tolist() == [[0, 0, 0]] * 2


def test_what_cublas_refuses_is_said(card, monkeypatch):
    from nanoemo.card_memory import CardMemoryError, out_of_memory_explained
    from nanoemo.kernels import blas_cupy
    a, cublas = upload(np.ones((1, 2, 2))), blas_cupy._ready()
    for status, error, message in ((13, blas_cupy.CublasError,
                                    r"cublasDgemmStridedBatched: execution failed \(cuBLAS status 13\)"),
                                   (3, CardMemoryError, "cublasDgemmStridedBatched: allocation failed")):
        monkeypatch.setattr(cublas, "functions", SimpleNamespace(cublasDgemmStridedBatched=lambda *_: status))
        with pytest.raises(error, match=message), out_of_memory_explained():
            blas_cupy.matmul(a, a)


def test_an_axis_too_long_for_an_int(card, monkeypatch):
    from nanoemo.kernels import blas_cupy
    monkeypatch.setattr(blas_cupy, "LARGEST_INT", 4)
    with pytest.raises(ValueError, match="an axis too long for cuBLAS; use a smaller batch"):
        blas_cupy.matmul(upload(np.ones((5, 2))), upload(np.ones((2, 3))))


def test_what_does_not_fit_is_refused(card):
    from nanoemo.kernels.blas_cupy import matmul
    a = upload(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"shapes \(2, 3\), \(2, 3\)"):
        matmul(a, a)
    with pytest.raises(ValueError, match="b is float32"):
        matmul(a, upload(np.ones((3, 2), np.float32)))
    with pytest.raises(ValueError, match="a, of shape .* is not contiguous"):
        matmul(a.T, a)
