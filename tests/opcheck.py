"""One call checks an operation: against PyTorch, against central differences, and for its precision."""
import math
from contextlib import contextmanager

import numpy as np
import pytest

from nanoemo import Tensor, gradcheck

SEED = 0


def random_arrays(shapes, low=-2.0, high=2.0, seed=SEED):
    """float64 arrays, uniform on (low, high)."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(low, high, shape) for shape in shapes]


def check_op(torch, device, shapes, ours, theirs, low=-2.0, high=2.0):
    """Compare ours(*tensors) with theirs(*torch tensors): shape, dtype, values, gradient of each input.

    Then check the gradients by central differences, and that float32 stays float32. Inputs of `shapes` are
    drawn uniformly from (low, high).
    """
    arrays = random_arrays(shapes, low, high)
    compare_with_torch(torch, device, arrays, ours, theirs)
    gradcheck(ours, [Tensor(a, requires_grad=True, device=device) for a in arrays])
    stays_float32(device, arrays, ours)


def compare_with_torch(torch, device, arrays, ours, theirs, rtol=1e-9, atol=1e-11):
    x = [Tensor(a, requires_grad=True, device=device) for a in arrays]
    expected_x = [torch.tensor(a.copy(), requires_grad=True) for a in arrays]
    y, expected_y = ours(*x), theirs(*expected_x)
    assert y.shape == tuple(expected_y.shape)
    assert y.dtype == np.float64 and y.device == device
    np.testing.assert_allclose(y.cpu().numpy(), expected_y.detach().numpy(), rtol, atol)
    dy, = random_arrays([y.shape], seed=1)
    y.backward(Tensor(dy, device=device))
    expected_y.backward(torch.tensor(dy))
    for i, (tensor, expected) in enumerate(zip(x, expected_x)):
        assert tensor.grad.shape == tensor.shape and tensor.grad.device == device
        np.testing.assert_allclose(tensor.grad.cpu().numpy(), expected.grad.numpy(), rtol, atol,
                                   err_msg=f"gradient of input {i}")


def stays_float32(device, arrays, ours):
    x = [Tensor(a, requires_grad=True, dtype="float32", device=device) for a in arrays]
    y = ours(*x)
    assert y.dtype == np.float32
    y.backward(Tensor(np.ones(y.shape, np.float32), device=device))
    assert [tensor.grad.dtype for tensor in x] == [np.float32] * len(x)


@contextmanager
def small_blocks(block_bytes):
    """Inside `with small_blocks(n):` kernels cut even small arrays into several blocks, of about n bytes.

    Convolutions go by minimal filtering or by frequencies wherever they can, however little that saves.
    """
    from nanoemo.kernels import activation, conv, fourier, norm, pool, recurrent_stack, winograd

    with pytest.MonkeyPatch.context() as patch:
        for module in (activation, conv, fourier, norm, pool, winograd):
            names = [name for name in vars(module) if name.endswith("_BYTES")]
            assert names, f"{module.__name__} has no size of blocks to make small"
            for name in names:
                patch.setattr(module, name, block_bytes)
        patch.setattr(fourier, "WORTH", 0)
        patch.setattr(winograd, "MIN_TILES", 2)
        patch.setattr(winograd, "LEAST_SAVED", -math.inf)
        patch.setattr(winograd, "LEAST_SAVED_IN_A_LINE", -math.inf)
        patch.setattr(recurrent_stack, "BLOCK_STATES", 8)
        patch.setattr(recurrent_stack, "STEPS", 3)
        yield
