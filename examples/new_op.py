"""A new operation, checked, used in a network; and a kernel swapped for one's own.

    python examples/new_op.py                           # on the GPU: --device cuda

SiLU (also called swish) is x·σ(x): a ReLU with a rounded corner. The library does not have it. An operation
is a forward value and a function for its gradient, handed to `Tensor.from_op`; docs/new_op.md takes the same
example further, to a kernel with a plain and a fast version.

Expect: the gradient check passes; a network with SiLU tells points inside a ring from points outside; with
the matrix product swapped for a hand-written one its outputs differ by rounding only. Last line: over 95 %
right.
"""
import argparse

import numpy as np

import nanoemo
from nanoemo import Tensor, backend, gradcheck, kernels, nn, ops, optim

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
parser.add_argument("--steps", type=int, default=150)
args = parser.parse_args()


# ---- the operation -----------------------------------------------------------------------------------------

def silu(x):
    """y = x·σ(x);  dy/dx = σ + x·σ(1 − σ)."""
    xp = backend.array_module(x.array)                      # NumPy, or CuPy where x is on the GPU
    s = 0.5 * (1 + xp.tanh(0.5 * x.array))                  # σ(x), in a form that cannot overflow

    def backward(dy):
        return (dy * (s + x.array * s * (1 - s)),)          # one gradient for each input

    return Tensor.from_op("silu", x.array * s, (x,), backward)


class SiLU(nn.Activation):
    def forward(self, x):
        return silu(x)


rng = np.random.default_rng(0)
gradcheck(silu, [Tensor(rng.normal(size=(2, 3)), requires_grad=True, device=args.device)])
print("silu: backward agrees with central differences")

# ---- in a network ------------------------------------------------------------------------------------------

points = rng.uniform(-1, 1, (512, 2)).astype(np.float32)
inside = (np.hypot(*points.T) < 0.75).astype(np.int64)
x, labels = Tensor(points, device=args.device), Tensor(inside, device=args.device)

nanoemo.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), SiLU(), nn.Linear(16, 2)).to(args.device)
optimizer = optim.Adam(model.parameters(), lr=0.05)
for step in range(args.steps):
    loss = ops.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# ---- with a kernel of one's own ----------------------------------------------------------------------------

def my_linear_forward(x, w, b):
    """Kernels get arrays and give (result, what backward will need). One column of w at a time, as a sum."""
    y = backend.array_module(x).stack([(x * column).sum(axis=1) for column in w.T], axis=1) + b
    return y, (x, w)


with nanoemo.no_grad():
    scores = model(x)
    with kernels.override(linear_forward=my_linear_forward):
        mine = model(x)

print(f"own linear_forward: scores differ by at most {abs(scores - mine).max().item():.1e}")
print(f"right: {100 * (scores.cpu().numpy().argmax(axis=1) == inside).mean():.1f} %")
