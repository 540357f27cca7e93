"""What was measured, as a table for people and as a JSON file for the documentation."""
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from nanoemo.bench.memory import Alone

__all__ = ["HEADER", "Engine", "Result", "Timed", "describe_machine", "table_row"]


@dataclass
class Timed:
    """What steps of one kind took. seconds: of one step, each taken in turn with those of the other kinds

    layout: of PyTorch's images in memory, the faster one; others: median seconds in the slower ones
    """
    seconds: list
    layout: str | None = None
    others: dict = field(default_factory=dict)
    SECONDS = "steps_ms"            # the name of `seconds` in JSON

    @classmethod
    def faster(cls, layouts):
        """The layout in which PyTorch was faster. layouts: {layout: seconds}"""
        best, *others = sorted((cls(seconds, layout) for layout, seconds in layouts.items()), key=lambda timed: timed.median)
        best.others = {timed.layout: timed.median for timed in others}
        return best

    @property
    def median(self):
        return statistics.median(self.seconds)

    def as_dict(self):
        """For JSON, times in milliseconds."""
        values = {"median_ms": 1e3 * self.median, "quartiles_ms": [1e3 * q for q in quartiles(self.seconds)],
                  self.SECONDS: [1e3 * seconds for seconds in self.seconds]}
        if self.layout:
            values |= {"layout": self.layout,
                       "other_layouts_median_ms": {name: 1e3 * median for name, median in self.others.items()}}
        return values


@dataclass
class Engine(Timed):
    """The steps of one engine. alone: what it took and held in a process of its own"""
    alone: Alone | None = None

    def as_dict(self):
        """For JSON, times in milliseconds, memory in MiB."""
        return super().as_dict() | {"peak_mib": mib(self.alone.peak), "imported_mib": mib(self.alone.imported),
                                    "alone_median_ms": 1e3 * statistics.median(self.alone.seconds[1:])}


@dataclass
class Result:
    """One model. flop: of a step, as nanoemo/bench/calls.py counts them; gemm: the machine's, a second."""
    model: str
    batch_size: int
    parameters: int
    flop: int
    gemm: float
    ours: Engine
    torch: Engine | None = None

    @property
    def ratio(self):
        """Our time over PyTorch's: below 1 we are faster."""
        return self.ours.median / self.torch.median

    def as_dict(self):
        """For JSON."""
        values = {"model": self.model, "batch_size": self.batch_size, "parameters": self.parameters,
                  "images_per_second": self.batch_size / self.ours.median, "gflop": self.flop / 1e9,
                  "gflops": self.flop / self.ours.median / 1e9,
                  "of_gemm": self.flop / self.ours.median / self.gemm, "nanoemo": self.ours.as_dict()}
        if self.torch:
            values |= {"torch": self.torch.as_dict(), "ratio": self.ratio}
        return values


def mib(size):
    """Bytes in MiB; None stays None.

    >>> mib(3 * 2**20), mib(None)
    (3.0, None)
    """
    return None if size is None else size / 2**20


def quartiles(values):
    """The values below which a quarter, and three quarters, of them lie."""
    if len(values) < 2:
        return [values[0], values[0]]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [first, third]


def _row(model, batch, ours, torch, ratio, rate, gflops, of_gemm, memory, torch_memory):
    return (f"{model:<24} {batch:>5}  {ours:>9} {torch:>9}  {ratio:>5}  {rate:>8}  {gflops:>7} {of_gemm:>7}  "
            f"{memory:>8} {torch_memory:>8}").rstrip()


HEADER = "\n".join([_row("", "", "nanoemo", "PyTorch", "", "", "", "", "nanoemo", "PyTorch"),
                    _row("model", "batch", "ms", "ms", "ratio", "images/s", "GFLOP/s", "of GEMM", "peak MiB",
                         "peak MiB")])


def table_row(result):
    """The line of `result` under `HEADER`; a dash for what was not measured. "*": PyTorch's channels-last."""
    values = result.as_dict()
    torch = values.get("torch", {})
    time = f"{torch['median_ms']:.1f}{'*' if torch['layout'] == 'channels_last' else ' '}" if torch else "-"
    return _row(result.model, result.batch_size, f"{values['nanoemo']['median_ms']:.1f}", time,
                f"{result.ratio:.2f}" if torch else "-", f"{values['images_per_second']:.0f}",
                f"{values['gflops']:.1f}", f"{100 * values['of_gemm']:.0f} %",
                _rounded(values["nanoemo"]["peak_mib"]), _rounded(torch.get("peak_mib")))


def _rounded(value):
    return "-" if value is None else f"{value:.0f}"


def describe_machine(threads, torch=None):
    """What a figure means nothing without: processor, threads, versions."""
    from nanoemo.training.versions import versions

    found = {"processor": _processor(), "threads": threads, **versions()}
    return found | ({"torch": torch.__version__} if torch else {})


def _processor():
    """The processor's name, where the system tells it."""
    if sys.platform == "darwin":
        asked = subprocess.run("sysctl -n machdep.cpu.brand_string", shell=True, capture_output=True, text=True)
        return asked.stdout.strip() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                platform.processor() or platform.machine())
