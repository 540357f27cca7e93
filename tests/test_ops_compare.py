"""Comparisons, argmax, and += on what is learned."""
import operator

import numpy as np
import pytest

from nanoemo import Tensor, no_grad, nn


def test_comparisons_are_value_by_value(rng, device):
    a, b = rng.integers(0, 3, (4, 3)).astype(np.float32), rng.integers(0, 3, 3).astype(np.float32)
    x, y = Tensor(a, device=device), Tensor(b, device=device)
    for ours, expected in ((x == y, a == b), (x != y, a != b), (x < y, a < b), (x <= y, a <= b), (x > y, a > b),
                           (x >= y, a >= b), (x == 1, a == 1), (x > 0.5, a > 0.5)):
        assert ours.dtype == bool and not ours.requires_grad
        np.testing.assert_array_equal(ours.cpu().numpy(), expected)


def test_a_tensor_stays_a_key_and_differs_from_what_is_no_number():
    x = Tensor([1.0])
    assert {x: 1}[x] == 1 and not (x == None) and x != "a"      # noqa: E711
    with pytest.raises(ValueError, match=r"eq: shapes \(2,\) and \(3,\) do not broadcast"):
        Tensor([1.0, 2.0]) == Tensor([1.0, 2.0, 3.0])
    with pytest.raises(TypeError):
        x < "a"


def test_accuracy_as_it_is_usually_written(rng):
    scores, labels = rng.standard_normal((6, 3)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
    hits = Tensor(scores).argmax(axis=1) == labels
    np.testing.assert_array_equal(hits.numpy(), scores.argmax(1) == labels)
    assert Tensor(scores).argmax().item() == scores.argmax()
    names = ["a", "b", "c"]
    assert names[Tensor(scores)[0].argmax()] == names[scores[0].argmax()]
    for axis, error, words in ((2, ValueError, "argmax: axis 2 is out of range"), ("a", TypeError, "argmax: axis must be"),
                               ((0, 1), TypeError, "argmax: axis must be one whole number or None")):
        with pytest.raises(error, match=words):
            Tensor(scores).argmax(axis=axis)
    with pytest.raises(ValueError, match=r"argmax: shape \(0, 3\) has no values along axis 0"):
        Tensor(scores)[:0].argmax(axis=0)
    assert Tensor(scores)[:0].argmax(axis=1).shape == Tensor(scores)[:0].max(axis=1).shape == (0,)


def test_hits_are_counted_beside_numbers(device):
    hits = Tensor([True, False, True], device=device)
    correct = 0
    for _ in range(2):
        correct += hits
    assert correct.dtype == np.int64 and correct.cpu().numpy().tolist() == [2, 0, 2]
    assert sum([hits, hits, hits]).cpu().numpy().tolist() == [3, 0, 3] and (hits * 3).cpu().numpy().tolist() == [3, 0, 3]
    assert (hits == 2).cpu().numpy().tolist() == [False] * 3 and (hits < 2).cpu().numpy().tolist() == [True] * 3
    assert (hits == True).cpu().numpy().tolist() == [True, False, True]         # noqa: E712
    assert (hits * 0.5).dtype == np.float32
    pixels = Tensor(np.array([0, 255], np.uint8), device=device)
    assert (pixels + 300).cpu().numpy().tolist() == [300, 555] and (pixels + 1).dtype == np.uint8
    assert (pixels == -1).cpu().numpy().tolist() == [False, False]
    with pytest.raises(TypeError, match="sub: bools cannot be subtracted"):
        hits - hits


def test_truths_are_combined(device):
    x = Tensor([-1.0, 0.5, 3.0], device=device)
    for ours, expected in (((x > 0) & (x < 1), [False, True, False]), ((x > 0) | (x < -2), [False, True, True]),
                           (~(x > 0), [True, False, False]), (True & (x > 0), [False, True, True])):
        assert ours.dtype == bool and ours.cpu().numpy().tolist() == expected
    assert (Tensor([6, 5]) & 3).numpy().tolist() == [2, 1]
    with pytest.raises(TypeError, match="logical_and: expected bools or integers, got float32; compare first"):
        x & (x < 1)
    with pytest.raises(TypeError, match="neg: x is bool; its opposite is ~x"):
        -Tensor([True])
    with pytest.raises(TypeError, match="logical_not: expected bools"):
        ~x


def test_gradient_descent_by_hand(device):
    w = Tensor([4.0], requires_grad=True, device=device)
    first = w
    for _ in range(50):
        w.zero_grad()
        (w * w).sum().backward()
        with no_grad():
            w -= 0.1 * w.grad
    assert w is first and w.requires_grad and abs(w.item()) < 1e-4


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv"])
def test_in_place_is_what_it_is_out_of_place(rng, device, name):
    """In float32, by a number, a tensor that is broadcast, and itself; the array stays the one it was."""
    values, other = rng.uniform(1, 2, (3, 4)).astype(np.float32), rng.uniform(1, 2, 4).astype(np.float32)
    for operand, expected in ((2, 2), (Tensor(other, device=device), other), ("itself", values)):
        w = Tensor(values.copy(), requires_grad=True, device=device)
        array, same = w.array, w
        with no_grad():
            same = getattr(operator, name)(same, w if operand == "itself" else operand)
        assert same is w and w.array is array and w.is_leaf and w.requires_grad and w.dtype == np.float32
        np.testing.assert_array_equal(w.detach().cpu().numpy(), getattr(operator, name)(values.copy(), np.float32(expected)))


def test_in_place_where_it_would_falsify_a_gradient():
    w = Tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="inside `with no_grad"):
        w += 1
    loss = (w * w).sum()
    with no_grad():
        w *= 2
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
    with no_grad(), pytest.raises(ValueError, match=r"does not fit into x \(1,\)"):
        w += Tensor([1.0, 2.0])


def test_other_tensors_become_new_ones():
    x = Tensor([1.0])
    before = x
    x += 1
    assert x is not before and before.item() == 1 and x.item() == 2


def test_new_data_keeps_the_dtype():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="the tensor is float32, the new values are float64"):
        layer.weight.data = layer.weight.data - np.float64(0.1) * layer.weight.data.astype(np.float64)
