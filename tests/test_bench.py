"""Benchmarks: the twin is the same network, multiplications are counted right, tables and files are whole.

Nothing here is asserted of a time.
"""
import builtins
import json
import subprocess
import sys

import numpy as np
import pytest

from nanoemo import Tensor, kernels, models, nn, no_grad, ops, optim
from nanoemo.bench import memory, report, timing
from nanoemo.bench.breakdown import break_down
from nanoemo.bench.calls import watch_kernels
from nanoemo.bench.memory import Alone
from nanoemo.bench.report import Engine, Result
from nanoemo.bench.steps import TrainingStep
from nanoemo.bench.timing import gemm_rate, in_turn, on_threads
from nanoemo.bench.torch_step import TorchStep
from nanoemo.bench.twin import NoTwin, check_same_scores, to_torch_layout, torch_twin
from nanoemo.cli import main

SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0}
SHORTER = {"chater.lstm": (9, 1), "series.speech": (24, 16, 1)}     # inputs on which a step costs little


def twin_of(torch, model, examples, labels, optimizer=SGD, **options):
    layers, state = torch_twin(model, examples.shape[1:])
    step = TorchStep(torch, layers, [torch.from_numpy(to_torch_layout(examples, layers))],
                     torch.from_numpy(labels), optimizer, **options)
    step.load(state)
    return step, layers


def without_dropout(model):
    for _, module in model.named_modules():
        module.training = not isinstance(module, nn.Dropout)
    return model


# ---- the twin ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", models.names())
def test_twin_gives_the_same_scores_for_every_model(torch, rng, name):
    shape = SHORTER.get(name, models.recipe(name).input_shape)
    model = without_dropout(models.build(name, input_shape=shape).to(dtype=np.float64))
    inputs = [rng.random((2, *each)) for each in nn.shapes_of_inputs(shape)]
    layers, state = torch_twin(model, shape)
    inputs_there = [to_torch_layout(each, layers) for each in inputs]
    step = TorchStep(torch, layers, [torch.from_numpy(each) for each in inputs_there], torch.zeros(2, dtype=int), SGD)
    step.load(state)
    with no_grad():
        scores = model(*map(Tensor, inputs)).numpy()
    check_same_scores(to_torch_layout(scores, layers), step.scores(inputs_there))


@pytest.mark.parametrize("name", ["series.dense_ae", "series.conv_ae", "alizadeh.hybrid_shallow"])
def test_twins_loss_and_gradients_of_other_than_classifiers(torch, name):
    """An auto-encoder's target is its input; a hybrid reads two. In float64: batch norm over eight magnifies rounding."""
    ours = TrainingStep(name, batch_size=8)
    model = without_dropout(ours.model.to(dtype=np.float64))
    batch = [array.astype(np.float64) if array.dtype == np.float32 else array for array in (*ours.inputs, ours.target)]
    *inputs, target = map(Tensor, batch)
    loss = ours.loss(model(*inputs), target)
    loss.backward()
    gradients = [np.sort(p.grad.numpy().ravel()) for p in model.parameters() if p.ndim > 1]
    layers, state = torch_twin(model, ours.recipe.input_shape)
    *inputs, target = (torch.from_numpy(to_torch_layout(array, layers)) for array in batch)
    for channels_last in (False, True):
        theirs = TorchStep(torch, layers, inputs, target, SGD, channels_last)
        theirs.model.double()
        theirs.load(state)
        for layer in theirs.model:
            layer.train(not isinstance(layer, torch.nn.Dropout))
        assert loss.item() == pytest.approx(theirs.learn().item(), rel=1e-10)
        there = [np.sort(p.grad.numpy().ravel()) for p in theirs.model.parameters() if p.ndim > 1]
        for a, b in zip(gradients, there, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10 * np.abs(b).max())


@pytest.mark.parametrize("channels_last", [False, True])
def test_twin_learns_the_same(torch, rng, channels_last):
    """Three steps on both sides end in the same weights: loss, gradients and optimiser agree too."""
    ours = TrainingStep("chater.dcnn", batch_size=3)
    optimizer = {"name": "adam", "lr": ours.recipe.lr, "weight_decay": 0.0}
    theirs, _ = twin_of(torch, ours.model, ours.inputs[0], ours.target, optimizer, channels_last=channels_last)
    without_dropout(ours.model)
    for layer in theirs.model:
        layer.train(not isinstance(layer, torch.nn.Dropout))
    losses = [(ours(), theirs()) for _ in range(3)]
    assert np.allclose(*zip(*losses), rtol=1e-4)
    assert losses[0][0] != losses[1][0]
    last = list(theirs.model)[-1].weight.detach().numpy()
    assert np.allclose(ours.model[-1].weight.numpy(), last.T, atol=1e-5)


