"""Cross-validation: which learning rate and how many hidden units suit alizadeh.shallow? (Alizadeh & Fazel, section 5.1)

    python examples/cross_validation.py                 # on the GPU: --device cuda; on both cores: --jobs 2

On faces drawn by formula, small ones. Each of four combinations is trained on two of three folds and measured on the
third, three times over. On real faces: nanoemo search alizadeh.shallow --data fer2013.csv --lr ... --hidden ...

Expect: about a minute. With lr 1e-05 so few steps get hardly anywhere (14 % is chance), with lr 0.001 to about 35 %; the
last line names the best combination.
"""
import argparse
import tempfile
from pathlib import Path

from nanoemo.data import drawn_faces
from nanoemo.training import RunFolder, Search, Settings

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--jobs", type=int, default=1)

if __name__ == "__main__":              # the processes of --jobs read this file too
    args = parser.parse_args()
    splits = {"train": drawn_faces(210, size=16), "validation": drawn_faces(105, seed=1, size=16)}
    settings = Settings.from_recipe("alizadeh.shallow", batch_size=15, epochs=args.epochs, device=args.device,
                                    options={"dropout": 0.0, "dense_dropout": 0.2})      # so few images ask for less of it
    search = Search(settings, {"lr": [1e-5, 1e-3], "hidden": [16, 64]}, folds=3, splits=splits)
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place)) as folder:
        rows = search.run(folder, args.jobs)
    for row in rows:
        print(f"{100 * row['accuracy']:.1f} ± {100 * row['spread']:.1f} %  {search.describe(row['candidate'])}")
    print(f"best: {search.describe(rows[0]['candidate'])}, accuracy {100 * rows[0]['accuracy']:.1f} %")
