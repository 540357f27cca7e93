"""Tensor and the graph: what backward adds up, and what it refuses."""
import gc
import itertools
import pickle
import warnings
import weakref

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, gradcheck, ops


def leaf(values, dtype=None):
    return Tensor(values, requires_grad=True, dtype=dtype)


# ---- making tensors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("data, dtype", [
    (1.5, "float32"), ([1.0, 2.0], "float32"), ([1, 2], "int64"), ([True], "bool"),
    (np.ones(2), "float64"), (np.ones(2, np.float32), "float32"), (np.float64(2.0), "float64"),
    (np.ones(2, np.uint8), "uint8"),
])
def test_lists_become_float32_and_arrays_keep_their_dtype(data, dtype):
    assert Tensor(data).dtype == dtype


def test_dtype_can_be_asked_for():
    assert Tensor(np.ones(2), dtype="float32").dtype == np.float32
    assert Tensor([1, 2], dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("call, error, message", [
    (lambda: Tensor("one"), TypeError, "expected numbers, got str"),
    (lambda: Tensor(np.ones(2, np.complex64)), TypeError, "expected numbers"),
    (lambda: Tensor(np.ones(2, np.float16)), TypeError, "float16 is not supported; pass dtype='float32'"),
    (lambda: Tensor([1, 2], requires_grad=True), TypeError, "only float tensors can require gradients"),
    (lambda: Tensor([1.0], device="gpu"), ValueError, "expected 'cpu' or 'cuda', got 'gpu'"),
    (lambda: Tensor([1.0]).to("float64"), ValueError, r"got 'float64'; for another dtype write .to\(dtype='float64'\)"),
    (lambda: gradcheck(lambda x: x.numpy(), leaf(np.ones(2))), TypeError, "fn must return a Tensor, and returned ndarray"),
    (lambda: nanoemo.summary("njoku.cnn", (48, 48, 1)), TypeError, "expected a Module, got str; models.build makes one"),
    (lambda: nanoemo.models.build(3), TypeError, "expected the name of a model, got 3; there are alizadeh.shallow"),
    (lambda: nanoemo.set_default_device("gpu"), ValueError, "expected 'cpu' or 'cuda'"),
    (lambda: Tensor([1.0, 2.0]).item(), ValueError, r"item\(\): the tensor of shape \(2,\) has 2 values"),
    (lambda: bool(Tensor([1.0, 2.0])), ValueError, "the truth value of a tensor of shape"),
    (lambda: len(Tensor(1.0)), TypeError, "no axes"),
])
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_repr_shows_what_matters():
    assert repr(leaf([1.0])) == "Tensor([1.], requires_grad=True)"
    assert repr(leaf([1.0]) * 2) == "Tensor([2.], op=mul)"
    assert repr(Tensor(np.ones(1))) == "Tensor([1.], dtype=float64)"


# ---- gradients ------------------------------------------------------------------------------------------

def test_gradients_add_up_over_shared_nodes():
    x = leaf([3.0])
    y = x * x           # used twice below
    (y + y * x).backward()
    assert x.grad.item() == 2 * 3 + 3 * 3 ** 2


def test_gradients_of_two_backwards_add_up_until_zero_grad():
    x = leaf([2.0])
    (x * 3).backward()
    (x * 3).backward()
    assert x.grad.item() == 6
    x.zero_grad()
    assert x.grad is None


def test_two_leaves_never_share_one_gradient_array():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (a + b).sum().backward()
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())


def test_leaves_of_nested_sums_never_share_one_gradient_array():
    leaves = [leaf([1.0, 2.0]) for _ in range(3)]
    (leaves[2] + (leaves[0] + leaves[1])).backward(np.array([3.0, 4.0], np.float32))
    for one, other in itertools.combinations(leaves, 2):
        assert not np.shares_memory(one.grad.array, other.grad.array)


def test_one_array_that_backward_gives_for_two_inputs_becomes_two_gradients():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    Tensor.from_op("add", a.array + b.array, (a, b), lambda dy: (both := 1 * dy, both)).backward(np.ones(2, np.float32))
    assert not np.shares_memory(a.grad.array, b.grad.array)


