"""The examples keep the promise of their last line; the documentation's code runs and draws its figures."""
import doctest
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanoemo.data import jaffe
from nanoemo.training import Predictions, RunFolder, Settings
from nanoemo.training.evaluation import write_evaluation
from nanoemo.training.versions import versions
from small_data import write_bands

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def run(*arguments, folder, root=ROOT, status=0):
    """What Python prints, started in `folder` on the project at `root`; it has to end with `status`."""
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=environment,
                            capture_output=True, text=True, encoding="utf-8", timeout=600)
    assert result.returncode == status, f"{arguments}\n{result.stdout[-2000:]}{result.stderr[-4000:]}"
    return result.stdout if status == 0 else result.stderr


def last_line(example, pattern, *arguments, folder):
    """The numbers that `pattern` finds in the last line an example prints."""
    line = run(ROOT / "examples" / example, *arguments, folder=folder).splitlines()[-1]
    match = re.fullmatch(pattern, line)
    assert match, f"{example} ended with {line!r}"
    return [float(number) for number in match.groups()]


# ---- examples ---------------------------------------------------------------------------------------------


def test_neuron_by_hand(device, tmp_path):
    difference, = last_line("neuron_by_hand.py", r"largest difference: (\S+)", "--device", device,
                            folder=tmp_path)
    assert difference < 1e-12


def test_xor(device, tmp_path):
    right, loss = last_line("xor.py", r"(\d) of 4 right, loss (\S+)", "--device", device, folder=tmp_path)
    assert right == 4 and loss < 0.01


def test_gradient_check(device, tmp_path):
    refused, = last_line("gradient_check.py", r"(\d) of 3 gradients refused", "--device", device,
                         folder=tmp_path)
    assert refused == 1


def test_new_op(device, tmp_path):
    right, = last_line("new_op.py", r"right: (\S+) %", "--steps", 60, "--device", device, folder=tmp_path)
    assert right > 95


def test_njoku_drawn(device, trains_a_paper, tmp_path):
    """With three steps in ten: well on the way from 14 % to over 90 %."""
    accuracy, = last_line("njoku_drawn.py", r"test accuracy on 700 drawn faces: (\S+) %",
                          "--steps", 120, "--device", device, folder=tmp_path)
    assert accuracy > 30


def test_njoku_fer2013(device, trains_a_paper, tmp_path, data_dir):
    """On one image in forty two epochs are too few to tell faces apart, but enough for the loss to fall.

    The paper's small learning rate needs hundreds of steps before accuracy leaves chance; that the whole set
    reaches 40 % is for a run of minutes to show.
    """
    output = run(ROOT / "examples" / "njoku_fer2013.py", data_dir / "fer2013.csv", "--limit", 700, "--epochs", 2,
                 "--device", device, folder=tmp_path)
    first, last = (float(loss) for loss in re.findall(r"epoch ./2 \| loss (\S+)", output))
    assert last < first < 2.0                           # ln 7 = 1.95 at the start
    accuracy, = re.findall(r"^private test accuracy: (\S+) %\Z", output.strip(), re.MULTILINE)
    in_report, = re.findall(r"^ *accuracy +(\S+) +700$", output, re.MULTILINE)
    assert abs(float(accuracy) / 100 - float(in_report)) <= 0.00501


def test_alizadeh_family(device, trains_a_paper, tmp_path):
    loss, right = last_line("alizadeh_family.py", r"after 60 steps: loss (\S+), (\d+) of 20 right", "--device", device,
                            folder=tmp_path)
    assert right == 20 and loss < 0.1


def test_chater_splits(device, trains_a_paper, tmp_path):
    at_random, by_film = last_line("chater_splits.py", r"test accuracy: (\S+) % divided at random, (\S+) % by film",
                                   "--device", device, folder=tmp_path)
    assert at_random > by_film + 20


