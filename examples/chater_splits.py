"""Why 90 % on one test set is 60 % on another: a data set of films, divided at random and by film.

    python examples/chater_splits.py                    # on the GPU: --device cuda
    python examples/chater_splits.py CK+48              # on CK+, for real

CK+ has three neighbouring frames of each film, and Chater's network is asked for the emotion of one. Divided at random,
most frames of the test set have a neighbour in the training set: the network has seen the answer. Here the films are
drawn, three frames of each face with a little noise, unless the folder of CK+ is given.

Expect: two accuracies on the last line, the one of the random division far above the other.
"""
import argparse

import numpy as np

import nanoemo
from nanoemo import data, models, ops, optim
from nanoemo.training import Trainer, predict
from nanoemo.training.metrics import accuracy

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("data", nargs="?", help="CK+ as folders of pictures (default: drawn films)")
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--films", type=int, default=70, help="to draw")
parser.add_argument("--epochs", type=int, default=30)
args = parser.parse_args()


def drawn_films(count, frames=3):
    """Each film a face drawn by formula, each frame that face with noise of its own."""
    faces = data.drawn_faces(count, seed=0)
    film = np.repeat(np.arange(count), frames)
    noise = np.random.default_rng(0).normal(0, 6, (len(film), *faces.image_shape))
    images = np.clip(faces.images[film] + noise, 0, 255).astype(np.uint8)
    return data.ImageSet(images, faces.labels[film], faces.class_names, "films", drawn=True,
                         groups={"sequence": film.astype(str)})


def test_accuracy(splits):
    """Of chater.dcnn, trained on one part and judged on another."""
    nanoemo.manual_seed(0)
    model = models.build("chater.dcnn", len(splits["train"].class_names)).to(args.device)
    loader = data.DataLoader(splits["train"], 32, shuffle=True, seed=0, drop_last=True, transform=data.Scale())
    Trainer(model, optim.Adam(model.parameters(), lr=1e-3), ops.cross_entropy, loader).fit(args.epochs)
    result = predict(model, data.DataLoader(splits["test"], 32, transform=data.Scale()))
    return accuracy(result.truth, result.predicted)


ways = {}
for split_by in ("random", "sequence"):
    splits = data.load(args.data, split_by=split_by) if args.data else data.divide(drawn_films(args.films), split_by)
    known = ~data.unseen(splits["train"], splits["test"])["sequence"]
    ways[split_by] = test_accuracy(splits)
    print(f"divided by {split_by}: {known.sum()} of {len(known)} test images are of a film that was trained on")
print(f"test accuracy: {100 * ways['random']:.1f} % divided at random, {100 * ways['sequence']:.1f} % by film")
