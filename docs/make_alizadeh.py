"""Makes the pictures of docs/alizadeh.md: what a network has learnt from FER2013, asked of the portrait that scikit-image ships.

    nanoemo reproduce alizadeh --data fer2013.csv --only "shallow with momentum"
    python docs/make_alizadeh.py reproduction/alizadeh/runs/shallow-with-momentum

As figures 9 to 11 of the paper: activation maps, filters of the first layer, DeepDream. No picture of the data set is among them.
"""
import argparse
from pathlib import Path

import numpy as np
from skimage.data import astronaut

import nanoemo
from nanoemo import data, interpret, models, nn, viz
from nanoemo.cli.show_network import number
from nanoemo.data.photo import gray
from nanoemo.files import write_file
from nanoemo.recognition import Recognizer
from nanoemo.training import RunFolder


def make(run, figures):
    recognizer = Recognizer(run)
    model, size = recognizer.model, recognizer.example_shape[0]
    picture = astronaut()
    face = data.crop_face(gray(picture), data.find_faces(picture)[0], size)[None]          # uint8 (1, size, size, 1)
    black, white, portrait = (recognizer.prepare(np.float32(pixels), None)
                              for pixels in (np.zeros_like(face), np.full_like(face, 255), face))
    figures.mkdir(parents=True, exist_ok=True)
    moments = {"before training": untrained(run, len(recognizer.classes)), "after training": model}
    drawn = {"activations": activations(moments, portrait, recognizer.title), "filters": filters(model, recognizer.title),
             "dream": dreams(recognizer, face, portrait, black, white)}
    for name, figure in drawn.items():
        write_file(figures / f"alizadeh_{name}.png", viz.to_png(figure))


def untrained(run, classes):
    """The network with the weights that the run began with."""
    settings = RunFolder.open(run).config()["settings"]
    nanoemo.manual_seed(settings["seed"])
    return models.build(settings["model"], classes, **settings["options"]).eval()


def activations(moments, portrait, title):
    """moments: {when: the network as it was then}."""
    layers = interpret.map_layers(moments["after training"], [portrait])
    found = {when: interpret.outputs_of(model, [portrait], layers) for when, model in moments.items()}
    maps = {layer: {when: outputs[layer][0] for when, outputs in found.items()} for layer in layers}
    zeros = {layer: {when: interpret.sparsity(outputs[layer]) for when, outputs in found.items()} for layer in layers}
    return viz.activation_maps(maps, zeros, title=title)


def filters(model, title):
    first = next(module for _, module in model.named_modules() if isinstance(module, nn.Conv2d))
    return viz.filters(first.weight.numpy(), f"{title}: first layer")


def dreams(recognizer, face, portrait, black, white):
    """The portrait, changed to please each class."""
    dreamt, captions = [], []
    for label, name in enumerate(recognizer.classes):
        goal = interpret.Goal(label=label)
        dreamt.append(interpret.dream(recognizer.model, portrait, goal, black, white)[0])
        before, after = (goal.values(recognizer.model, images)[0] for images in (portrait, dreamt[-1][None]))
        captions.append(f"{name}\n{number(before)} → {number(after)}")
    shown = (np.stack(dreamt) - black) / (white - black)
    return viz.dreams(np.repeat(face, len(captions), axis=0), shown, captions, f"{recognizer.title}: DeepDream of each class")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="the folder of a run")
    parser.add_argument("--figures", type=Path, default=Path(__file__).parent / "figures")
    args = parser.parse_args()
    make(args.run, args.figures)
