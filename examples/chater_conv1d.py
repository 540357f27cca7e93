"""Chater's first two experiments on a small scale: the convolutional network, few voices, and more made from them.

    python examples/chater_conv1d.py                    # on the GPU: --device cuda

Needs librosa: pip install 'nanoemo[speech]'. The voices are made by formula (docs/speech.md). Each training sees the same
voices, and as many steps; what differs are the copies of them: none, those of the paper's first experiment (noise;
stretched and changed in pitch), and those of its second (noise, shift, pitch, stretch).

Expect: under a minute on two free cores; three accuracies of about one in two (a guess: 14.3 %). Voices made by formula vary so
evenly that copies neither help nor harm for certain. Recordings are another matter: nanoemo reproduce chater-audio.
"""
import argparse

import nanoemo
from nanoemo import data, features, models, ops, optim
from nanoemo.data.changes import EXPERIMENT_1, EXPERIMENT_2
from nanoemo.training import Trainer, predict
from nanoemo.training.metrics import accuracy

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--voices", type=int, default=28, help="to train on, at least 16")
parser.add_argument("--steps", type=int, default=80, help="in each training, about so many")
args = parser.parse_args()

voices = data.drawn_voices(args.voices, seed=0)
test = features.extract(data.drawn_voices(105, seed=1), "vector162")


def test_accuracy(train):
    """Of chater.conv1d, trained on `train` (a FeatureSet)."""
    standardise = data.Standardise.fit(train.features)          # on what is trained on, copies included
    nanoemo.manual_seed(0)
    model = models.build("chater.conv1d").to(args.device)
    loader = data.DataLoader(train, 16, shuffle=True, seed=0, drop_last=True, transform=standardise)
    trainer = Trainer(model, optim.Adam(model.parameters(), lr=1e-3), ops.cross_entropy, loader)
    trainer.fit(max(1, args.steps // trainer.steps_per_epoch))
    result = predict(model, data.DataLoader(test, 105, transform=standardise))
    return 100 * accuracy(result.truth, result.predicted)


found = []
for changes in ("", EXPERIMENT_1, EXPERIMENT_2):
    train = features.extract(data.with_copies(voices, data.parse_changes(changes)), "vector162")
    found.append(test_accuracy(train))
    print(f"copies: {changes or 'none'}: {len(train)} clips, {found[-1]:.1f} % of {len(test)} other voices are right", flush=True)
print("test accuracy: {:.1f} % without copies, {:.1f} % in experiment 1, {:.1f} % in experiment 2".format(*found))