def test_np_array_of_a_tensor_is_a_copy_and_np_asarray_is_none():
    x = leaf([1.0, 2.0])
    copy, same = np.array(x), np.asarray(x)
    x.data[0] = 9
    assert copy.tolist() == [1, 2] and same.tolist() == [9, 2]


def test_a_gradient_is_writable_and_not_the_callers_array():
    x, dy = leaf([1.0, 2.0]), np.ones(2, np.float32)
    (x + 0).backward(dy)
    x.grad.data[0] = 9
    assert dy.tolist() == [1.0, 1.0]


def test_only_leaves_that_ask_get_a_gradient():
    x, fixed = leaf([1.0]), Tensor([2.0])
    y = x * fixed
    (y * 3).backward()
    assert x.grad.item() == 6 and fixed.grad is None and y.grad is None


def test_a_graph_100_000_operations_deep():
    x = leaf([1.0])
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y
    gc.collect()


def test_a_deep_graph_can_be_thrown_away_without_backward():
    y = leaf([1.0])
    for _ in range(100_000):
        y = y + 1
    del y


def test_backward_frees_what_it_used():
    x = leaf(np.ones(3, np.float32))
    between = x * 2
    z = (between * between).sum()
    gone = weakref.ref(between)
    del between
    assert gone() is not None
    z.backward()
    gc.collect()
    assert gone() is None


def test_backward_with_a_given_gradient():
    x = leaf([1.0, 2.0])
    (x * x).backward([1.0, 10.0])
    assert x.grad.numpy().tolist() == [2.0, 40.0]


def test_float64_numbers_give_float64_gradients():
    x = leaf(np.ones(2))
    (x * 3).sum().backward()
    assert x.grad.dtype == np.float64


# ---- what backward refuses ------------------------------------------------------------------------------

def test_a_second_backward_is_refused():
    x = leaf([1.0])
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="the graph behind mul has been used and freed"):
        y.backward()


def test_a_second_backward_through_a_shared_part_is_refused():
    x = leaf([1.0])
    shared = x * x
    (shared + 1).backward()
    with pytest.raises(RuntimeError, match="run the forward pass again, or add the losses"):
        (shared * 2).backward()


def test_backward_of_several_values_needs_a_gradient():
    with pytest.raises(RuntimeError, match=r"shape \(2,\) has no single gradient; reduce it"):
        (leaf([1.0, 2.0]) * 2).backward()


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(RuntimeError, match=r"grad has shape \(3,\), the tensor has \(2,\)"):
        (leaf([1.0, 2.0]) * 2).backward([1.0, 1.0, 1.0])


def test_backward_without_a_graph_is_refused():
    with pytest.raises(RuntimeError, match="does not depend on any tensor with requires_grad"):
        Tensor([1.0]).backward()


def test_writing_into_a_saved_value_fails_where_it_is_written():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        x.data += 1
    y.backward()
    x.data[0] = 5                                        # after backward it is free again
    assert x.grad.numpy().tolist() == [2.0, 4.0]


def test_a_view_of_a_saved_value_is_guarded_too():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    with pytest.raises(ValueError, match="read-only"):
        x.detach().data[0] = 5
    y.backward()


@pytest.mark.parametrize("change", [
    lambda x: x.__setitem__(0, 5.0),
    lambda x: x.detach().__setitem__(0, 5.0),
    lambda x: Tensor(x).__setitem__(0, 5.0),
    lambda x: setattr(x, "data", np.array([5.0, 5.0], np.float32)),
    lambda x: x.changed_in_place(),
], ids=["item", "item of a view", "item of a tensor of the tensor", "data", "told"])
def test_a_saved_value_changed_after_forward_is_noticed_by_backward(change):
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    change(x)
    with pytest.raises(RuntimeError, match="a value that mul saved for its gradient was changed in place"):
        y.backward()


