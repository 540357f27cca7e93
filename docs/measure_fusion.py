"""How often are a face and a voice right, alone and together, over several drawings of pairs? Prints a Markdown table.

    python docs/measure_fusion.py FACE_RUN VOICE_RUN

For each of 12 seeds pairs are drawn and every way of docs/fusion.md learns and is judged, as `nanoemo fuse` does for one.
The joint layer is trained on training pairs, and, to compare, on the validation faces and voices, which neither network
was trained on: for 30 epochs, as nothing is left to choose the epoch by.
"""
import sys

import numpy as np

from nanoemo.training import fusion, joint
from nanoemo.training.ensemble import predictions

SEEDS, EPOCHS = range(12), 30


def judged(answers, features, classes, seed):
    """{way: `Predictions`} for the pairs of one seed."""
    _, found = fusion.judge(*(fusion.pairs_of(answers, split, seed) for split in ("validation", "test")))
    validation, test = (fusion.pairs_of(features, split, seed) for split in ("validation", "test"))
    for split, epochs in {"train": 300, "validation": EPOCHS}.items():
        layer = joint.learn(*features[split], validation, classes, fusion.drawing(seed, "train"), epochs)
        found[f"joint, of {split} pairs"] = predictions(layer(test), test.truth)
    return found


def main(face_run, voice_run):
    face, voice = fusion.load_senses(face_run, voice_run)
    answers, features = joint.senses(face, voice)
    runs = [judged(answers, features, len(fusion.common_of(face, voice)), seed) for seed in SEEDS]

    print(f"{len(runs[0]['face'].truth)} test pairs, {len(runs)} drawings\n\n| way | accuracy (%) | loss |\n|---|---|---|")
    for way in runs[0]:
        accuracy = [100 * (run[way].truth == run[way].predicted).mean() for run in runs]
        print(f"| {way} | {np.mean(accuracy):.1f} ± {np.std(accuracy):.1f} | {np.mean([run[way].loss for run in runs]):.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