def test_fusion(device, trains_a_paper, tmp_path):
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    ways = ", ".join(rf"{way} (\S+) %" for way in ("face", "voice", "weighted", "learned", "joint"))
    numbers = last_line("fusion.py", f"right of the made test pairs: {ways}", "--limit", 70,
                        "--epochs", 1, "--device", device, folder=tmp_path)
    assert all(0 <= number <= 100 for number in numbers)
    face, voice, _, learned, joint = numbers
    assert min(learned, joint) > max(face, voice) + 5       # so short a training leaves something to gain


def test_marrugat_checkpoints(device, trains_a_paper, tmp_path):
    output = run(ROOT / "examples" / "marrugat_checkpoints.py", "--batch", 4, "--device", device, folder=tmp_path)
    assert output.strip().endswith("the weights are the same to the last bit")
    times = [int(time) for time in re.findall(r"model \d: (\d+) ms", output)]
    assert len(times) == 4


def test_photo_to_emotion(device, tiny_run, tmp_path):
    faces, = last_line("photo_to_emotion.py", r"(\d+) faces in emotions.png", tiny_run, "--device", device, folder=tmp_path)
    assert faces == 1 and (tmp_path / "emotions.png").stat().st_size > 0


def test_cross_validation(device, trains_a_paper, tmp_path):
    """One epoch teaches little; how well it ends, ten show."""
    rate, hidden, accuracy = last_line("cross_validation.py", r"best: lr (\S+), hidden (\d+), accuracy (\S+) %",
                                       "--epochs", 1, "--device", device, folder=tmp_path)
    assert rate in (1e-5, 1e-3) and hidden in (16, 64) and accuracy > 10


def test_series_staged(device, trains_a_paper, tmp_path):
    """On one face in six: fine-tuning goes on where the training before it ended."""
    output = run(ROOT / "examples" / "series_staged.py", "--limit", 700, "--epochs", 2, "--device", device, folder=tmp_path)
    steps = [line.split(":")[0] for line in output.splitlines()]
    assert steps == ["steps 1–4", "steps 5–9", "steps 10", "steps 11–15", "steps 16–17"]
    before, after = map(float, re.findall(r"made again with a loss of (\S+)$", output, re.MULTILINE))
    assert after < before < 0.6931                      # ln 2: what an answer of 0.5 everywhere costs
    assert len(re.findall(r"(\S+) % of 700 drawn test faces are right$", output, re.MULTILINE)) == 3    # chance, so soon


def test_voice_features(device, tmp_path):
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    output = run(ROOT / "examples" / "voice_features.py", "--device", device, folder=tmp_path)
    groups = re.findall(r"^([A-Za-z -]+?) +(\d+) +(?:\S+ … )?(\S+) +(?:\S+ … )?(\S+)$", output, re.MULTILINE)
    assert [name for name, *_ in groups] == ["zero-crossing rate", "chroma", "MFCC", "RMS", "mel spectrogram"]
    assert sum(int(count) for _, count, *_ in groups) == 162
    angry, sad = map(float, groups[3][2:])
    assert angry > 5 * sad                              # loudness
    assert len(re.findall(r"\d+%", output.splitlines()[-1])) == 7


def test_chater_conv1d(device, trains_a_paper, tmp_path):
    """With five steps in each training: that all three are carried out, on as many clips as the experiment has."""
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    output = run(ROOT / "examples" / "chater_conv1d.py", "--voices", 16, "--steps", 5, "--device", device, folder=tmp_path)
    assert re.findall(r"(\d+) clips", output) == ["16", "48", "80"]
    accuracies = re.findall(r"(\d+\.\d) %", output.splitlines()[-1])
    assert len(accuracies) == 3 and all(0 < float(accuracy) <= 100 for accuracy in accuracies)
    assert max(map(float, accuracies)) > 20             # a guess: 14.3


def test_chater_lstm(device, trains_a_paper, tmp_path):
    pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")
    output = run(ROOT / "examples" / "chater_lstm.py", "--voices", 32, "--epochs", 3, "--device", device, folder=tmp_path)
    assert "1,368,071" in output
    losses = list(map(float, re.findall(r"^epoch \d: loss (\S+),", output, re.MULTILINE)))
    assert losses[2] < losses[1] < losses[0] < 2.1      # ln 7 = 1.95 at the start
    right, = re.findall(r"^(\S+) % of 105 other voices are right", output, re.MULTILINE)
    assert float(right) > 25                            # a guess: 14.3


