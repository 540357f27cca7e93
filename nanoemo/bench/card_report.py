"""What was measured on a GPU, as a table for people and as plain data for a JSON file."""
import shutil
import subprocess
from dataclasses import dataclass, field

from nanoemo import backend
from nanoemo.bench.ceilings import Ceilings
from nanoemo.bench.report import Timed, mib

__all__ = ["GOALS", "HEADER", "CardResult", "Contestant", "describe_card", "goals_met", "table_row"]

GOALS = {"to_eager": 1.0, "to_captured": 1.5}


@dataclass
class Contestant(Timed):
    """One kind of step, timed by block. peak: bytes of the card, None where that was not measured"""
    peak: int | None = None
    SECONDS = "blocks_ms"

    def as_dict(self):
        """For JSON, times in milliseconds, memory in MiB."""
        return super().as_dict() | {"peak_mib": mib(self.peak)}


@dataclass
class CardResult:
    """One model, TF32 on or off. flop, bytes: that a step costs at least (nanoemo/bench/work.py)

    ours: {"plain" and "captured": Contestant}; torch: {"eager" and "captured"}, those of them that were measured
    """
    model: str
    batch_size: int
    parameters: int
    tf32: bool
    flop: int
    bytes: int
    ceilings: Ceilings
    ours: dict
    torch: dict = field(default_factory=dict)

    def ratios(self):
        """{name: our time over PyTorch's}; below 1 we are faster. None where PyTorch's was not measured."""
        plain, captured = self.ours["plain"].median, self.ours["captured"].median
        eager, graph = (self.torch[kind].median if kind in self.torch else None for kind in ("eager", "captured"))
        return {"to_eager": eager and captured / eager, "to_captured": graph and captured / graph,
                "plain_to_eager": eager and plain / eager}

    @property
    def launches(self):
        """The part of our plain step that capturing saves: Python, and launching kernels one by one."""
        return 1 - self.ours["captured"].median / self.ours["plain"].median

    def as_dict(self):
        """For JSON."""
        seconds = self.ours["captured"].median
        return {"model": self.model, "batch_size": self.batch_size, "parameters": self.parameters, "tf32": self.tf32,
                "images_per_second": self.batch_size / seconds, "gflop": self.flop / 1e9, "gb": self.bytes / 1e9,
                "gflops": self.flop / seconds / 1e9, "gbs": self.bytes / seconds / 1e9,
                "of_gemm": self.flop / seconds / self.ceilings.of_products(self.tf32),
                "of_copy": self.bytes / seconds / self.ceilings.copy, "launches": self.launches, **self.ratios(),
                "nanoemo": {kind: contestant.as_dict() for kind, contestant in self.ours.items()},
                "torch": {kind: contestant.as_dict() for kind, contestant in self.torch.items()}}


def goals_met(results):
    """A line for each goal: how many of the results that could be compared reach it."""
    for name, text in (("to_eager", "graph / eager"), ("to_captured", "graph / graph")):
        ratios = [ratio for result in results if (ratio := result.ratios()[name]) is not None]
        if ratios:
            reached = sum(ratio <= GOALS[name] for ratio in ratios)
            yield f"goal {text} <= {GOALS[name]:g}: reached by {reached} of {len(ratios)}"


def _row(model, batch, tf32, plain, ours, eager, torch, to_eager, to_graph, plain_to_eager, launches, gflops, of_gemm,
         gbs, of_copy, memory, torch_memory):
    return (f"{model:<22} {batch:>5} {tf32:>4}  {plain:>8} {ours:>8}  {eager:>9} {torch:>9}  "
            f"{to_eager:>7} {to_graph:>7} {plain_to_eager:>7}  {launches:>8}  "
            f"{gflops:>7} {of_gemm:>7}  {gbs:>6} {of_copy:>7}  {memory:>8} {torch_memory:>8}").rstrip()


HEADER = "\n".join([
    _row("", "", "", "nanoemo", "nanoemo", "PyTorch ", "PyTorch ", "graph /", "graph /", "plain /", "", "", "", "", "",
         "nanoemo", "PyTorch"),
    _row("model", "batch", "TF32", "plain ms", "graph ms", "eager ms ", "graph ms ", "eager", "graph", "eager",
         "launches", "GFLOP/s", "of GEMM", "GB/s", "of copy", "peak MiB", "peak MiB")])


def table_row(result):
    """The line of `result` under `HEADER`; a dash for what was not measured. "*": PyTorch's channels-last."""
    values = result.as_dict()
    ours, torch = values["nanoemo"], values["torch"]
    ratios = [_or_dash(values[name], "{:.2f}") for name in ("to_eager", "to_captured", "plain_to_eager")]
    return _row(result.model, result.batch_size, "on" if result.tf32 else "off",
                f"{ours['plain']['median_ms']:.3f}", f"{ours['captured']['median_ms']:.3f}",
                _time(torch.get("eager")), _time(torch.get("captured")), *ratios,
                f"{100 * values['launches']:.0f} %", f"{values['gflops']:.0f}", f"{100 * values['of_gemm']:.0f} %",
                f"{values['gbs']:.0f}", f"{100 * values['of_copy']:.0f} %",
                _or_dash(ours["captured"]["peak_mib"], "{:.0f}"),
                _or_dash(torch.get("captured", {}).get("peak_mib"), "{:.0f}"))


def _time(contestant):
    if contestant is None:
        return "- "
    return f"{contestant['median_ms']:.3f}{'*' if contestant['layout'] == 'channels_last' else ' '}"


def _or_dash(value, form):
    return "-" if value is None else form.format(value)


def describe_card(torch=None):
    """What a figure means nothing without: card, driver, versions."""
    cupy = backend.card_module()
    about = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    found = {"card": about["name"].decode(), "card_mib": mib(about["totalGlobalMem"]),
             "compute_capability": cupy.cuda.Device().compute_capability, "driver": _driver(),
             "driver_cuda": _version(cupy.cuda.runtime.driverGetVersion()),
             "runtime_cuda": _version(cupy.cuda.runtime.runtimeGetVersion()), "cupy": cupy.__version__}
    if torch:
        found |= {"torch_cuda": torch.version.cuda, "torch_cudnn": torch.backends.cudnn.version()}
    return found


def _version(number):
    """
    >>> _version(12090)
    '12.9'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver():
    """The driver's own version, where NVIDIA's tool is there to tell it."""
    if not shutil.which("nvidia-smi"):
        return None
    answer = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], check=False,
                            capture_output=True, text=True)
    return (answer.stdout.strip().splitlines() or [None])[0]
