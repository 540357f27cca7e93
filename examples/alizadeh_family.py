"""A network of your own from Alizadeh and Fazel's family, and the two checks they make before every training.

    python examples/alizadeh_family.py                  # on the GPU: --device cuda

The family is [conv - (batch norm) - ReLU - (dropout) - (max pool)] × M, then [affine …] × N, then the scores. A layer
is a ConvSpec or a DenseSpec. A network that is built right has a loss of ln 7 before it has learnt anything, and can
learn twenty images by heart; it costs seconds to see that, and hours not to have looked.

Expect: an initial loss within 0.1 of 1.9459, then 20 of 20 images right, on the last line.
"""
import argparse
import math

import numpy as np

import nanoemo
from nanoemo import Tensor, data, ops, optim
from nanoemo.models.alizadeh import ConvSpec, DenseSpec, family

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--steps", type=int, default=60)
args = parser.parse_args()
nanoemo.manual_seed(0)

# Dropout is for images the network will meet again and again; these checks ask whether it can learn at all.
model = family([ConvSpec(8, 3, dropout=0), ConvSpec(16, 5, stride=2, dropout=0)],
               [DenseSpec(32, batch_norm=False, dropout=0)]).to(args.device)
nanoemo.summary(model, (48, 48, 1))

faces = data.drawn_faces(20, seed=0)
images = faces.images.astype(np.float32) / 255
images, labels = Tensor(images - images.mean(axis=0), device=args.device), Tensor(faces.labels, device=args.device)

loss = ops.cross_entropy(model(images), labels)
print(f"initial loss {loss.item():.4f}, ln 7 = {math.log(7):.4f}")

optimizer = optim.Adam(model.parameters(), lr=1e-3)
for step in range(args.steps):
    loss = ops.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

scores = model(images).cpu().numpy()
print(f"after {args.steps} steps: loss {loss.item():.4f}, {(scores.argmax(axis=1) == faces.labels).sum()} of 20 right")
