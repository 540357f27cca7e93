"""The GPU's half of kernels/ fits the CPU's: a twin for every kernel, a CUDA kernel for every launch. Needs no card."""
import ast
import importlib
import inspect

import pytest

from nanoemo import kernels
from nanoemo.kernels import cuda

TWINS = sorted(cuda.FOLDER.glob("*_cupy.py"))
FAST = [name for name in kernels.names() if not name.endswith("_plain")]


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_of(path):
    return {node.name: node for node in parsed(path).body if isinstance(node, ast.FunctionDef)}


def exported(path):
    """`__all__` of a file, without importing it (CuPy may be missing)."""
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return set(eval(compile(ast.Expression(node.value), str(path), "eval")))      # may be a comprehension
    return set()


def signature(node):
    """Names and defaults of a function's parameters, as text."""
    return ast.unparse(node.args)


@pytest.mark.parametrize("family", kernels.FAMILIES)
def test_every_kernel_has_a_twin_of_the_same_signature(family):
    numpy_module = importlib.import_module(f"nanoemo.kernels.{family}")
    wanted = {name for name in numpy_module.__all__ if not name.endswith("_plain")}
    twin = cuda.FOLDER / f"{family}_cupy.py"
    assert exported(twin) == wanted
    twins = functions_of(twin)
    for name in wanted:
        ours, theirs = inspect.signature(getattr(numpy_module, name)), signature(twins[name]) if name in twins else None
        if theirs is not None:
            assert str(ours)[1:-1] == theirs, name


@pytest.mark.parametrize("name", FAST)
def test_twins_signature_when_loaded(card, name):
    """Those that are made by a function, too."""
    assert inspect.signature(kernels.find(name)) == inspect.signature(kernels.find(name, "cuda"))


def launches(path):
    """(line, kernel, number of arguments or None where some are starred) of every launch that names its kernel."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("launch"):
            kernel, _, *arguments = node.args
            if isinstance(kernel, ast.Constant):
                starred = any(isinstance(argument, ast.Starred) for argument in arguments)
                yield node.lineno, kernel.value, None if starred else len(arguments)


def cuda_files(path):
    """The `.cu` files that a twin opens."""
    return [cuda.CudaFile(node.args[0].value) for node in ast.walk(parsed(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "CudaFile"]


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.name)
def test_every_launch_finds_its_kernel(path):
    declared = {name: parameters for file in cuda_files(path) for name, parameters in file.kernels.items()}
    for line, kernel, count in launches(path):
        assert kernel in declared, f"{path.name}:{line}: no kernel {kernel}"
        if count is not None:
            assert count == len(declared[kernel]), f"{path.name}:{line}: {kernel} takes {len(declared[kernel])} arguments"


@pytest.mark.parametrize("path", sorted(cuda.FOLDER.glob("*.cu")), ids=lambda path: path.name)
def test_no_kernel_is_left_over(path):
    texts = [node.value for twin in TWINS for node in ast.walk(parsed(twin))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]      # the parts of f-strings included
    for kernel in cuda.CudaFile(path.name).kernels:
        parts = [text for text in texts if text and (kernel == text or text.endswith("_") and kernel.startswith(text))]
        assert parts, f"{path.name}: nobody launches {kernel}"


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.name)
def test_twins_do_not_compute_with_numpy(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            assert node.attr in ALLOWED_OF_NUMPY, f"{path.name}:{node.lineno}: np.{node.attr} where cp.{node.attr} belongs"


# Types, structs that are passed to a kernel by value, and sums over shapes.
ALLOWED_OF_NUMPY = {"dtype", "array", "zeros", "cumsum", "float32", "float64", "int32", "int64", "uint8", "uint16", "uint64",
                    "ndarray", "generic", "inf", "intp"}


def test_the_launcher_refuses_what_does_not_fit_a_declaration(card):
    launch = cuda.CudaFile("activation.cu").launch
    x = card.zeros((4, 3), "float32")
    with pytest.raises(KeyError, match="activation.cu: there is no kernel 'relu'"):
        launch("relu", cuda.each(4), x)
    with pytest.raises(TypeError, match=r"relu_forward takes 3 arguments \(x, y, n\), got 2"):
        launch("relu_forward", cuda.each(12), x, x)
    with pytest.raises(TypeError, match="relu_forward: y must be float32, got float64"):
        launch("relu_forward", cuda.each(12), x, card.zeros((4, 3), "float64"), 12)
    with pytest.raises(TypeError, match="relu_forward: x, of shape .3, 4., is not contiguous"):
        launch("relu_forward", cuda.each(12), x.T, x, 12)
    with pytest.raises(TypeError, match="x must be an array on the card, got list"):
        launch("relu_forward", cuda.each(12), [1.0], x, 12, real="float32")
    with pytest.raises(TypeError, match="n: 4294967296 is too large for int32; use a smaller batch"):
        launch("relu_forward", cuda.each(12), x, x, 2**32)
    with pytest.raises(TypeError, match="n must be a number, got NoneType"):
        launch("relu_forward", cuda.each(12), x, x, None)
    with pytest.raises(TypeError, match="relu_forward: 2147483648 threads are more than an int can number; use a smaller"):
        launch("relu_forward", cuda.each(2**31), x, x, 12)


def test_a_changed_header_changes_what_is_compiled(tmp_path):
    (tmp_path / "part.cuh").write_text("// first\n")
    (tmp_path / "whole.cu").write_text('#include "part.cuh"\n')
    before = cuda.source_text(tmp_path / "whole.cu")
    (tmp_path / "part.cuh").write_text("// second\n")
    assert "// first" in before and "// second" in cuda.source_text(tmp_path / "whole.cu")


def test_a_file_that_includes_itself(tmp_path):
    (tmp_path / "a.cuh").write_text('#include "a.cuh"\n')
    with pytest.raises(ValueError, match="a.cuh: includes itself"):
        cuda.source_text(tmp_path / "a.cuh")
