"""Prints the Markdown table of a file that `nanoemo bench --against torch --json FILE` wrote.

    python docs/benchmarks/make_table.py docs/benchmarks/2026-11-21-xeon-2-cores.json
"""
import json
import sys
from pathlib import Path

COLUMNS = "model", "batch", "nanoemo ms", "PyTorch ms", "ratio", "PyTorch alone ms", "nanoemo MiB", "PyTorch MiB"


def table(file):
    """The lines: what was measured on, then a row a model; quartiles in brackets."""
    figures = json.loads(Path(file).read_text())
    yield "; ".join(f"{name} {value}" for name, value in figures["machine"].items() if value is not None)
    yield ""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + "---|" * len(COLUMNS)
    for model in figures["models"]:
        ours, theirs = model["nanoemo"], model["torch"]
        cells = [model["model"], model["batch_size"], _time(ours), _time(theirs), f"{model['ratio']:.2f}",
                 f"{theirs['alone_median_ms']:.1f}", f"{ours['peak_mib']:.0f}", f"{theirs['peak_mib']:.0f}"]
        yield "| " + " | ".join(map(str, cells)) + " |"


def _time(engine):
    low, high = engine["quartiles_ms"]
    return f"{engine['median_ms']:.1f} ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(table(sys.argv[1])))