def test_every_example_says_how_to_run_it():
    for script in (ROOT / "examples").glob("*.py"):
        header = script.read_text(encoding="utf-8").split('"""')[1]
        assert f"python examples/{script.name}" in header and "--device cuda" in header, script.name
        assert "Expect:" in header, script.name
        assert f"def test_{script.stem}(" in Path(__file__).read_text(encoding="utf-8"), script.name


# ---- documentation ----------------------------------------------------------------------------------------


def code_blocks(page):
    """(the text before it, the block) for each Python block of a page's text."""
    pieces = re.split(r"```python\n(.*?)```", page, flags=re.DOTALL)
    return list(zip(pieces[::2], pieces[1::2]))


def run_blocks(blocks):
    """One after the other in one namespace; where a block shows a dialogue, Python has to answer as shown."""
    names = {}
    for block in blocks:
        if ">>>" in block:
            dialogue = doctest.DocTestParser().get_doctest(block, names, "page", None, 0)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            assert runner.run(dialogue, clear_globs=False).failed == 0
            names = dialogue.globs
        else:
            exec(compile(block, "page", "exec"), names)


def target_of(text):
    """The file a block is to be added to, where the text before it ends by saying so."""
    match = re.search(r"to `([\w/.]+)`:\s*$", text)
    return match and match.group(1)


def test_blocks_of_the_page_on_extras_run(capsys):
    run_blocks([block for _, block in code_blocks((DOCS / "extras.md").read_text(encoding="utf-8"))])
    assert "trial 4/4" in capsys.readouterr().out


def test_blocks_of_the_page_on_data_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bands(tmp_path / "fer2013.csv")
    (tmp_path / "jaffe").mkdir()
    for number, (subject, code) in enumerate((subject, code) for subject in ("KA", "KL", "KM", "KR") for code in jaffe.CODES):
        Image.new("L", (256, 256), number).save(tmp_path / "jaffe" / f"{subject}.{code}1.{number}.tiff")
    run_blocks([block for _, block in code_blocks((DOCS / "data.md").read_text(encoding="utf-8"))])


@pytest.mark.parametrize("page", ["alizadeh.md", "augmentation.md", "autograd.md", "convolution.md", "figures.md", "fusion.md",
                                  "gpu.md", "lstm.md", "new_op.md", "predict.md", "speech.md"])
def test_blocks_of_a_page_run(page):
    blocks = [block for text, block in code_blocks((DOCS / page).read_text(encoding="utf-8"))
              if not target_of(text)]
    assert blocks
    run_blocks(blocks)


def test_new_op_can_be_added_as_its_page_says(tmp_path):
    """In a copy of the project: each piece into the file it names, then the page's own test."""
    for folder in ("nanoemo", "kernels", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    added = []
    for text, block in code_blocks((DOCS / "new_op.md").read_text(encoding="utf-8")):
        name = target_of(text)
        if name:
            added.append(name)
            with open(tmp_path / name, "a", encoding="utf-8") as file:
                file.write("\n\n" + block)
    assert len(added) == 6
    output = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "tests/test_silu.py",
                 "tests/test_doctests.py", "-k", "silu or activation", folder=tmp_path, root=tmp_path)
    assert " passed" in output


def test_figures_are_drawn_by_the_committed_code(tmp_path):
    """The script draws each figure the pages show, small enough; and twice the same."""
    for folder in ("first", "second"):
        run(DOCS / "make_figures.py", tmp_path / folder, folder=tmp_path)
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    shown = {name for page in ("autograd.md", "convolution.md", "augmentation.md", "lstm.md", "marrugat.md")
             for name in re.findall(r"\(figures/(\S+?)\)", (DOCS / page).read_text(encoding="utf-8"))}
    assert shown == set(drawn)
    assert all(len(content) < 100_000 for content in drawn.values())


