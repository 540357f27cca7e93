"""Peak memory of one engine's training steps, measured in a process of its own.

What is measured is the largest resident set that the process ever had: every page of memory in use, those of
the Python interpreter, of NumPy or PyTorch and of all other libraries included. How much there was when the
libraries were imported, before there was a network, is given beside it. It is read from Linux's
/proc/<process>/status (VmHWM); `ru_maxrss` would not do, since a process inherits it from the one that starts
it. Where there is no such file, memory is not measured.
"""
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nanoemo.bench import torch_step

__all__ = ["Alone", "measure_ours", "measure_torch"]

OURS = [sys.executable, "-m", "nanoemo.bench.memory"]
# -P: the folder of the script must not come first where modules are looked for.
TORCH = [sys.executable, "-P", torch_step.__file__]


@dataclass
class Alone:
    """Measured in a process of its own: bytes (None where they are not measured), seconds of each step."""
    peak: int | None
    imported: int | None
    seconds: list


def measure_ours(name, batch_size, threads, steps):
    """`Alone` for `steps` training steps of our model `name`. ChildProcessError where the process fails."""
    return _measure(OURS, {"model": name, "batch_size": batch_size, "threads": threads, "steps": steps})


def measure_torch(task):
    """The same for PyTorch; task: what `torch_step.main` reads."""
    return _measure(TORCH, task)


def _measure(command, task):
    package_home = str(Path(__file__).resolve().parent.parent.parent)
    path = os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process, _killed_on_error(process):
        _answer(process)
        imported = _peak_resident(process.pid)
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        seconds = json.loads(_answer(process))
        peak = _peak_resident(process.pid)
        process.communicate("\n")
    return Alone(peak, imported, seconds)


@contextmanager
def _killed_on_error(process):
    try:
        yield
    except BaseException:
        process.kill()
        raise


def _answer(process):
    line = process.stdout.readline()
    if not line:
        last = (process.stderr.read().strip().splitlines() or ["no message"])[-1]
        raise ChildProcessError(f"the process that was to measure memory ended early: {last}")
    return line


def _peak_resident(pid):
    """Largest resident set of a process so far, in bytes; None where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(kib) * 1024


def main():
    """The process that measures ours: as `torch_step.main`, for a model of the registry."""
    from nanoemo.bench.steps import TrainingStep
    from nanoemo.bench.timing import on_threads

    print("ready", flush=True)
    task = json.loads(sys.stdin.readline())
    with on_threads(task["threads"]):
        step = TrainingStep(task["model"], task["batch_size"])
        seconds = []
        for _ in range(task["steps"]):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