@pytest.mark.parametrize("name", optim.BY_NAME)
def test_an_optimisers_name_means_the_same_on_both_sides(torch, rng, name):
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    examples, labels = rng.normal(size=(6, 5)).astype(np.float32), rng.integers(3, size=6)
    settings = {"lr": 0.05, "weight_decay": 0.1}
    theirs, _ = twin_of(torch, model, examples, labels, {"name": name, **settings})
    optimizer = optim.build(name, model.parameters(), **settings)
    for _ in range(3):
        loss = ops.cross_entropy(model(Tensor(examples)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert np.isclose(loss.item(), theirs(), rtol=1e-5)
    assert np.allclose(model[-1].weight.numpy(), theirs.model[-1].weight.detach().numpy().T, atol=1e-5)


def odd_networks():
    """Layers and paddings that the registered models do not have."""
    yield (7, 6, 2), nn.Sequential(
        nn.Conv2d(2, 3, 2, stride=2, padding="same"), nn.BatchNorm2d(3), nn.LeakyReLU(0.3),
        nn.AvgPool2d(3, stride=2, padding="same"), nn.Flatten(), nn.BatchNorm1d(12), nn.Sigmoid(),
        nn.Linear(12, 3, bias=False))
    yield (9, 4, 2), nn.Sequential(
        nn.Conv2d(2, 3, (3, 1), padding=(1, 0), bias=False), nn.Tanh(), nn.MaxPool2d((2, 1), padding="same"),
        nn.Sequential(nn.Flatten()), nn.Linear(60, 3))
    yield (6, 2), nn.Sequential(nn.Conv1d(2, 3, 4, padding="same"), nn.MaxPool1d(3, stride=2, padding="same"),
                                nn.Flatten(), nn.Linear(9, 3))
    yield (6, 2), nn.Sequential(nn.LSTM(2, 3), nn.Flatten(), nn.Linear(18, 3))


@pytest.mark.parametrize("shape, model", list(odd_networks()))
def test_twin_of_odd_layers(torch, rng, shape, model):
    examples = rng.random((4, *shape))
    step, layers = twin_of(torch, model, examples, rng.integers(3, size=4))
    scores = step.scores([to_torch_layout(examples, layers)])
    check_same_scores(model.to(dtype=np.float64)(Tensor(examples)).numpy(), scores)


def test_another_network_is_refused(torch, rng):
    class Skips(nn.Module):
        def __init__(self):
            self.dense = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.dense(x)

    examples = rng.random((2, 4))
    step, _ = twin_of(torch, Skips(), examples, rng.integers(3, size=2))
    with pytest.raises(NoTwin, match="not the same network"):
        check_same_scores(Skips()(Tensor(examples, dtype=np.float32)).numpy(), step.scores([examples]))
    with pytest.raises(NoTwin, match=r"\(2, 4\), PyTorch's \(2, 3\)"):
        check_same_scores(np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(NoTwin, match="MinPool2d"):
        torch_twin(nn.MinPool2d(2), (4, 4, 1))
    with pytest.raises(NoTwin, match=r"Reshape: \(2, 2, 3\) has 3 channels"):
        torch_twin(nn.Reshape(2, 2, 3), (12,))


# ---- counting ----------------------------------------------------------------------------------------------

def test_flop_of_njoku_by_hand():
    """A multiplication and an addition each as one, from the paper's table of layers."""
    convs = [48 * 48 * 32 * 9 * 1, 46 * 46 * 64 * 9 * 32, 21 * 21 * 128 * 9 * 64, 8 * 8 * 256 * 9 * 128]
    dense = [4096 * 512, 512 * 7]
    images = 2
    forward = [images * 2 * products for products in (*convs, *dense)]
    backward = [forward[0]] + [2 * flop for flop in forward[1:]]        # no dx for the first layer
    step = TrainingStep("njoku.cnn", batch_size=images)
    with watch_kernels() as calls:
        step()
    multiplying = [call for call in calls if call.products]
    assert [call.forward_flop for call in multiplying] == forward
    assert [call.backward_flop for call in multiplying] == backward


def test_flop_of_an_lstm_by_hand(rng):
    layer = nn.LSTM(3, 5)
    x = rng.random((2, 7, 3), np.float32)
    with watch_kernels() as calls:
        layer(Tensor(x)).sum().backward()
        layer(Tensor(x, requires_grad=True)).sum().backward()
    w, u = 2 * 2 * 7 * 3 * 20, 2 * 2 * 7 * 5 * 20
    assert [call.forward_flop for call in calls] == [w + u, w + u]
    assert [call.backward_flop for call in calls] == [w + 2 * u, 2 * w + 2 * u]


def test_flop_of_lstms_in_one_go_is_that_of_each(rng):
    layers = nn.Sequential(nn.LSTM(3, 5), nn.LSTM(5, 4))
    with watch_kernels() as calls:
        y = layers(Tensor(rng.random((2, 7, 3), np.float32)))
        y.sum().backward()
        for layer, x in zip(layers, ((2, 7, 3), (2, 7, 5))):
            layer(Tensor(rng.random(x, np.float32), requires_grad=x[-1] == 5)).sum().backward()
    together, *each = calls
    assert [call.op for call in calls] == ["lstm_stack", "lstm", "lstm"]
    assert together.forward_flop == sum(call.forward_flop for call in each) > 0
    assert together.backward_flop == sum(call.backward_flop for call in each) > 0


def test_watching_changes_no_result_and_ends_with_the_block(rng):
    def losses():
        step = TrainingStep("chater.dcnn", batch_size=2)
        return [step(), step()]

    plain = losses()
    with watch_kernels() as calls:
        assert losses() == plain
    done = len(calls)
    assert done and losses() == plain and len(calls) == done
    assert kernels.find("relu_forward").__module__ == "nanoemo.kernels.activation"


def test_breakdown_has_each_operation_once_and_adds_up():
    step = TrainingStep("chater.dcnn", batch_size=2)
    found = break_down(step, count=2, warm_up=0)
    layers = [type(layer).__name__ for layer in step.model]
    assert [call.op for call in found.calls].count("conv2d_relu_max_pool2d") == layers.count("Conv2d") == 3
    assert found.calls[-1].op == "adam_step" and all(call.forward > 0 for call in found.calls)
    assert all(call.backward > 0 for call in found.calls[:-1])
    text = str(found)
    assert "2×48×48×1 · 3×3×1×32" in text and "12 arrays" in text and "outside kernels" in text
    json.dumps(found.as_dict(), allow_nan=False)


# ---- timing, memory, table ---------------------------------------------------------------------------------

def test_steps_take_turns_in_blocks():
    order = []
    times = in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, count=10, warm_up=1)
    assert "".join(order) == "ab" + "aaabbb" * 5
    assert [len(seconds) for seconds in times.values()] == [10, 10]


def test_threads_are_put_back(torch):
    import nanoemo
    before = nanoemo.get_num_threads(), torch.get_num_threads()
    with on_threads(1, torch):
        assert (nanoemo.get_num_threads(), torch.get_num_threads()) == (1, 1)
    assert (nanoemo.get_num_threads(), torch.get_num_threads()) == before


def test_gemm_rate_is_positive():
    assert gemm_rate(size=32, repeats=1) > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is measured on Linux only")
def test_memory_of_a_process_of_its_own():
    """It must not be that of this process, made large here on purpose, and must grow with the batch."""
    ballast = np.ones(40_000_000)
    small, large = (memory.measure_ours("chater.dcnn", batch, 1, 2) for batch in (1, 64))
    assert small.imported < small.peak < ballast.nbytes
    assert large.peak > small.peak + 64 * 46 * 46 * 32 * 4          # the first convolution's output
    assert len(small.seconds) == 2


def test_memory_process_that_fails_says_why():
    with pytest.raises(ChildProcessError, match="no model called 'nix'"):
        memory.measure_ours("nix", 1, 1, 1)


def test_the_torch_process_never_sees_nanoemo(torch):
    code = (f"import runpy, sys; runpy.run_path({memory.TORCH[-1]!r}); "
            "assert not [name for name in sys.modules if name.startswith('nanoemo')]")
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def result(**changes):
    alone = Alone(peak=300 * 2**20, imported=50 * 2**20, seconds=[1.0, 0.2])
    values = {"model": "njoku.cnn", "batch_size": 32, "parameters": 7, "flop": 20 * 10**9, "gemm": 1e11,
              "ours": Engine([0.2, 0.25, 0.3], alone=alone),
              "torch": Engine([0.5, 0.5, 0.5], "channels_last", {"contiguous": 0.6}, alone)}
    return Result(**{**values, **changes})


def test_row_of_the_table():
    row = report.table_row(result()).split()
    assert row == ["njoku.cnn", "32", "250.0", "500.0*", "0.50", "128", "80.0", "80", "%", "300", "300"]
    alone = report.table_row(result(torch=None, ours=Engine([0.25], alone=Alone(None, None, [1.0, 0.2])))).split()
    assert alone == ["njoku.cnn", "32", "250.0", "-", "-", "128", "80.0", "80", "%", "-", "-"]
    assert len({line.rfind("B") for line in report.HEADER.splitlines()[1:]}) == 1


def test_json_of_a_result():
    values = json.loads(json.dumps(result().as_dict(), allow_nan=False))
    assert values["ratio"] == 0.5 and values["gflops"] == 80 and values["of_gemm"] == 0.8
    assert values["nanoemo"]["quartiles_ms"] == [225.0, 275.0] and values["nanoemo"]["peak_mib"] == 300
    assert values["torch"]["layout"] == "channels_last"
    assert values["torch"]["other_layouts_median_ms"] == {"contiguous": 600}


# ---- the command -------------------------------------------------------------------------------------------

def test_command_against_torch(torch, capsys, tmp_path):
    file = tmp_path / "figures.json"
    assert main(["bench", "chater.dcnn", "--against", "torch", "--batch-size", "2", "--steps", "1",
                 "--threads", "1", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "threads: 1;" in out
    figures = json.loads(file.read_text())
    measured, = figures["models"]
    assert measured["model"] == "chater.dcnn" and measured["batch_size"] == 2
    assert f"{measured['ratio']:.2f}" in out
    assert figures["machine"]["torch"] == torch.__version__ and figures["machine"]["threads"] == 1
    if sys.platform.startswith("linux"):
        assert measured["torch"]["peak_mib"] > measured["torch"]["imported_mib"] > 0


def test_what_was_measured_is_kept_where_a_later_model_fails(capsys, tmp_path, monkeypatch):
    from nanoemo.bench import breakdown

    done, original = [], breakdown.break_down
    monkeypatch.setattr(breakdown, "break_down", lambda *given, **named: 1 / (not done) and done.append(1)
                        or original(*given, **named))
    file = tmp_path / "figures.json"
    with pytest.raises(ZeroDivisionError):
        main(["bench", "chater.dcnn", "njoku.cnn", "--profile", "--batch-size", "2", "--steps", "1", "--json", str(file)])
    assert [figures["model"] for figures in json.loads(file.read_text())["models"]] == ["chater.dcnn"]


def test_command_profile(capsys, tmp_path):
    file = tmp_path / "figures.json"
    assert main(["bench", "chater.dcnn", "--profile", "--batch-size", "2", "--steps", "1",
                 "--json", str(file)]) == 0
    assert "conv2d" in capsys.readouterr().out
    assert json.loads(file.read_text())["models"][0]["calls"][0]["op"] == "conv2d_relu_max_pool2d"


@pytest.mark.parametrize("arguments, message", [
    (["njoku.cn"], "did you mean njoku.cnn"),
    (["njoku.cnn", "--json", "no/such/folder/x.json"], "there is no folder no/such/folder"),
])
def test_command_refuses_before_it_measures(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == "" and captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--steps", "0"], ["--batch-size", "x"], ["--threads", "-1"],
                                       ["--against", "keras"], ["--against", "torch", "--profile"]])
def test_command_refuses_bad_options(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", *arguments])
    assert stopped.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_command_without_torch(monkeypatch, capsys):
    real = builtins.__import__

    def without_torch(name, *rest):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert main(["bench", "njoku.cnn", "--against", "torch"]) == 2
    err = capsys.readouterr().err
    assert "pip install torch" in err and err.count("\n") == 1


def test_rates_count_a_product_as_two_operations_a_term(monkeypatch):
    monkeypatch.setattr(timing, "_seconds", lambda function: 0.5)
    assert gemm_rate(size=4) == 2 * 4**3 / 0.5


def test_the_first_call_of_each_block_is_not_kept(monkeypatch):
    order = []

    def seconds(step):
        first = order[-1:] != [step]            # a block begins where another step was timed before
        order.append(step)
        return 9.0 if first else 1.0

    monkeypatch.setattr(timing, "_seconds", seconds)
    times = in_turn({"a": lambda: None, "b": lambda: None}, count=8)
    assert all(len(kept) >= 8 and set(kept) == {1.0} for kept in times.values())


def test_memory_is_counted_in_bytes():
    program = "print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        peak = memory._peak_resident(process.pid)
        assert peak is None or 1 << 20 < peak < 1 << 32
        assert peak is None or peak % 4096 == 0             # whole pages
        process.communicate(b"\n")


def test_what_is_outside_the_kernels_is_the_rest_of_the_step():
    found = break_down(TrainingStep("chater.dcnn", 2), count=1)
    kernels_alone = sum(call.forward + call.backward for call in found.calls)
    assert found.outside == pytest.approx(found.step - kernels_alone)
