"""On macOS: no sched_getaffinity, no /proc, and a BLAS library that threadpoolctl does not know (Apple's Accelerate)."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

AS_ON_MACOS = """
import os, pathlib, sys, sysconfig
import threadpoolctl

sysconfig.get_config_vars()                     # kept from here on: it reads a file named after the true platform
sys.platform = "darwin"
os.process_cpu_count = os.cpu_count             # Python 3.13's, which calls what goes now
if hasattr(os, "sched_getaffinity"):
    del os.sched_getaffinity
exists = pathlib.Path.exists
pathlib.Path.exists = lambda path, **options: not str(path).startswith("/proc") and exists(path, **options)
threadpoolctl.ThreadpoolController._load_libraries = lambda self: None
assert threadpoolctl.threadpool_info() == []
"""

LEARN = """
import nanoemo
from nanoemo import data, models, ops, optim

assert nanoemo.get_num_threads() in (1, os.cpu_count())         # 1 where OMP_NUM_THREADS says so
faces = data.drawn_faces(14)

def losses(threads):
    nanoemo.set_num_threads(threads)
    nanoemo.manual_seed(0)
    model = models.build("chater.dcnn")
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(4):
        loss = ops.cross_entropy(model(nanoemo.Tensor(faces.images / 255, dtype="float32")), faces.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()

alone, together = list(losses(1)), list(losses(3))
assert alone[-1] < alone[0] and max(abs(a - b) for a, b in zip(alone, together)) < 1e-4, (alone, together)
"""

COMMAND = """
from nanoemo.cli import main

sys.exit(main({!r}))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", AS_ON_MACOS + code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_network_learns_on_one_thread_and_on_three():
    run(LEARN)


def test_train(tmp_path):
    size = ["--limit", "14", "--batch-size", "7", "--epochs", "1"]
    run(COMMAND.format(["train", "chater.dcnn", *size, "--out", str(tmp_path / "run")]))
    assert (tmp_path / "run" / "report.html").is_file()


def test_bench_says_what_it_cannot_measure():
    out = run(COMMAND.format(["bench", "chater.dcnn", "--batch-size", "2", "--steps", "1", "--threads", "1"]))
    assert "BLAS library here multiplies on as many threads as it likes" in out
    assert "peak memory is not measured" in out
    assert out.splitlines()[-3].split()[-2:] == ["-", "-"], "the row of the table has figures of memory"
