"""Prints a table of series.md: what each stage of two runs came to, beside each other.

    nanoemo train series.architecture1 --option cnn=cnn1 --out A1
    nanoemo train series.architecture2 --option cnn=cnn1 --out A2
    python docs/make_series.py A1 A2

and the same of two runs with `--option reverse=True`. The picture beside it is A2/3-auto-encoder-tuned/reconstructions.png.
"""
import sys

from nanoemo.files import read_json
from nanoemo.training import RunFolder
from nanoemo.training.recorder import best_epoch


def outcome(stage):
    """Accuracy on the test set, or of an auto-encoder the loss on the validation set in its best epoch."""
    report = stage.path / "test" / "classification_report.json"
    if report.exists():
        return f"{100 * read_json(report)['accuracy']:.1f} %"
    return f"loss {best_epoch(stage.history())['val_loss']:.4f}"


def table(paths):
    """The Markdown lines, of runs with the same stages."""
    runs = [RunFolder.open(path) for path in paths]
    names = [run.config()["settings"]["model"].replace("series.architecture", "architecture ") for run in runs]
    yield f"| stage | {' | '.join(names)} |"
    yield "|---" * (1 + len(runs)) + "|"
    for number, stages in enumerate(zip(*(run.stages() for run in runs)), start=1):
        yield f"| {number}: {stages[0].config()['stage']['does']} | {' | '.join(map(outcome, stages))} |"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print("\n".join(table(sys.argv[1:])))
