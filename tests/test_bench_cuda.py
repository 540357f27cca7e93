"""`nanoemo bench --device cuda`: what is timed, what it is held against, table, file and documentation.

PyTorch runs on its GPU where it has one, else on the CPU: the same code but for capturing and memory. Nothing here is
asserted of a time.
"""
import contextlib
import functools
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nanoemo import Tensor, kernels, models, nn, ops
from nanoemo.bench import card_report, ceilings, on_card, torch_on_card
from nanoemo.bench.breakdown import break_down
from nanoemo.bench.calls import watch_kernels
from nanoemo.bench.card_report import CardResult, Contestant
from nanoemo.bench.ceilings import Ceilings, measure_ceilings
from nanoemo.bench.compare import torch_steps
from nanoemo.bench.steps import TrainingStep
from nanoemo.bench.timing import in_blocks
from nanoemo.cli import main
from nanoemo.models import registry

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
CEILINGS = Ceilings(gemm=4e12, gemm_tf32=16e12, copy=1e12)


@pytest.fixture
def tiny(monkeypatch):
    """The name of a model so small that kernels on the host are quick about it."""
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    monkeypatch.setattr(on_card, "in_blocks", functools.partial(in_blocks, blocks=2))

    recipe = models.Recipe(paper="", source="", data="", input_shape=(8, 8, 1), num_classes=3, epochs=1, batch_size=4,
                           optimizer="rmsprop", lr=0.01)

    @registry.register("tests.tiny", recipe)
    def tiny(num_classes, input_shape):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten(), nn.Dropout(0.5),
                             nn.Linear(72, num_classes))

    return "tests.tiny"


@pytest.fixture
def small_ceilings(monkeypatch):
    monkeypatch.setattr(ceilings, "SIZE", 16)
    monkeypatch.setattr(ceilings, "COPIED", 4096)


def gpu_of(torch):
    return "cuda" if torch.cuda.is_available() else "cpu"


# ---- watching ----------------------------------------------------------------------------------------------

def test_a_product_of_matrices_by_hand(device, rng):
    a = Tensor(rng.random((2, 3, 4), np.float32), device=device, requires_grad=True)
    b = Tensor(rng.random((4, 5), np.float32), device=device, requires_grad=True)
    with watch_kernels(device) as calls:
        (a @ b).sum().backward()
    assert [call.op for call in calls] == ["matmul"] * 3                    # y, da, db
    assert calls[0].shapes == ((2, 3, 4), (4, 5))
    assert [call.flop for call in calls] == [2 * 2 * 3 * 4 * 5] * 3
    a, b, y, db = 2 * 3 * 4, 4 * 5, 2 * 3 * 5, 2 * 4 * 5                    # db of each of the two, to be added up
    assert [call.bytes for call in calls] == [4 * (a + b + y), 4 * (y + b + a), 4 * (a + y + db)]


def test_a_product_makes_the_gradients_that_are_asked_for(device, rng):
    for wanted in (0, 1):
        pair = [Tensor(rng.random((3, 3)), device=device, requires_grad=i == wanted) for i in range(2)]
        with watch_kernels(device) as calls:
            (pair[0] @ pair[1]).sum().backward()
        assert len(calls) == 2 and pair[wanted].grad is not None and pair[1 - wanted].grad is None


def test_bytes_by_hand(device, rng):
    x = Tensor(rng.random((6, 8), np.float32), device=device)
    layer = nn.Linear(8, 3).to(device)
    labels = Tensor(np.array([0, 1, 2, 0, 1, 2]), device=device)
    with watch_kernels(device) as calls:
        ops.cross_entropy(ops.dropout(layer(x), 0.5, training=True), labels).backward()
    linear, dropout, loss = calls
    scores, weights = 6 * 3 * 4, (8 * 3 + 3) * 4
    assert linear.forward_bytes == 6 * 8 * 4 + weights + scores
    assert linear.backward_bytes == 6 * 8 * 4 + weights + scores + weights          # x and weights again, dy; dw and db
    assert (dropout.forward_bytes, dropout.backward_bytes) == (2 * scores, 2 * scores)
    assert (loss.forward_bytes, loss.backward_bytes) == (scores + 6 * 8 + 4, scores + 6 * 8 + 4 + scores)


