"""The examples keep the promise of their last line, and the code in the documentation's pages runs."""
import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def run(script, *arguments, folder, root=ROOT):
    """What `script` of the project at `root` prints, started in `folder`; fails the test where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run([sys.executable, *script, *map(str, arguments)], cwd=folder, env=environment,
                            capture_output=True, text=True, encoding="utf-8", timeout=600)
    assert result.returncode == 0, f"{script} {arguments}\n{result.stdout[-2000:]}{result.stderr[-4000:]}"
    return result.stdout


def last_line(example, pattern, *arguments, folder):
    """The numbers that `pattern` finds in the last line an example prints."""
    line = run([str(ROOT / "examples" / example)], *arguments, folder=folder).splitlines()[-1]
    match = re.fullmatch(pattern, line)
    assert match, f"{example} ended with {line!r}"
    return [float(number) for number in match.groups()]


# ---- examples -----------------------------------------------------------------------------------------------


def test_neuron_by_hand(device, tmp_path):
    difference, = last_line("neuron_by_hand.py", r"largest difference: (\S+)", "--device", device, folder=tmp_path)
    assert difference < 1e-12


def test_xor(device, tmp_path):
    right, loss = last_line("xor.py", r"(\d) of 4 right, loss (\S+)", "--device", device, folder=tmp_path)
    assert right == 4 and loss < 0.01


def test_gradient_check(device, tmp_path):
    refused, = last_line("gradient_check.py", r"(\d) of 3 gradients refused", "--device", device, folder=tmp_path)
    assert refused == 1


def test_new_op(device, tmp_path):
    right, = last_line("new_op.py", r"right: (\S+) %", "--device", device, folder=tmp_path)
    assert right > 95


def test_njoku_drawn(device, tmp_path):
    """With a quarter of the steps: well on the way from 14 % to over 90 %."""
    accuracy, = last_line("njoku_drawn.py", r"test accuracy on 700 drawn faces: (\S+) %",
                          "--steps", 100, "--device", device, folder=tmp_path)
    assert accuracy > 30


def test_njoku_fer2013(device, tmp_path, data_dir):
    """With one image in forty: better than a guess, which is right in 14.3 % of seven equal classes."""
    accuracy, = last_line("njoku_fer2013.py", r"private test accuracy: (\S+) %", data_dir / "fer2013.csv",
                          "--limit", 700, "--epochs", 2, "--device", device, folder=tmp_path)
    assert accuracy > 16


def test_every_example_says_how_to_run_it():
    for script in (ROOT / "examples").glob("*.py"):
        header = script.read_text(encoding="utf-8").split('"""')[1]
        assert f"python examples/{script.name}" in header and "--device cuda" in header, script.name
        assert "Expect:" in header, script.name
        assert f"def test_{script.stem}(" in Path(__file__).read_text(encoding="utf-8"), script.name


# ---- documentation ------------------------------------------------------------------------------------------


def code_blocks(page):
    """(the text before it, the block) for each Python block of a page."""
    pieces = re.split(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return list(zip(pieces[::2], pieces[1::2]))


def target_of(text):
    """The file a block is to be added to, where the text before it ends by saying so."""
    match = re.search(r"to `([\w/.]+)`:\s*$", text)
    return match and match.group(1)


@pytest.mark.parametrize("page", ["autograd.md", "convolution.md", "new_op.md"])
def test_blocks_of_a_page_run(page):
    """One after the other in one namespace; where a block shows a dialogue, what it shows is what comes out."""
    names, count = {}, 0
    for text, block in code_blocks(page):
        if target_of(text):
            continue
        count += 1
        if ">>>" in block:
            dialogue = doctest.DocTestParser().get_doctest(block, names, page, page, 0)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            assert runner.run(dialogue, clear_globs=False).failed == 0
            names = dialogue.globs
        else:
            exec(compile(block, page, "exec"), names)
    assert count >= 3


def test_new_op_can_be_added_as_its_page_says(tmp_path):
    """In a copy of the project: each piece into the file it names, then the page's own test."""
    for folder in ("nanoemo", "kernels", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    added = []
    for text, block in code_blocks("new_op.md"):
        name = target_of(text)
        if name:
            added.append(name)
            with open(tmp_path / name, "a", encoding="utf-8") as file:
                file.write("\n\n" + block)
    assert len(added) == 6
    doctests = [name for name in added if "__init__" not in name and "tests" not in name]
    output = run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "--doctest-modules",
                  "tests/test_silu.py", *doctests[1:]], folder=tmp_path, root=tmp_path)
    assert " passed" in output
    kernel = "import doctest, nanoemo.kernels.activation as m; assert doctest.testmod(m).failed == 0; m.silu_forward"
    run(["-c", kernel], folder=tmp_path, root=tmp_path)


def test_figures_are_drawn_by_the_committed_code(tmp_path):
    """The script draws each figure the pages show, small enough; and twice the same."""
    for folder in ("first", "second"):
        run([str(DOCS / "make_figures.py")], tmp_path / folder, folder=tmp_path)
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    shown = {name for page in ("autograd.md", "convolution.md")
             for name in re.findall(r"\(figures/(\S+?)\)", (DOCS / page).read_text(encoding="utf-8"))}
    assert shown == set(drawn)
    assert all(len(content) < 100_000 for content in drawn.values())


def test_links_lead_to_files():
    missing = []
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
    assert not missing
