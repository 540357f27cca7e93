"""Prints the Markdown table of a file that `nanoemo bench --against torch --json FILE` wrote, on the CPU or on a GPU.

    python docs/benchmarks/make_table.py docs/benchmarks/2026-11-23-xeon-2-cores.json

Without a file it prints the table of a GPU on which nothing was measured. With a page as well,

    python docs/benchmarks/make_table.py docs/benchmarks/DATE-CARD.json docs/benchmarks/README.md

it puts the table of the file into the page, in the place of that one.
"""
import json
import sys
from pathlib import Path

COLUMNS = "model", "batch", "nanoemo ms", "PyTorch ms", "ratio", "PyTorch alone ms", "nanoemo MiB", "PyTorch MiB"
GPU_COLUMNS = ("model", "batch", "TF32", "nanoemo plain ms", "nanoemo graph ms", "PyTorch eager ms", "PyTorch graph ms",
               "graph / eager", "graph / graph", "plain / eager", "launches", "GFLOP/s (of GEMM)", "GB/s (of copy)",
               "nanoemo MiB", "PyTorch MiB")


def table(file):
    """The lines: what was measured on, then a row a model; quartiles in brackets."""
    figures = json.loads(Path(file).read_text())
    machine = "; ".join(f"{name} {value}" for name, value in figures["machine"].items() if value is not None)
    if "card" in figures["machine"]:
        ceilings = figures["ceilings"]
        yield (f"{machine}; GEMM {ceilings['gemm_gflops']:.0f} GFLOP/s, with TF32 {ceilings['gemm_tf32_gflops']:.0f}; "
               f"copy {ceilings['copy_gbs']:.0f} GB/s")
        yield ""
        yield from _lines(GPU_COLUMNS, map(_gpu_cells, figures["models"]))
    else:
        yield machine
        yield ""
        yield from _lines(COLUMNS, map(_cells, figures["models"]))


def not_measured():
    """The lines of the GPU's table where there is no file: the models, and that they were not measured."""
    from nanoemo import models

    empty = [""] * (len(GPU_COLUMNS) - 4)
    yield from _lines(GPU_COLUMNS, ([name, models.recipe(name).batch_size, "off, on", "not measured", *empty]
                                    for name in models.names()))


def put_into(page, file):
    """Write the table of `file` where the page has that of a GPU with nothing measured. SystemExit where it has none."""
    text, nothing = page.read_text(encoding="utf-8"), "\n".join(not_measured())
    if nothing not in text:
        sys.exit(f"{page}: nothing to replace: it has a table that was measured already. Put this one in by hand:\n"
                 + "\n".join(table(file)))
    page.write_text(text.replace(nothing, "\n".join(table(file))), encoding="utf-8")


def _lines(columns, rows):
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for cells in rows:
        yield "| " + " | ".join(map(str, cells)) + " |"


def _cells(model):
    ours, theirs = model["nanoemo"], model["torch"]
    return [model["model"], model["batch_size"], _time(ours), _time(theirs), f"{model['ratio']:.2f}",
            f"{theirs['alone_median_ms']:.1f}", f"{ours['peak_mib']:.0f}", f"{theirs['peak_mib']:.0f}"]


def _gpu_cells(model):
    ours, theirs = model["nanoemo"], model["torch"]
    eager, graph = theirs.get("eager", {}), theirs.get("captured", {})
    return [model["model"], model["batch_size"], "on" if model["tf32"] else "off", _time(ours["plain"], 3),
            _time(ours["captured"], 3), _time(eager, 3), _time(graph, 3),
            *(_or_dash(model[ratio], 2) for ratio in ("to_eager", "to_captured", "plain_to_eager")),
            f"{100 * model['launches']:.0f} %", f"{model['gflops']:.0f} ({100 * model['of_gemm']:.0f} %)",
            f"{model['gbs']:.0f} ({100 * model['of_copy']:.0f} %)", _or_dash(ours["captured"]["peak_mib"], 0),
            _or_dash(graph.get("peak_mib"), 0)]


def _time(engine, digits=1):
    """Median, and quartiles where they differ from it; a dash for what was not measured."""
    if not engine:
        return "–"
    low, high = engine["quartiles_ms"]
    median = f"{engine['median_ms']:.{digits}f}"
    return median if low == high else f"{median} ({low:.{digits}f}–{high:.{digits}f})"


def _or_dash(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    if len(sys.argv) > 3:
        sys.exit(__doc__)
    if len(sys.argv) == 3:
        put_into(Path(sys.argv[2]), sys.argv[1])
    else:
        print("\n".join(table(sys.argv[1]) if len(sys.argv) == 2 else not_measured()))
