"""Chater's LSTM on voices made by formula: four layers that read 162 features of a clip as 162 steps.

    python examples/chater_lstm.py                      # on the GPU: --device cuda

Needs librosa: pip install 'nanoemo[speech]'. `nanoemo train chater.lstm` does the same, with a report; docs/lstm.md explains
what happens in a step.

Expect: half a minute on two free cores; a loss that falls from about 1.7 to 0.7 in five epochs, and in the end about three
voices in four are right.
"""
import argparse
import time

import nanoemo
from nanoemo import data, features, models, ops, optim, summary
from nanoemo.training import Trainer, predict
from nanoemo.training.metrics import accuracy

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--voices", type=int, default=128, help="to train on, at least 32")
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

train = features.extract(data.drawn_voices(args.voices, seed=0), "vector162")
test = features.extract(data.drawn_voices(105, seed=1), "vector162")
standardise = data.Standardise.fit(train.features)

nanoemo.manual_seed(0)
model = models.build("chater.lstm").to(args.device)
summary(model, (162, 1))
loader = data.DataLoader(train, 32, shuffle=True, seed=0, drop_last=True, transform=standardise)
trainer = Trainer(model, optim.Adam(model.parameters(), lr=1e-3), ops.cross_entropy, loader)
for epoch in range(1, args.epochs + 1):
    start = time.perf_counter()
    row = trainer.fit(epoch)[-1]
    seconds = (time.perf_counter() - start) / trainer.steps_per_epoch
    print(f"epoch {epoch}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.1%}, {1000 * seconds:.0f} ms a step", flush=True)

result = predict(model, data.DataLoader(test, 35, transform=standardise))
print(f"{100 * accuracy(result.truth, result.predicted):.1f} % of {len(test)} other voices are right (a guess: 14.3 %)")
