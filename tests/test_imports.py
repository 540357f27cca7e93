"""Who may import whom, and what `import nanoemo` costs."""
import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import nanoemo

PACKAGE = Path(nanoemo.__file__).parent
KERNELS = Path(nanoemo.kernels.__path__[0])

# From the bottom up. A part imports from its own layer and from layers below, never from above.
LAYERS = [
    ("kernels",),
    ("backend", "live", "random", "files", "hints", "bar", "page_locked"),
    ("modes",),
    ("conversion",),
    ("tensor",),
    ("capture", "gradcheck", "graph_memory", "ops"),
    ("nn", "optim"),
    ("models", "summary", "serialization", "card_memory", "interpret"),
    ("training", "viz"),
    ("recognition", "reproduction"),
    ("cli", "bench", "__main__"),
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
NO_TENSOR = ("data", "features")            # they make arrays, for any framework
ALLOWED_WITHOUT_TENSOR = ("data", "features", "files", "hints", "bar")
DEFINED_IN = {       # what `from nanoemo import` gives that is no part itself
    "Tensor": "tensor", "no_grad": "modes", "detect_anomaly": "modes", "is_grad_enabled": "modes",
    "manual_seed": "random", "set_default_device": "backend", "get_num_threads": "backend",
    "set_num_threads": "backend", "save_state": "serialization", "load_state": "serialization",
    "load_metadata": "serialization", "__version__": "backend"}


def part_of(path):
    """The part of the library that a source file belongs to."""
    if KERNELS in path.parents:
        return "kernels"
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(source):
    """(line, part) of each import of the package itself, those inside functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"line {node.lineno}: a relative import; write `from nanoemo... import`")
        if isinstance(node, ast.ImportFrom) and node.module == "nanoemo":
            yield from ((node.lineno, DEFINED_IN.get(alias.name, alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nanoemo."):
            yield node.lineno, node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[1]) for alias in node.names
                        if alias.name.startswith("nanoemo."))


def sources():
    return [path for path in sorted([*PACKAGE.rglob("*.py"), *KERNELS.glob("*.py")])
            if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", sources(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_go_one_way(path):
    part = part_of(path)
    assert part in LEVEL or part in NO_TENSOR, f"{part} has no place in LAYERS yet"
    for line, other in imported_parts(path.read_text(encoding="utf-8")):
        if part in NO_TENSOR:
            assert other in ALLOWED_WITHOUT_TENSOR, f"{path}:{line}: {part} must not know {other}"
        elif other in LEVEL:
            assert LEVEL[other] <= LEVEL[part], f"{path}:{line}: {part} must not import {other}, above it"
        else:
            assert other in NO_TENSOR, f"{path}:{line}: {other} has no place in LAYERS yet"
            assert LEVEL[part] >= LEVEL["training"], f"{path}:{line}: {part} must not know {other}"


def test_the_rule_notices_a_wrong_import():
    assert list(imported_parts("from nanoemo import Tensor\nfrom nanoemo.nn.module import Module")) == [
        (1, "tensor"), (2, "nn")]
    assert LEVEL["nn"] > LEVEL["ops"] > LEVEL["tensor"] > LEVEL["kernels"]
    with pytest.raises(AssertionError, match="relative import"):
        list(imported_parts("from . import tensor"))


def run(code):
    """Standard output of `code` in a fresh interpreter that finds this checkout."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=True).stdout


def test_what_comes_on_demand_is_listed_before_it_has_come():
    out = run("import nanoemo, sys; print({'data', 'features', 'training', 'Tensor'} <= set(dir(nanoemo)), "
              "'nanoemo.data' in sys.modules, nanoemo.features.__name__)")
    assert out == "True False nanoemo.features\n"


def test_import_needs_numpy_alone():
    loaded = json.loads(run("import sys, json, numpy.random; before = set(sys.modules); import nanoemo; "
                            "print(json.dumps(sorted(set(sys.modules) - before)))"))
    packages = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert packages == {"nanoemo"}


def test_import_takes_little_more_than_that_of_numpy():
    # 0.3 s is the promise; NumPy takes some 0.07 s of it, so what comes on top may take twice as long as that. As a
    # ratio, since machines differ. Processor time, and the least of several: other work only adds.
    code = ("import time; start = time.process_time(); import numpy; middle = time.process_time(); "
            "import nanoemo; print((time.process_time() - middle) / (middle - start))")
    assert min(float(run(code)) for _ in range(5)) < 2