def test_the_kernels_of_the_card_are_watched_and_change_no_result(card, tiny):
    def losses(watched):
        step = TrainingStep(tiny, device="cuda")
        with watch_kernels("cuda") if watched else contextlib.nullcontext([]) as calls:
            return [step(), step()], calls

    plain, _ = losses(False)
    seen, calls = losses(True)
    assert seen == plain
    assert [call.op for call in calls[:len(calls) // 2]] == ["conv2d", "relu", "batch_norm", "dropout", "linear",
                                                             "cross_entropy", "rmsprop_step"]
    assert all(call.bytes for call in calls)
    assert kernels.find("relu_forward", "cuda").__module__ == "nanoemo.kernels.activation_cupy"


def test_watching_waits_for_the_card_around_each_kernel(card, tiny):
    found = break_down(TrainingStep(tiny, device="cuda"), count=1, warm_up=0, device="cuda")
    assert found.calls[0].forward > 0 and "rmsprop_step" in str(found)
    assert found.as_dict()["calls"][0]["forward_mb"] == (4 * 64 + 9 * 2 + 2 + 4 * 36 * 2) * 4 / 1e6
    log = stand_in(card)
    step = TrainingStep(tiny, device="cuda")
    with watch_kernels("cuda") as calls:
        before = len(log.waits)
        step.learn(*step.batch)
    halves = sum(1 + (call.backward > 0) for call in calls)
    assert log.waits[before:] == ["device.synchronize"] * 2 * halves


def stand_in(card):
    log = getattr(card, "_device", None)
    if log is None:
        pytest.skip("waits are counted on the stand-in only")
    return log


# ---- timing ------------------------------------------------------------------------------------------------

def test_blocks_take_turns_and_wait_only_at_their_ends():
    order = []
    times = in_blocks({name: functools.partial(order.append, name) for name in "ab"}, 3, lambda: order.append("|"),
                      blocks=2, warm_up=1)
    assert "".join(order) == "ab" + "|aaa||bbb|" * 2
    assert [len(seconds) for seconds in times.values()] == [2, 2]


@pytest.mark.parametrize("kind", ["plain", "captured"])
def test_nothing_is_read_back_within_a_block(card, tiny, kind):
    log = stand_in(card)
    run = on_card._run(TrainingStep(tiny, device="cuda"), kind)
    run(), run()
    before = len(log.waits)
    run(), run()
    assert len(log.waits) == before


def test_ceilings_fit_into_the_memory_that_is_free(card, monkeypatch):
    monkeypatch.setattr(card.cuda.runtime, "memGetInfo", lambda: (30_000, 16 << 30))
    asked = {}
    monkeypatch.setattr(ceilings, "gemm_rate", lambda size: asked.setdefault("gemm", size))
    monkeypatch.setattr(ceilings, "copy_rate", lambda size: asked.setdefault("copy", size))
    measure_ceilings()
    assert asked == {"gemm": 32, "copy": 4096}          # 3 · 4 · 32² and 2 · 4096 are at most half of 30 000


# ---- PyTorch -----------------------------------------------------------------------------------------------

def test_against_torch(card, torch, tiny):
    device = gpu_of(torch)
    for tf32 in (False, True):
        result = on_card.measure(tiny, 3, 1, tf32, CEILINGS, torch, torch_device=device)
        assert result.tf32 == tf32 and result.batch_size == 3
        eager = result.torch["eager"]
        assert {eager.layout, *eager.others} == {"contiguous", "channels_last"}
        assert ("captured" in result.torch) == (device == "cuda") == (eager.peak is not None)
        assert result.ratios()["to_eager"] > 0 and (result.ratios()["to_captured"] is not None) == (device == "cuda")
        assert all(contestant.peak > 0 for contestant in result.ours.values())
        conv, linear = 2 * 3 * 36 * 2 * 9, 2 * 3 * 72 * 3
        assert result.flop == 2 * conv + 3 * linear             # the first layer needs no dx
        json.dumps(result.as_dict(), allow_nan=False)


def test_settings_are_put_back(card, torch, tiny, monkeypatch):
    def switches():
        return (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark)

    before, set_to = switches(), []
    from nanoemo.kernels import blas_cupy
    monkeypatch.setattr(blas_cupy, "allow_tf32", set_to.append)
    for tf32 in (False, True):
        with torch_on_card.settings(torch, tf32):
            assert switches() == (tf32, tf32, True)
        assert switches() == before
    with pytest.raises(ValueError, match="no model"):
        on_card.measure("nix", 1, 1, True, CEILINGS, torch, gpu_of(torch))
    assert set_to == [True, False] and switches() == before


def test_how_pytorch_is_recorded(torch, tiny):
    """In the order of PyTorch's manual, told by a CUDA that only writes down what is asked of it."""
    order = []

    class Stream:
        def wait_stream(self, other):
            order.append("wait")

    @contextlib.contextmanager
    def noted(name, *_):
        order.append(name)
        yield
        order.append(f"end of {name}")

    cuda = SimpleNamespace(Stream=Stream, current_stream=Stream, stream=functools.partial(noted, "stream"),
                           graph=functools.partial(noted, "graph"),
                           CUDAGraph=lambda: SimpleNamespace(replay=lambda: order.append("replay")))
    ours = TrainingStep(tiny)
    step = torch_steps(torch, ours)[0]["contiguous"]
    step.torch, learn = SimpleNamespace(cuda=cuda), step.learn
    step.learn = lambda: order.append("learn" if step.optimizer.param_groups[0]["params"][0].grad is None else "again")
    step.record().replay()
    assert order == ["wait", "stream", "learn", "learn", "learn", "end of stream", "wait",
                     "graph", "learn", "end of graph", "replay"]
    step.torch = torch
    assert learn().requires_grad


@pytest.mark.parametrize("name, told", [("sgd", False), ("rmsprop", True), ("adam", True), ("adamw", True)])
def test_optimisers_that_count_are_told_to_do_so_on_the_gpu(torch, tiny, name, told):
    ours = TrainingStep(tiny)
    ours.recipe = SimpleNamespace(**{**vars(ours.recipe), "optimizer": name})
    for capturable in (False, True):
        step = torch_steps(torch, ours, capturable=capturable)[0]["contiguous"]
        assert step.optimizer.defaults.get("capturable", False) == (capturable and told)


# ---- table and file ----------------------------------------------------------------------------------------

def result(**changes):
    values = {"model": "njoku.cnn", "batch_size": 32, "parameters": 7, "tf32": False, "flop": 2 * 10**9,
              "bytes": 5 * 10**8, "ceilings": CEILINGS,
              "ours": {"plain": Contestant([0.004], peak=90 << 20),
                       "captured": Contestant([0.001, 0.0005, 0.002], peak=80 << 20)},
              "torch": {"eager": Contestant([0.002], "channels_last", {"contiguous": 0.003}, 300 << 20),
                        "captured": Contestant([0.0008], "contiguous", peak=310 << 20)}}
    return CardResult(**{**values, **changes})


def test_row_of_the_table():
    assert card_report.table_row(result()).split() == [
        "njoku.cnn", "32", "off", "4.000", "1.000", "2.000*", "0.800", "0.50", "1.25", "2.00", "75", "%",
        "2000", "50", "%", "500", "50", "%", "80", "310"]
    alone = card_report.table_row(result(torch={}, tf32=True)).split()
    assert alone[2:10] == ["on", "4.000", "1.000", "-", "-", "-", "-", "-"] and alone[13:15] == ["12", "%"]
    assert len({len(line) for line in [*card_report.HEADER.splitlines(), card_report.table_row(result())]}) == 1


def test_goals():
    slow = result(torch={"eager": Contestant([0.0009]), "captured": Contestant([0.0001])})
    assert list(card_report.goals_met([result(), slow, result(torch={})])) == [
        "goal graph / eager <= 1: reached by 1 of 2", "goal graph / graph <= 1.5: reached by 1 of 2"]
    assert list(card_report.goals_met([result(torch={})])) == []


def test_json_of_a_result():
    values = json.loads(json.dumps(result().as_dict(), allow_nan=False))
    assert (values["to_eager"], values["to_captured"], values["plain_to_eager"]) == (0.5, 1.25, 2)
    assert (values["launches"], values["gflops"], values["gbs"], values["of_gemm"], values["of_copy"]) == (
        0.75, 2000, 500, 0.5, 0.5)
    assert values["torch"]["eager"]["other_layouts_median_ms"] == {"contiguous": 3}
    assert values["nanoemo"]["captured"]["quartiles_ms"] == [0.75, 1.5]


# ---- the command -------------------------------------------------------------------------------------------

def test_command(card, torch, tiny, small_ceilings, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(on_card, "measure", functools.partial(on_card.measure, torch_device=gpu_of(torch)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    file = tmp_path / "figures.json"
    assert main(["bench", tiny, "--device", "cuda", "--against", "torch", "--steps", "1", "--json", str(file)]) == 0
    out, figures = capsys.readouterr().out, json.loads(file.read_text())
    assert [row["tf32"] for row in figures["models"]] == [False, True]
    for row in figures["models"]:
        assert f"{row['to_eager']:.2f}" in out
    machine = figures["machine"]
    assert machine["card"] in out and {"cupy", "driver", "driver_cuda", "runtime_cuda", "torch"} <= set(machine)
    assert set(figures["ceilings"]) == {"gemm_gflops", "gemm_tf32_gflops", "copy_gbs"} and "goal graph / eager" in out
    table = make_table().table(file)
    assert sum(line.startswith(f"| {tiny} | 4 | o") for line in table) == 2


def test_command_goes_on_after_a_model_that_cannot_be_measured(card, torch, tiny, small_ceilings, monkeypatch, capsys, tmp_path):
    def measure(name, batch_size, steps, tf32, *rest):
        if not tf32:
            raise RuntimeError("capturing failed")
        return result(model=name, tf32=tf32)

    monkeypatch.setattr(on_card, "measure", measure)
    file = tmp_path / "figures.json"
    assert main(["bench", tiny, "--device", "cuda", "--json", str(file)]) == 2
    captured = capsys.readouterr()
    assert f"{tiny}, TF32 off: not measured: capturing failed\n" in captured.err and "goal graph / eager" in captured.out
    assert captured.err.endswith(f"nanoemo bench: error: not measured, for the reasons above: {tiny}, TF32 off\n")
    assert [row["tf32"] for row in json.loads(file.read_text())["models"]] == [True]


def test_command_profile(card, tiny, capsys):
    assert main(["bench", tiny, "--device", "cuda", "--profile", "--steps", "1"]) == 0
    assert "batch_norm" in capsys.readouterr().out


def test_command_refuses_before_it_measures(card, torch, tiny, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options, message in ((["--threads", "2"], "--threads is for --device cpu"),
                             (["--against", "torch"], "finds no GPU")):
        assert main(["bench", tiny, "--device", "cuda", *options]) == 2
        captured = capsys.readouterr()
        assert message in captured.err and captured.out == "" and captured.err.count("\n") == 1


def test_command_without_a_card(tiny, monkeypatch, capsys):
    monkeypatch.setattr("nanoemo.backend.why_no_cuda", lambda: "no card: buy one")
    assert main(["bench", tiny, "--device", "cuda"]) == 2
    captured = capsys.readouterr()
    assert "buy one" in captured.err and captured.out == ""


# ---- the documentation -------------------------------------------------------------------------------------

def make_table():
    spec = importlib.util.spec_from_file_location("make_table", DOCS / "make_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documentation_shows_what_was_measured_on_a_card_or_that_nothing_was():
    module, page = make_table(), (DOCS / "README.md").read_text()
    from_a_card = [file for file in sorted(DOCS.glob("*.json")) if "card" in json.loads(file.read_text())["machine"]]
    for lines in [module.table(file) for file in from_a_card] or [module.not_measured()]:
        assert "\n".join(lines) in page


def test_the_documentation_shows_what_was_measured_on_processors():
    module, page, readme = make_table(), (DOCS / "README.md").read_text(), (DOCS.parent.parent / "README.md").read_text()
    for file in DOCS.glob("*.json"):
        assert all(line in page for line in module.table(file) if line.startswith("|")), file
    newest = [model for file in DOCS.glob("2026-11-23-epyc-*.json") for model in json.loads(file.read_text())["models"]]
    as_fast, fast = (sum(model["ratio"] <= bound for model in newest) for bound in (1, 2 / 3))
    assert (as_fast, fast, len(newest)) == (18, 13, len(models.names()))
    assert "Eighteen of the 21 take as long as PyTorch or less, thirteen of those two thirds as long or less" in page
    assert "on two cores of an AMD EPYC 18 of the 21 networks take no longer than there" in readme.replace("\n", " ")


def test_a_table_takes_the_place_of_nothing(tmp_path):
    module, page, file = make_table(), tmp_path / "page.md", tmp_path / "figures.json"
    file.write_text(json.dumps({"machine": {"card": "C"}, "ceilings": CEILINGS.as_dict(), "models": [result().as_dict()]}))
    page.write_text("\n".join(["before", *module.not_measured(), "after"]))
    module.put_into(page, file)
    assert page.read_text().splitlines() == ["before", *module.table(file), "after"]
    with pytest.raises(SystemExit, match="measured already"):
        module.put_into(page, file)


def test_table_of_what_was_not_measured():
    rows = list(make_table().not_measured())[2:]
    assert len(rows) == len(models.names()) and all("not measured" in row for row in rows)


def test_table_of_a_figures_file(tmp_path):
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"machine": {"card": "C"}, "ceilings": CEILINGS.as_dict(),
                                "models": [result().as_dict(), result(torch={}).as_dict()]}))
    lines = list(make_table().table(file))
    assert lines[0] == "card C; GEMM 4000 GFLOP/s, with TF32 16000; copy 1000 GB/s"
    assert lines[-2] == ("| njoku.cnn | 32 | off | 4.000 | 1.000 (0.750–1.500) | 2.000 | 0.800 | 0.50 | 1.25 | 2.00 "
                         "| 75 % | 2000 (50 %) | 500 (50 %) | 80 | 310 |")
    assert "| – | – | – | – | – | 75 %" in lines[-1]
    assert len({line.count("|") for line in lines[2:]}) == 1


def test_show_time_draws_the_file(tmp_path):
    """The captured step, with TF32 and without."""
    from nanoemo.cli.show_records import times_of_steps
    file = tmp_path / "card.json"
    file.write_text(json.dumps({"models": [result(tf32=tf32).as_dict() for tf32 in (False, True)]}))
    seconds, notes = times_of_steps([file])
    assert seconds == {"njoku.cnn": pytest.approx(0.001), "njoku.cnn, TF32": pytest.approx(0.001)}
    assert set(notes.values()) == {"batches of 32"}
