"""Module: what it registers, saves, loads, freezes; and the trace through it."""
import copy
import threading

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, nn, ops
from nanoemo.summary import summarize


class Net(nn.Module):
    """Two branches, one of them a child with children, and a parameter of its own."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(1, np.float32))
        self.encoder = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.encoder(x)) * self.scale


NAMES = ["scale", "encoder.0.weight", "encoder.0.bias", "encoder.1.gamma", "encoder.1.beta",
         "head.weight", "head.bias"]
BUFFERS = ["encoder.1.running_mean", "encoder.1.running_var"]


@pytest.fixture
def net():
    nanoemo.manual_seed(0)
    return Net()


def batch(*shape):
    return Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


# ---- registration ---------------------------------------------------------------------------------------

def test_parameters_come_in_the_order_of_assignment(net):
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [p.size for p in net.parameters()] == [1, 12, 3, 3, 3, 6, 2]
    assert net.num_parameters() == 30
    assert [b.shape for b in net.buffers()] == [(3,), (3,)]


def test_modules_have_paths(net):
    paths = [name for name, _ in net.named_modules()]
    assert paths == ["", "encoder", "encoder.0", "encoder.1", "encoder.2", "head"]


def test_a_shared_parameter_is_listed_once_but_saved_under_both_names():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight = a.weight
    model = nn.Sequential(a, b)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert "1.weight" in model.state_dict()


def test_modules_that_hold_each_other_are_refused(net):
    with pytest.raises(ValueError, match="Linear.parent: .* holds this module already, and two modules cannot hold each other"):
        net.head.parent = net
    with pytest.raises(ValueError, match="holds this module already"):
        net.itself = net
    assert len(net.parameters()) == len(dict(net.named_parameters()))


def test_replacing_a_parameter_by_a_plain_tensor_is_refused(net):
    with pytest.raises(TypeError, match="Linear.weight is a Parameter; assigning Tensor would take it out"):
        net.head.weight = Tensor([1.0])


@pytest.mark.parametrize("kind, value", [
    ("list", [nn.ReLU()]), ("dict", {"first": nn.ReLU()}), ("tuple", (nn.Parameter([1.0]),))])
def test_a_list_of_modules_is_refused(kind, value):
    module = nn.Module()
    with pytest.raises(TypeError, match=f"modules and parameters inside a {kind} are not found by parameters"):
        module.layers = value


@pytest.mark.parametrize("hide", [
    lambda m: m.items.append(nn.Linear(2, 2)), lambda m: m.table.update(a=nn.Linear(2, 2)),
    lambda m: setattr(m, "items", [[nn.Parameter([1.0])]]), lambda m: m.items.append(({"deep": nn.ReLU()},))])
@pytest.mark.parametrize("walk", [nn.Module.parameters, nn.Module.state_dict, nn.Module.to, nn.Module.eval, nn.Module.freeze])
def test_modules_that_come_into_a_list_later_are_refused(hide, walk):
    outer, inner = nn.Module(), nn.Module()
    outer.inner, inner.items, inner.table = inner, [], {}
    with pytest.raises(TypeError, match=r"Module.(items|table): modules and parameters inside a (list|dict) are not found"):
        hide(inner)
        walk(outer)


class Counter(nn.Module):
    def __init__(self):
        self.n = nn.Buffer([0.0])
        self.average = nn.Buffer([0.0])

    def forward(self, x):
        self.n += 1
        self.average = 0.5 * self.average + 0.5 * x
        return self.average * x


def test_a_buffer_keeps_its_name_when_it_is_assigned_to():
    counter, x = Counter(), Tensor([4.0], requires_grad=True)
    for _ in range(2):
        counter(x).backward()           # the second would fail if the buffer belonged to the first graph
    assert {name: array.tolist() for name, array in counter.state_dict().items()} == {"n": [2.0], "average": [3.0]}
    assert [type(buffer) for buffer in counter.buffers()] == [nn.Buffer, nn.Buffer]
    assert counter.n.dtype == np.float32 and not counter.average.requires_grad


def test_replacing_a_buffer_by_what_is_no_tensor_is_refused():
    counter = Counter()
    with pytest.raises(TypeError, match=r"Counter.n is a Buffer; assigning float .* Assign nn.Buffer\(...\), or set .n.data"):
        counter.n = 0.0
    other = nn.Buffer([5.0])
    counter.n = other
    assert counter.n is other
    counter.n = None
    assert list(counter.state_dict()) == ["average"]


def test_keywords_reach_forward():
    lstm, x = nn.LSTM(1, 2), batch(1, 3, 1)
    state = Tensor([[1.0, 1.0]]), Tensor([[1.0, 1.0]])
    np.testing.assert_array_equal(lstm(x, state=state).numpy(), lstm(x, state).numpy())


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Module defines no forward\(\)"):
        nn.Module()(Tensor([1.0]))


def test_repr_shows_the_tree(net):
    lines = repr(net).splitlines()
    assert lines[:3] == ["Net(", "  (encoder): Sequential(", "    (0): Linear(4, 3)"]
    assert lines[-2:] == ["  (head): Linear(3, 2)", ")"]


# ---- saving and loading ---------------------------------------------------------------------------------

def test_state_dict_is_copies_of_parameters_and_buffers(net):
    state = net.state_dict()
    assert sorted(state) == sorted(NAMES + BUFFERS)
    assert all(type(array) is np.ndarray for array in state.values())
    state["scale"][0] = 5
    assert net.scale.item() == 1


def test_loading_writes_in_place(net):
    other = Net()
    weight = other.head.weight.array
    assert other.load_state_dict(net.state_dict()) == ([], [])
    assert other.head.weight.array is weight
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def test_loading_lists_everything_that_does_not_fit_and_writes_nothing(net):
    state, before = net.state_dict(), net.state_dict()
    del state["scale"], state["head.bias"]
    state["extra"] = np.ones(2)
    state["head.weight"] = np.ones((3, 5))
    state["encoder.0.bias"] = np.full(3, 9.0)
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    for line in ("scale: missing", "head.bias: missing", "extra: unexpected",
                 "head.weight: expected shape (3, 2), got (3, 5)"):
        assert line in str(error.value)
    np.testing.assert_array_equal(net.state_dict()["encoder.0.bias"], before["encoder.0.bias"])


@pytest.mark.parametrize("value, message", [
    (np.array(["a", "b"]), "got ndarray of dtype <U1"), (None, "got NoneType of dtype object"), ("ab", "got str of dtype <U2"),
    (np.array([None, None]), "got ndarray of dtype object"), (np.ones(2, complex), "got ndarray of dtype complex128"),
    ([[1.0], [1.0, 2.0]], "inhomogeneous shape")])
@pytest.mark.parametrize("strict", [True, False])
def test_loading_what_is_no_numbers_names_it_and_writes_nothing(net, value, message, strict):
    before = net.state_dict()
    with pytest.raises(ValueError, match=rf"\n  head.bias: expected an array of numbers(:|, ).*{message}"):
        net.load_state_dict({**{name: array + 1 for name, array in before.items()}, "head.bias": value}, strict)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_loading_takes_other_numbers_and_tensors(net):
    net.load_state_dict({"head.bias": np.ones(2, np.float16), "scale": Tensor([3.0]), "head.weight": [[1, 2]] * 3}, strict=False)
    assert net.head.bias.numpy().tolist() == [1.0, 1.0] and net.scale.item() == 3.0 and net.head.weight.dtype == np.float32


def test_loading_in_part_returns_what_was_left(net):
    state = {"head.bias": np.array([1.0, 2.0]), "other": np.ones(1)}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert "head.weight" in missing and unexpected == ["other"]
    assert net.head.bias.numpy().tolist() == [1.0, 2.0] and net.head.bias.dtype == np.float32
    with pytest.raises(ValueError, match="expected shape"):
        net.load_state_dict({"head.bias": np.ones(3)}, strict=False)


def test_loading_between_forward_and_backward_is_noticed(net):
    loss = net.eval()(batch(2, 4)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_to_changes_the_precision_of_everything(net):
    net(batch(4, 4)).sum().backward()
    net.to(dtype="float64")
    assert {t.dtype.name for t in [*net.parameters(), *net.buffers()]} == {"float64"}
    assert net.head.weight.grad.dtype == np.float64
    assert net(Tensor(np.ones((4, 4)))).dtype == np.float64


def test_to_leaves_whole_numbers_what_they_are():
    counter = Counter()
    counter.n = nn.Buffer(np.array([3]))
    assert counter.to(dtype=np.float64).n.dtype == np.int64 and counter.average.dtype == np.float64


@pytest.mark.parametrize("dtype", ["int64", "float16", bool, "floaty"])
def test_to_another_dtype_than_floats_is_refused(net, dtype):
    before = net.state_dict()
    with pytest.raises(TypeError, match=r"Net.to: dtype .* is not supported; expected float32 or float64"):
        net.to(dtype=dtype)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name], strict=True)


def test_to_moves_everything(net, device):
    assert net.to(device) is net
    assert {t.device for t in [*net.parameters(), *net.buffers()]} == {device}
    assert net(Tensor(np.ones((4, 4), np.float32), device=device)).device == device
    assert all(type(array) is np.ndarray for array in net.state_dict().values())


def test_a_deep_copy_shares_nothing(net):
    twin = copy.deepcopy(net)
    twin.head.bias.data[0] = 7
    assert net.head.bias.numpy()[0] == 0 and isinstance(twin.head.bias, nn.Parameter)


def test_a_copy_made_while_a_graph_needs_the_original_can_be_written_to():
    layer = nn.Linear(2, 1)
    y = layer(Tensor([[1.0, 2.0]]))
    twin = copy.deepcopy(layer)
    twin.weight.data[...] = 0
    with pytest.raises(RuntimeError, match=r"made by linear belongs to a graph, which cannot be copied"):
        copy.deepcopy(y)
    y.backward()
    assert layer.weight.grad.numpy().tolist() == [[1.0], [2.0]]


def test_a_pooling_of_ones_own_keeps_its_place_behind_the_relu():
    class RangePool(nn.MaxPool2d):
        def forward(self, x):
            return super().forward(x) - ops.min_pool2d(x, self.kernel_size)

    x = Tensor(np.array([-2.0, 1.0, -1.0, 3.0], np.float32).reshape(1, 2, 2, 1))
    assert nn.Sequential(nn.ReLU(), RangePool(2))(x).item() == 3.0


# ---- modes ----------------------------------------------------------------------------------------------

def test_train_and_eval_reach_all_modules(net):
    assert all(module.training for _, module in net.named_modules())
    assert net.eval() is net
    assert not any(module.training for _, module in net.named_modules())
    net.train()
    assert all(module.training for _, module in net.named_modules())


def test_what_is_frozen_keeps_values_statistics_and_mode(net):
    net.encoder.freeze()
    net.train()
    assert not net.encoder[1].training and not net.encoder[2].training and net.training
    before = net.encoder.state_dict()
    net(batch(8, 4)).sum().backward()
    assert net.encoder[0].weight.grad is None and net.head.weight.grad is not None
    for name, array in net.encoder.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_unfreeze_lets_it_learn_again(net):
    net.encoder.freeze()
    net.encoder.unfreeze()
    net.train()
    net(batch(8, 4)).sum().backward()
    assert net.encoder[1].training and net.encoder[0].weight.grad is not None


def test_zero_grad_forgets(net):
    net(batch(4, 4)).sum().backward()
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


# ---- Sequential and trace -------------------------------------------------------------------------------

def test_sequential_slices_share_their_layers():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    features = model[:2]
    assert isinstance(features, nn.Sequential) and features[0] is model[0] and model[-1] is model[2]
    assert len(model.append(nn.Sigmoid())) == 4
    with pytest.raises(IndexError, match="there is no layer 9; it has 4"):
        model[9]
    with pytest.raises(TypeError, match="layer 4 must be a Module, got function"):
        model.append(ops.relu)
    with pytest.raises(TypeError, match=r"got the class ReLU; write ReLU\(...\)"):
        nn.Sequential(nn.ReLU)
    with pytest.raises(TypeError, match=r"got list; layers are given one by one: Sequential\(\*layers\)"):
        nn.Sequential([nn.ReLU()])


def test_a_layer_is_replaced_by_its_index():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))
    model[-1], model[0] = nn.Linear(3, 5), nn.Linear(2, 3)
    assert model(batch(4, 2)).shape == (4, 5) and len(model) == 3
    with pytest.raises(IndexError, match="there is no layer 3; it has 3"):
        model[3] = nn.ReLU()
    with pytest.raises(TypeError, match="layer 1 must be a Module, got function"):
        model[1] = ops.relu


def test_a_layer_is_deleted_and_those_behind_it_are_numbered_anew():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1), nn.ReLU())
    first, _, third, last = model
    model.note = nn.Linear(1, 1)
    del model[1]
    assert list(model) == [first, third, last] and model[-1] is last and model(batch(4, 3)).shape == (4, 1)
    assert [name for name, _ in model.named_parameters()] == [
        "0.weight", "0.bias", "1.weight", "1.bias", "note.weight", "note.bias"]
    del model[-1]
    model.append(nn.Linear(1, 2))
    assert [name for name, _ in model.children()] == ["0", "1", "note", "2"]
    with pytest.raises(IndexError, match="there is no layer 3; it has 3"):
        del model[3]
    del model[1:]
    assert list(model) == [first]


def test_other_attributes_of_a_sequential_are_no_layers():
    model = nn.Sequential(nn.Linear(3, 2))
    model.loss, model.head = nn.CrossEntropyLoss(), nn.Linear(2, 5)
    assert len(model) == 1 and model(batch(4, 3)).shape == (4, 2) and model[-1] is model[0]
    assert len(model.append(nn.ReLU())) == 2 and model[1] is getattr(model, "1")
    assert list(model.state_dict()) == ["0.weight", "0.bias", "head.weight", "head.bias"]
    assert model.freeze().head.frozen
    table = summarize(model, (3,))
    assert [row.label for row in table.rows] == ["0 (Linear, ReLU)"]
    assert table.total == model.num_parameters() == 8 + 15


def test_a_layer_is_appended_behind_the_last_even_where_one_was_taken_out():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    delattr(model, "0")
    model.append(nn.Tanh())
    assert [repr(layer) for layer in model] == ["Linear(3, 2)", "Tanh()"]


@pytest.mark.parametrize("shape", [(-3,), ("a",), (0, 3), (2.0, 3), ((3,), "a")])
@pytest.mark.parametrize("use", [summarize, nn.output_shape])
def test_a_shape_has_sizes(use, shape):
    with pytest.raises(ValueError, match="input_shape: expected sizes of at least 1, such as"):
        use(nn.Linear(3, 2), shape)


def test_a_summary_needs_a_shape():
    with pytest.raises(TypeError, match=r"shape of one example, such as \(48, 48, 1\), got 3"):
        nanoemo.summary(nn.Linear(3, 2), 3)


@pytest.mark.parametrize("what, error", [(nn.Linear, r"the class Linear; write Linear\(...\)"),
                                         ("njoku.cnn", "str; models.build makes one of a name")])
def test_a_summary_needs_a_module(what, error):
    with pytest.raises(TypeError, match=f"summary: expected a Module, got {error}"):
        nanoemo.summary(what, (3,))


def test_a_layer_of_two_places_is_listed_under_both_names():
    layer, relu = nn.Linear(3, 3), nn.ReLU()
    rows = summarize(nn.Sequential(layer, relu, nn.Flatten(), layer, relu), (3,)).rows
    assert [(row.label, row.params) for row in rows] == [("0 (Linear, ReLU)", 12), ("2 (Flatten)", 0), ("3 (Linear, ReLU)", 0)]


def test_output_shape_of_several_results_is_that_of_the_first():
    assert nn.output_shape(nn.LSTM(3, 4, return_state=True), (5, 3)) == (5, 4)


def test_output_shape_disturbs_nothing(net):
    net.head.eval()
    before, random_state = net.state_dict(), nanoemo.random.get_state()
    assert nn.output_shape(net, (4,)) == (2,)
    assert nanoemo.random.get_state() == random_state
    assert net.training and net.encoder[2].training and not net.head.training
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_modes_are_put_back_after_an_error(net):
    with pytest.raises(ValueError), nn.undisturbed(net):
        net(batch(2, 5))
    assert net.training and net.encoder[1].training


def test_each_thread_watches_what_it_runs_itself(net):
    other, seen, x = nn.Linear(2, 2), [], Tensor(np.ones((1, 2), np.float32))
    with nn.watch(lambda module, output: seen.append(module)):
        thread = threading.Thread(target=other, args=(x,))
        thread.start()
        thread.join()
        assert seen == []
        other(x)
        assert seen == [other]


def test_watch_ends_with_its_block(net):
    calls = []
    with nn.watch(lambda module, output: calls.append(type(module).__name__)):
        net(batch(4, 4))
    net(batch(4, 4))
    assert calls == ["Linear", "BatchNorm1d", "Dropout", "Sequential", "Linear", "Net"]


def test_freezing_forgets_gradients_and_ends_training_mode(net):
    net.train()
    for parameter in net.parameters():
        parameter.grad = Tensor(np.ones_like(parameter.numpy()))
    assert net.encoder.freeze() is net.encoder
    assert not net.encoder.training and all(parameter.grad is None for parameter in net.encoder.parameters())
    assert net.training and all(parameter.grad is not None for parameter in net.head.parameters())