def test_pictures_of_figures_md_are_those_of_its_script(tmp_path):
    """From two runs as small as can be: every picture that the page shows, and no other."""
    output = run(DOCS / "make_show.py", "--runs", tmp_path / "runs", "--figures", tmp_path / "figures", "--limit", 35,
                 "--epochs", 1, folder=tmp_path)
    shown = set(re.findall(r"\(figures/(\S+?)\)", (DOCS / "figures.md").read_text(encoding="utf-8")))
    assert shown == {path.name for path in (tmp_path / "figures").iterdir()}
    assert output.count("$ nanoemo show") == len(shown)


def test_pictures_of_what_a_network_has_learnt(tiny_run, tmp_path):
    run(DOCS / "make_alizadeh.py", tiny_run, "--figures", tmp_path / "figures", folder=tmp_path)
    shown = set(re.findall(r"\(figures/(\S+?)\)", (DOCS / "alizadeh.md").read_text(encoding="utf-8")))
    assert shown == {path.name for path in (tmp_path / "figures").iterdir()}
    assert all(path.stat().st_size > 10_000 for path in (tmp_path / "figures").iterdir())


def test_links_lead_to_files():
    missing = []
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
    assert not missing


# ---- the page about a real run -----------------------------------------------------------------------------


@pytest.fixture
def finished_run(tmp_path):
    """A run's folder as `nanoemo train njoku.cnn --data …` leaves it, with invented numbers."""
    rng = np.random.default_rng(0)
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    folder = RunFolder.create(tmp_path / "run")
    settings = Settings.from_recipe("njoku.cnn", data="/secret/place/fer2013.csv")
    folder.write_config({
        "settings": asdict(settings), "versions": versions(),
        "data": {"name": "fer2013", "classes": names, "image_shape": (48, 48, 1), "fingerprint": "",
                 "images": {"train": 50, "validation": 20, "test": 20}}})
    folder.write_history([{
        "epoch": epoch, "loss": 2 - epoch / 100, "accuracy": epoch / 200, "val_loss": 1.9,
        "val_accuracy": 0.25, "seconds": 90.0, "images_per_second": 300.0, "waiting": 0.001, "lr": 1e-4}
        for epoch in range(1, 43)])
    truth = rng.integers(0, 7, 20)
    predictions = Predictions(truth, np.where(np.arange(20) < 15, truth, (truth + 1) % 7), 1.25)
    write_evaluation(folder.path / "test", predictions, names, "invented", {"epoch": 40})
    return folder.path


def test_page_of_a_real_run(finished_run, tmp_path):
    page = run(DOCS / "make_njoku.py", finished_run, "--figures", tmp_path / "figures", folder=tmp_path)
    assert "| 4 | 1.9500 | 0.0250 | 1.9000 | 0.2500 | 1.4871 | 0.4257 | 1.3866 | 0.4753 |" in page
    assert "| 41 | 1.5800 | 0.2100 | 1.9000 | 0.2500 | – | – | – | – |" in page
    assert "| 20 |" in page and "| 21 |" not in page
    assert "went on to epoch 99: loss 0.7614" in page and "1 h 03 min by the clock, 90 s an epoch" in page
    assert "20 images" in page and "epoch 39" in page and "Accuracy 75.00 %, loss 1.2500" in page
    of_shuffled = re.search(r"\| accuracy \|  \| 0\.75 \| (0\.\d\d) \| 0\.18 \|", page)     # right, labels shuffled, paper's
    assert float(of_shuffled[1]) < 0.4 and f"{of_shuffled[1]}        20" in page
    assert "secret" not in page and str(tmp_path) not in page
    for name in re.findall(r"\(figures/(\S+?)\)", page):
        assert 0 < (tmp_path / "figures" / name).stat().st_size < 100_000
    blocks = [block for _, block in code_blocks(page)]
    assert len(blocks) == 1
    run_blocks(blocks)


def test_no_page_of_a_run_that_has_not_ended(finished_run, tmp_path):
    shutil.rmtree(finished_run / "test")
    error = run(DOCS / "make_njoku.py", finished_run, "--figures", tmp_path / "figures", folder=tmp_path,
                status=2)
    assert "has no test report" in error and "Traceback" not in error
    assert not (tmp_path / "figures").exists()
