"""njoku.cnn learns seven expressions on drawn faces: a training loop written out, without the command line.

    python examples/njoku_drawn.py                      # on the GPU: --device cuda

The faces are drawn by formula (docs/data.md) and show nobody, so nothing has to be downloaded. `nanoemo train
njoku.cnn` does the same with checkpoints, checks, figures and a report around it; here is what remains when
all that is taken away. The learning rate is ten times the paper's, which these easy pictures stand.

Expect: about a minute on two free cores; the last line says that over 90 % of the test faces are right
(a guess: 14.3 %).
"""
import argparse
from itertools import islice

import nanoemo
from nanoemo import Tensor, data, models, ops, optim
from nanoemo.training import predict

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--steps", type=int, default=400, help="batches of 32 to learn from")
args = parser.parse_args()
nanoemo.manual_seed(0)

faces = data.load()                                         # no path: drawn faces
train = data.DataLoader(faces["train"], batch_size=32, shuffle=True, seed=0, transform=data.Scale())
test = data.DataLoader(faces["test"], batch_size=100, transform=data.Scale())

model = models.build("njoku.cnn", num_classes=7, input_shape=(48, 48, 1)).to(args.device)
optimizer = optim.Adam(model.parameters(), lr=1e-3)
print(f"{len(faces['train'])} drawn faces, {model.num_parameters():,} parameters")


def batches():
    """One epoch after the other, each in a new order."""
    while True:
        yield from train


model.train()                                               # dropout on
for step, (images, labels) in enumerate(islice(batches(), args.steps), start=1):
    scores = model(Tensor(images, device=args.device))
    loss = ops.cross_entropy(scores, Tensor(labels, device=args.device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:>4} of {args.steps}  loss {loss.item():.4f}", flush=True)

result = predict(model, test)                  # dropout off, no graph
right = result.truth == result.predicted
print(f"test accuracy on {len(right)} drawn faces: {100 * right.mean():.1f} %")
