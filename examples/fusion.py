"""Fusion: one network sees drawn faces, one listens to made voices, and both answer together.

    python examples/fusion.py                           # on the GPU: --device cuda

`nanoemo fuse FACE_RUN VOICE_RUN` does the same with two finished runs and keeps what was learned, for `nanoemo predict
FUSION photo.jpg clip.wav`. Neither faces nor voices are anybody's, and the
pairs are made: a face and a voice of the same class, drawn at random (docs/fusion.md).

Expect: two to three minutes on two free cores, most of it for the features of the voices, which a second run finds in
the cache; then the accuracy on made test pairs of the face alone, the voice alone, their weighted mean, a learned
combination of both answers, and one layer over the features of both. Both networks are trained for a short time only,
so that there is something to gain.
"""
import argparse

from nanoemo.training import Experiment, Settings, fusion, joint
from nanoemo.training.ensemble import Member

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--epochs", type=int, default=3, help="of each network")
parser.add_argument("--limit", type=int, help="use at most so many faces and voices of each split")
args = parser.parse_args()


def learn(model, epochs, **wanted):
    experiment = Experiment(Settings.from_recipe(model, limit=args.limit, device=args.device, **wanted))
    for row in experiment.trainer.fit(epochs):
        print(f"{experiment.title}: epoch {row['epoch']}, validation accuracy {100 * row['val_accuracy']:.1f} %", flush=True)
    return Member(model, experiment)


face = learn("chater.dcnn", args.epochs)
voice = learn("chater.conv1d", args.epochs)
classes = fusion.common_of(face, voice)
answers, features = joint.senses(face, voice)
validation, test = (fusion.pairs_of(answers, split) for split in ("validation", "test"))
print(f"{len(validation.truth)} validation and {len(test.truth)} test pairs are made, of {len(classes)} classes")

weight, found = fusion.judge(validation, test)
print(f"weight of the face: {weight:.2f}")
layer, found["joint"] = joint.judge(features, len(classes))
print(f"a layer over all {len(layer.weight)} features, of epoch {layer.epoch}")
shares = {way: 100 * (answer.truth == answer.predicted).mean() for way, answer in found.items()}
print("right of the made test pairs:", ", ".join(f"{way} {share:.1f} %" for way, share in shares.items()))