@pytest.mark.parametrize("op", [
    ops.exp, ops.sqrt, ops.relu, ops.sigmoid, ops.tanh, ops.softmax, ops.log_softmax, lambda x: 1 / x,
    lambda x: x.max(axis=0),
], ids=["exp", "sqrt", "relu", "sigmoid", "tanh", "softmax", "log_softmax", "div", "max"])
def test_a_result_that_its_own_gradient_needs_is_guarded_too(op):
    y = op(leaf([[1.0, 2.0]]))
    with pytest.raises(ValueError, match="read-only"):
        y.numpy()[...] = 0
    y.detach()[...] = 0
    with pytest.raises(RuntimeError, match="saved for its gradient was changed in place"):
        y.sum().backward()


def test_a_value_that_no_gradient_needs_may_change():
    x = leaf([1.0, 2.0])
    y = (x + 1).sum()
    x[0] = 5.0
    y.backward()
    assert x.grad.numpy().tolist() == [1.0, 1.0]


def test_writing_into_the_output_of_an_operation_is_refused():
    y = leaf([1.0, 2.0]).exp()
    with pytest.raises(RuntimeError, match="made by exp"):
        y[0] = 0.0


@pytest.mark.parametrize("backward, message", [
    (lambda dy: (dy[:1],), r"a gradient of shape \(1,\), float32 on 'cpu', for an input of shape \(2,\), float32 on 'cpu'"),
    (lambda dy: (dy * np.float64(2),), r"a gradient of shape \(2,\), float64 on 'cpu', for an input of shape \(2,\), float32"),
    (lambda dy: (dy > 0,), r"a gradient of shape \(2,\), bool on"),
    (lambda dy: (2.0,), "float instead of an array for an input"), (lambda dy: ([2.0, 2.0],), "list instead of an array for"),
    (lambda dy: (Tensor(dy),), "Tensor instead of an array for"), (lambda dy: (None,), "no gradient for an input"),
    (lambda dy: dy, "expected a tuple of 1, a gradient for each input; got ndarray"), (lambda dy: None, "; got NoneType"),
    (lambda dy: (dy, dy), "expected a tuple of 1, a gradient for each input; got 2")])
def test_a_backward_function_that_gives_no_gradient_of_its_input_is_named(backward, message):
    x = leaf([1.0, 2.0])
    y = Tensor.from_op("mine", x.array * 2, (x,), backward)
    with pytest.raises(RuntimeError, match=f"backward of mine: .*{message}"):
        y.sum().backward()
    assert x.grad is None


def test_a_gradient_stays_on_its_device(card):
    x = Tensor(np.ones(2, np.float32), requires_grad=True, device="cuda")
    y = Tensor.from_op("mine", x.array * 2, (x,), lambda dy: (np.ones(2, np.float32),))
    with pytest.raises(RuntimeError, match="float32 on 'cpu', for an input of .* on 'cuda'"):
        y.sum().backward()


@pytest.mark.parametrize("value, error, message", [
    (1, TypeError, r"grad: expected a Tensor or None, got int; nanoemo.Tensor\(...\) makes one"),
    (np.ones(2, np.float32), TypeError, "expected a Tensor or None, got ndarray"),
    (Tensor([[1.0, 2.0]]), ValueError, r"float32 of shape \(2,\), its gradient would be float32 of shape \(1, 2\)"),
    (Tensor([1, 2]), ValueError, "its gradient would be int64 of shape")])
def test_what_cannot_be_a_gradient(value, error, message):
    x = leaf([1.0, 2.0])
    with pytest.raises(error, match=message):
        x.grad = value
    assert x.grad is None
    x.grad = Tensor([1.0, 1.0])
    (x * 2).sum().backward()
    assert x.grad.numpy().tolist() == [3.0, 3.0]


@pytest.mark.parametrize("use", [
    lambda x: x * [x[0], 1.0], lambda x: Tensor([x, x]), lambda x: Tensor([[1.0, 2.0], [0.0, x[1]]]), lambda x: Tensor((x[0],)),
    lambda x: Tensor([0.0, 0.0]).__setitem__(slice(None), [x[0], x[1]])])
