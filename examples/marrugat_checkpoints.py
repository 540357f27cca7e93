"""Marrugat's four networks: the time each takes, and training that goes on from a checkpoint as if never interrupted.

    python examples/marrugat_checkpoints.py             # on the GPU: --device cuda

The paper plots the time of its models (figure 6) and keeps checkpoints from which training goes on. What a checkpoint
must hold is more than the weights: the optimiser's velocities, and the state of the random numbers that dropout
draws from. With all three, a training that was interrupted ends with the same weights as one that was not, to the last bit.

Expect: four times, model 4 the slowest; and "the same to the last bit" on the last line.
"""
import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import nanoemo
from nanoemo import Tensor, data, models, ops, optim
from nanoemo.training import checkpoint

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--batch", type=int, default=20, help="images a step; the paper's reading here is 100")
args = parser.parse_args()

faces = data.drawn_faces(args.batch, seed=0)
images = Tensor(faces.images / 255.0, dtype="float32", device=args.device)
labels = Tensor(faces.labels, device=args.device)


def begin(name):
    nanoemo.manual_seed(0)
    model = models.build(name).to(args.device)
    return model, optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def train(model, optimizer, steps):
    for _ in range(steps):
        loss = ops.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()                              # waits for the device to be done


for number in (1, 2, 3, 4):
    model, optimizer = begin(f"marrugat.model{number}")
    train(model, optimizer, 1)                      # the first step allocates; it is not timed
    start = time.perf_counter()
    train(model, optimizer, 2)
    print(f"model {number}: {500 * (time.perf_counter() - start):.0f} ms a step of {args.batch} images")

model, optimizer = begin("marrugat.model1")
train(model, optimizer, 4)
whole = model.state_dict()

model, optimizer = begin("marrugat.model1")
train(model, optimizer, 2)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "after-2.safetensors"
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    arrays = {f"{part}.{name}": array for part, state in parts.items() for name, array in state.items()}
    checkpoint.save(path, arrays, {"random": nanoemo.random.get_state()})

    model, optimizer = begin("marrugat.model1")     # as a new process would, knowing nothing
    arrays, meta = checkpoint.load(path)
for part, target in (("model", model), ("optimizer", optimizer)):
    target.load_state_dict({name.removeprefix(f"{part}."): array for name, array in arrays.items()
                            if name.startswith(f"{part}.")})
nanoemo.random.set_state(meta["random"])
train(model, optimizer, 2)

same = all(np.array_equal(array, whole[name]) for name, array in model.state_dict().items())
print(f"4 steps, and 2 + 2 with a checkpoint between them: the weights are {'the same to the last bit' if same else 'different'}")
