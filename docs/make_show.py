"""Makes the pictures of docs/figures.md, as the page says: two runs on drawn faces, and `nanoemo show` on them.

    python docs/make_show.py [--runs FOLDER] [--figures FOLDER] [--limit N] [--epochs N]

The runs take some minutes; those that lie in --runs already are gone on with. Same versions and machine, same bytes, but
for the times.
"""
import argparse
import sys
import tempfile
from pathlib import Path

from nanoemo.cli import main as nanoemo

TRAIN = "--batch-size 32 --lr 0.001 --snapshots"
MODELS = {"chater.dcnn": "deep", "series.cnn1": "small"}
SHOW = """
curves {deep} {small}
confusion {deep}
classes {deep} {small}
time {deep} {small}
activations {deep} --layer 1 --layer 7
filters {deep}
dream {deep}
saliency {deep} --count 5
gradcam {deep} --count 5
samples {small} --count 6
"""


def make(runs, figures, limit, epochs):
    folders = {name: runs / name for name in MODELS.values()}
    for model, name in MODELS.items():
        if (folders[name] / "config.json").exists():
            run("train", "--resume", folders[name])
        else:
            run("train", model, *TRAIN.split(), "--limit", limit, "--epochs", epochs, "--out", folders[name])
    figures.mkdir(parents=True, exist_ok=True)
    for line in SHOW.strip().splitlines():
        kind, *rest = line.split()
        run("show", kind, *(part.format(**folders) for part in rest), "--out", figures / f"show_{kind}.png")


def run(*words):
    print(f"$ nanoemo {' '.join(map(str, words))}", flush=True)
    status = nanoemo([str(word) for word in words])
    if status:
        sys.exit(status)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="where to keep the runs (default: nowhere)")
    parser.add_argument("--figures", type=Path, default=Path(__file__).parent / "figures")
    parser.add_argument("--limit", type=int, default=2100, help="images of each split")
    parser.add_argument("--epochs", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        make(args.runs or Path(temporary), args.figures, args.limit, args.epochs)
