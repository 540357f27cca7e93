"""The wheel: kernels travel inside the package, and an installed nanoemo trains from any folder."""
import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command, cwd, **environment):
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}         # it may name this checkout
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, env={**ours, **environment})
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_every_package_is_listed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "nanoemo").rglob("__init__.py")}
    assert listed == found | {"nanoemo.kernels"}


def imported_by(path):
    """The packages that a file names in its import statements, wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def test_what_is_imported_is_declared_and_nothing_else():
    """PyTorch's and Keras' own dependencies, which are there in CI, would hide that one of ours is missing."""
    files = [*(ROOT / "nanoemo").rglob("*.py"), *(ROOT / "kernels").glob("*.py")]
    imported = {name for path in files for name in imported_by(path)} - set(sys.stdlib_module_names)
    wanted = imported - {"nanoemo", "cupy", "cupy_backends", "torch"}       # CuPy is two extras; PyTorch is the user's
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.match(r"[\w-]+", text)[0] for text in project["dependencies"] + project["optional-dependencies"]["speech"]}
    of_others = {"psutil", "numba"}     # joblib ends its workers with the one, librosa compiles its functions with the other
    assert {{"skimage": "scikit-image", "PIL": "pillow"}.get(name, name) for name in wanted} | of_others == declared


def test_readme_example_runs(capsys):
    text = (ROOT / "README.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```python")[1:]]
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert float(capsys.readouterr().out) < 1.9459


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Python of a fresh virtual environment that has the wheel, and the dependencies of the one running the tests."""
    pytest.importorskip("build", reason="the package 'build' is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "runs", "*.egg-info", "build", "__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", source, cwd=folder)
    wheel, = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # After the wheel's own folder on the path, so that only the dependencies are found there.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_wheel_carries_the_kernels_inside_the_package(installed, tmp_path):
    where = run(installed, "-c", "import nanoemo.kernels.conv as k; print(k.__file__)", cwd=tmp_path).strip()
    assert where.endswith(os.path.join("site-packages", "nanoemo", "kernels", "conv.py"))
    assert str(ROOT) not in where


def test_wheel_carries_the_local_page(installed, tmp_path):
    found = run(installed, "-c", "from importlib.resources import files; "
                "print(sorted(f.name for f in (files('nanoemo.recognition') / 'page').iterdir()))", cwd=tmp_path)
    assert found.strip() == str(sorted(os.listdir(ROOT / "nanoemo" / "recognition" / "page")))


def test_nothing_called_kernels_is_importable(installed, tmp_path):
    found = run(installed, "-c", "import importlib.util as u; print(u.find_spec('kernels'))", cwd=tmp_path)
    assert found.strip() == "None"


def test_installed_package_trains_from_another_folder(installed, tmp_path):
    command = installed.parent / "nanoemo"
    out = run(command, "train", "njoku.cnn", "--limit", "64", "--epochs", "1", "--out", "run", cwd=tmp_path,
              MPLCONFIGDIR=str(tmp_path / "matplotlib"))
    assert "report" in out and (tmp_path / "run" / "report.html").is_file()