def test_a_list_that_would_lose_a_gradient_is_refused(use):
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"a tensor in this list requires a gradient.*ops.stack or ops.concat, or .*detach"):
        use(x)
    with nanoemo.no_grad():
        use(x)
    use(x.detach())


def test_another_dtype_and_the_gradient_back(device):
    x = Tensor([0.5, 1e39], requires_grad=True, dtype="float64", device=device)
    y = x.to(dtype="float32")
    assert y.dtype == np.float32 and y.cpu().numpy().tolist() == [0.5, np.inf] and y.to(device, "float32") is y
    (y * 2).sum().backward()
    assert x.grad.dtype == np.float64 and x.grad.cpu().numpy().tolist() == [2.0, 2.0]
    whole = x.to(dtype=np.int64)
    assert whole.dtype == np.int64 and whole.device == device and not whole.requires_grad
    with pytest.raises(TypeError, match="float16 is not supported; expected float32, float64 or an integer type"):
        x.to(dtype="float16")


def test_a_tensor_of_one_value_formats_as_a_number():
    loss = leaf([2.0]) * 1.5
    assert float(loss) == 3.0 and f"{loss:.2f}" == "3.00" and f"{Tensor([1.0, 2.0])}" == "Tensor([1. 2.])"
    with pytest.raises(ValueError, match=r"the tensor of shape \(2,\) has 2 values, not one"):
        float(Tensor([1.0, 2.0]))


@pytest.mark.parametrize("of", [Tensor, np.array, list], ids=["tensor", "array", "list"])
def test_indices_and_labels_changed_after_forward_change_no_gradient(of, device):
    """Whoever made them may go on to use them for the next batch."""
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True, device=device)
    key = Tensor([0, 1], device=device) if of is Tensor else of([0, 1])
    y = x[key].sum()
    key[0] = 2
    y.backward()
    assert x.grad.cpu().numpy().tolist() == [1, 1, 0]


@pytest.mark.parametrize("labels", [np.array([0]), np.array([[1.0, 0.0]], np.float32)], ids=["class", "probabilities"])
def test_labels_changed_after_forward(labels):
    z = leaf([[0.0, 0.0]])
    loss = ops.cross_entropy(z, labels)
    labels[...] = labels[..., ::-1] if labels.ndim == 2 else 1
    loss.backward()
    assert z.grad.numpy().tolist() == [[-0.5, 0.5]]
    labels = Tensor(labels)
    loss = ops.cross_entropy(z, labels)
    labels[0] = 0
    with pytest.raises(RuntimeError, match="a value that cross_entropy saved for its gradient was changed in place"):
        loss.backward()


def test_only_a_float_leaf_can_be_told_whether_to_learn():
    with pytest.raises(TypeError, match="only float tensors can require gradients, this one is int64"):
        Tensor([1, 2]).requires_grad = True
    with pytest.raises(RuntimeError, match=r"requires_grad: this tensor was made by mul, .* use its \.detach\(\)"):
        (leaf([1.0]) * 2).requires_grad = False


def test_a_pickled_tensor_can_be_written_to():
    """Also where a graph waits for the values of the original."""
    x = leaf([1.0])
    y = x * x
    copied = pickle.loads(pickle.dumps(x))
    copied.data[0] = 5
    assert y.requires_grad and copied.requires_grad and copied.item() == 5 and x.item() == 1
    with pytest.raises(RuntimeError, match="made by mul belongs to a graph, which cannot be copied or pickled"):
        pickle.dumps(y)


# ---- detach ---------------------------------------------------------------------------------------------

def test_detach_shares_the_values_and_stops_the_gradient():
    x = leaf([2.0])
    (x * x.detach()).backward()
    assert x.grad.item() == 2
    assert np.shares_memory(x.detach().numpy(), x.numpy())


# ---- operations of one's own ------------------------------------------------------------------------------

