"""Reductions and rearrangements: each against PyTorch and central differences."""
import numpy as np
import pytest
from opcheck import check_op

from nanoemo import Tensor, ops

CASES = {     # shapes of the inputs, ours, PyTorch's
    "sum": ([(3, 4)], lambda a: a.sum(), lambda t, a: a.sum()),
    "sum axis": ([(3, 4)], lambda a: a.sum(axis=0), lambda t, a: a.sum(0)),
    "sum axes": ([(2, 3, 4)], lambda a: a.sum(axis=(0, -1)), lambda t, a: a.sum((0, -1))),
    "sum keepdims": ([(2, 3)], lambda a: a.sum(axis=1, keepdims=True), lambda t, a: a.sum(1, keepdim=True)),
    "sum of one number": ([()], lambda a: a.sum(), lambda t, a: a.sum()),
    "sum of nothing": ([(0, 3)], lambda a: a.sum(axis=0), lambda t, a: a.sum(0)),
    "mean": ([(3, 4)], lambda a: a.mean(), lambda t, a: a.mean()),
    "mean axis": ([(2, 3, 4)], lambda a: a.mean(axis=(1, 2)), lambda t, a: a.mean((1, 2))),
    "max": ([(3, 4)], lambda a: a.max(), lambda t, a: a.max()),
    "max axis": ([(3, 4)], lambda a: a.max(axis=1), lambda t, a: a.amax(1)),
    "min axes": ([(2, 3, 4)], lambda a: a.min(axis=(0, 2), keepdims=True),
                 lambda t, a: a.amin((0, 2), keepdim=True)),
    "reshape": ([(3, 4)], lambda a: a.reshape(2, -1), lambda t, a: a.reshape(2, -1)),
    "flatten": ([(2, 3, 4)], lambda a: a.flatten(), lambda t, a: a.flatten(1)),
    "flatten all": ([(2, 3, 4)], lambda a: a.flatten(0), lambda t, a: a.flatten()),
    "transpose": ([(2, 3)], lambda a: a.T, lambda t, a: a.T),
    "transpose axes": ([(2, 3, 4)], lambda a: a.transpose(1, 2, 0), lambda t, a: a.permute(1, 2, 0)),
    "row": ([(3, 4)], lambda a: a[1], lambda t, a: a[1]),
    "last row": ([(3, 4)], lambda a: a[-1], lambda t, a: a[-1]),
    "one number": ([(3, 4)], lambda a: a[1, 2], lambda t, a: a[1, 2]),
    "slice with step": ([(6, 4)], lambda a: a[1::2, :3], lambda t, a: a[1::2, :3]),
    "new axis": ([(3,)], lambda a: a[:, None], lambda t, a: a[:, None]),
    "dots": ([(2, 3, 4)], lambda a: a[..., 1], lambda t, a: a[..., 1]),
    "list, repeated": ([(3, 2)], lambda a: a[[0, 0, 2]], lambda t, a: a[[0, 0, 2]]),
    "pairs": ([(3, 4)], lambda a: a[[0, 1, 1], [2, 3, 3]], lambda t, a: a[[0, 1, 1], [2, 3, 3]]),
    "mask": ([(3,)], lambda a: a[np.array([True, False, True])], lambda t, a: a[[True, False, True]]),
    "concat": ([(2, 1), (2, 3)], lambda a, b: ops.concat([a, b]), lambda t, a, b: t.cat([a, b], -1)),
    "concat rows": ([(2, 3), (1, 3)], lambda a, b: ops.concat([a, b], 0), lambda t, a, b: t.cat([a, b])),
    "concat itself": ([(2, 3)], lambda a: ops.concat([a, a], 0), lambda t, a: t.cat([a, a])),
    "stack": ([(2, 3), (2, 3)], lambda a, b: ops.stack([a, b], 1), lambda t, a, b: t.stack([a, b], 1)),
    "stack last": ([(2,), (2,)], lambda a, b: ops.stack([a, b], -1), lambda t, a, b: t.stack([a, b], -1)),
}


@pytest.mark.parametrize("case", CASES)
def test_against_torch(torch, device, case):
    shapes, ours, theirs = CASES[case]
    check_op(torch, device, shapes, ours, lambda *x: theirs(torch, *x))


def test_values_that_tie_share_the_gradient_of_max():
    x = Tensor([2.0, 1.0, 2.0], requires_grad=True)
    x.max().backward()
    assert x.grad.numpy().tolist() == [0.5, 0.0, 0.5]


def test_a_slice_shares_memory_with_its_tensor():
    x = Tensor([1.0, 2.0, 3.0])
    assert np.shares_memory(x[1:].numpy(), x.numpy())


def test_assignment_writes_into_a_tensor_outside_the_graph(device):
    x = Tensor([[1.0, 2.0, 3.0]] * 2, device=device)
    x[0, 1:] = Tensor([7.0, 8.0], device=device)
    x[1] = [4, 5.5, 6]
    x[[0, 1], 0] = -1
    assert x.cpu().numpy().tolist() == [[-1.0, 7.0, 8.0], [-1.0, 5.5, 6.0]] and x.dtype == np.float32
    x[...] = np.float32(2)
    assert x.cpu().numpy().tolist() == [[2.0] * 3] * 2
    fine = Tensor(np.zeros(2), device=device)
    fine[...] = [1 / 3, 2 / 3]
    assert fine.cpu().numpy().tolist() == [1 / 3, 2 / 3]            # not by way of float32


def test_an_array_is_assigned_where_it_is(card):
    x = Tensor([1.0, 2.0], device="cuda")
    with pytest.raises(RuntimeError, match=r"x\[...\] = value: x is on 'cuda', value is on 'cpu'"):
        x[...] = np.ones(2, np.float32)


@pytest.mark.parametrize("call, error, message", [
    (lambda x: x.sum(axis=2), ValueError, r"sum: axis 2 is out of range for shape \(2, 3\)"),
    (lambda x: x.sum(axis=(0, 0)), ValueError, r"sum: axis \(0, 0\) names an axis twice"),
    (lambda x: x[:0].mean(), ValueError, "mean: shape .* has no values"),
    (lambda x: x[:0].max(), ValueError, "max: shape .* has no values along its axes 0, 1"),
    (lambda x: x.reshape(4, 2), ValueError, r"reshape: 6 values of shape \(2, 3\) do not fit shape \(4, 2\)"),
    (lambda x: x.transpose(0, 0), ValueError, "transpose: .* is not an order of the 2 axes"),
    (lambda x: x.flatten(5), ValueError, "flatten: start_axis 5 is out of range"),
    (lambda x: x[5], IndexError, r"getitem: .* \(the tensor has shape \(2, 3\)\)"),
    (lambda x: ops.concat([]), ValueError, "concat: expected at least one tensor"),
    (lambda x: ops.concat([x, x.T], 0), ValueError, r"concat: shapes \(2, 3\), \(3, 2\) may differ only"),
    (lambda x: ops.stack([x, x.T]), ValueError, "stack: shapes differ"),
    (lambda x: (x * 1).__setitem__(0, 0.0), RuntimeError, "made by mul"),
    (lambda x: x.detach().__setitem__(0, None), TypeError, r"x\[...\] = value: an operand cannot be made a Tensor"),
    (lambda x: x.detach().__setitem__(0, [[1], [2, 3]]), ValueError, r"x\[...\] = value: .* differ in length"),
    (lambda x: x.detach().__setitem__(0, x[0]), RuntimeError, "the value requires a gradient, which would not flow"),
])
def test_errors_name_the_operation_and_what_was_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call(Tensor(np.ones((2, 3), np.float32), requires_grad=True))