@pytest.mark.parametrize("result, inputs, message", [
    (lambda x: x, lambda x: (x,), "the result must be an array .tensor.array.; got Tensor"),
    (lambda x: 2.0, lambda x: (x,), "the result must be an array .tensor.array.; got float"),
    (lambda x: x.array, lambda x: x, "the inputs must be a tuple of Tensors; got Tensor"),
    (lambda x: x.array, lambda x: (x, 2.0), "the inputs must be a tuple of Tensors; got Tensor, float")])
def test_from_op_wants_an_array_and_a_tuple(result, inputs, message):
    x = Tensor([1.0])
    with pytest.raises(TypeError, match=f"from_op of twice: {message}"):
        Tensor.from_op("twice", result(x), inputs(x), lambda dy: (2 * dy,))


def test_a_backward_that_writes_into_what_it_is_given_fails():
    """The array may be another operation's gradient as well: here that of h, past the op."""
    def relu(x):
        def backward(dy):
            dy[x.array <= 0] = 0
            return (dy,)
        return Tensor.from_op("my relu", x.array * (x.array > 0), (x,), backward)

    h = leaf([-1.0, 2.0]) * 1
    with pytest.raises(ValueError, match="read-only"):
        ((h + relu(h)) ** 2).sum().backward()


@pytest.mark.parametrize("reduce", [lambda x: x.mean(), lambda x: x.mean(axis=0).sum(), lambda x: x.sum(),
                                    lambda x: x.reshape(4).mean()])
def test_a_gradient_can_be_changed_in_place(reduce):
    x = leaf(np.ones((2, 2)))
    reduce(x).backward()
    x.grad.data[0, 0] = 7
    assert (x.grad.numpy() == 7).sum() == 1


def test_backward_adds_up_infinities_without_warnings():
    x = leaf([1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x * np.inf + x * -np.inf).sum().backward()
    assert np.isnan(x.grad.numpy()).all()


# ---- moving between devices -----------------------------------------------------------------------------

def test_moving_is_differentiable(device):
    x = leaf([1.0, 2.0])
    (x.to(device) * 3).sum().backward()
    assert x.grad.device == "cpu" and x.grad.numpy().tolist() == [3.0, 3.0]


def test_moving_to_where_it_is_gives_the_tensor_itself(device):
    x = Tensor([1.0], device=device)
    assert x.to(device) is x and x.device == device


# ---- what others bring -----------------------------------------------------------------------------------

class Foreign:
    """An array of another library, like PyTorch's, pandas' or h5py's: NumPy can read it."""
    dtype, shape = "theirs", (2,)

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0])


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("given", [Foreign(), np.array([[1.0, 2.0]]).view(np.matrix), np.array([1, 2], ">f8")],
                         ids=["foreign", "matrix", "swapped"])
def test_arrays_of_other_kinds_become_plain_ones(given):
    x = Tensor(given, requires_grad=True)
    assert type(x.array) is np.ndarray and x.dtype.isnative and x.dtype == np.float64 and x.device == "cpu"
    (x * x).sum().backward()
    assert x.grad.numpy().ravel().tolist() == [2, 4]


def test_an_array_of_another_library_is_told_by_its_full_name():
    with pytest.raises(TypeError, match="mul: expected a Tensor, an array or a number, got test_tensor.Foreign"):
        Tensor([1.0]) * Foreign()


def test_a_list_takes_the_precision_of_what_it_meets():
    for x in (Tensor(np.zeros(2)), Tensor(np.zeros(2, np.float32))):
        assert (x + [1.0, 2.0]).dtype == x.dtype and (x == [0.0, 1.0]).numpy().tolist() == [True, False]


def test_a_view_shares_the_protection_of_its_memory():
    x = leaf(np.ones((2, 2)))
    flat = x.reshape(4)
    loss = (flat * flat).sum()
    with pytest.raises(ValueError, match="read-only"):
        x.data[0, 0] = 5
    loss.backward()
    x.data[0, 0] = 5
    assert flat.numpy()[0] == 5


def test_the_gradient_given_to_backward_stays_the_callers():
    x, given = leaf(np.ones(3)), np.ones(3)
    x.backward(given)
    given[0] = 9
    assert x.grad.numpy().tolist() == [1, 1, 1]
