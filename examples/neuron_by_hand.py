"""One neuron: its gradient by the chain rule, by hand, and the same from Tensor.

    python examples/neuron_by_hand.py                   # on the GPU: --device cuda

The neuron multiplies two inputs by a weight each, adds a bias, and squashes the sum: y = σ(w₁x₁ + w₂x₂ + b).
The loss says how far y is from the target t: L = (y − t)². The script works out how L changes with each of
w₁, w₂ and b, first on paper (the comments), then with Tensor, and prints both.

Expect: three pairs of equal numbers; the last line says that they differ by less than 1e-12.
"""
import argparse
import math

import nanoemo
from nanoemo import Tensor

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
nanoemo.set_default_device(parser.parse_args().device)

x1, x2, target = 0.5, -1.0, 1.0
w1, w2, b = 2.0, 1.0, 0.3

# ---- by hand -----------------------------------------------------------------------------------------------

# Forward, one step at a time, each step with a name.
z = w1 * x1 + w2 * x2 + b               # 0.3
y = 1 / (1 + math.exp(-z))              # 0.5744
loss = (y - target) ** 2                # 0.1811

# Backward: from the loss to its causes, multiplying by one derivative a step (the chain rule).
dL_dy = 2 * (y - target)                # L = (y − t)²      →  ∂L/∂y = 2(y − t)
dy_dz = y * (1 - y)                     # y = σ(z)          →  ∂y/∂z = y(1 − y)
dL_dz = dL_dy * dy_dz
by_hand = {
    "w1": dL_dz * x1,                   # z = w₁x₁ + …      →  ∂z/∂w₁ = x₁
    "w2": dL_dz * x2,                   #                      ∂z/∂w₂ = x₂
    "b": dL_dz * 1,                     #                      ∂z/∂b  = 1
}

# ---- the same with Tensor ----------------------------------------------------------------------------------

tensors = {name: Tensor(value, requires_grad=True, dtype="float64")
           for name, value in {"w1": w1, "w2": w2, "b": b}.items()}
z = tensors["w1"] * x1 + tensors["w2"] * x2 + tensors["b"]
((z.sigmoid() - target) ** 2).backward()

# ---- compare -----------------------------------------------------------------------------------------------

print(f"loss {loss:.4f}")
for name, tensor in tensors.items():
    print(f"∂L/∂{name:<2}  by hand {by_hand[name]:+.6f}   Tensor {tensor.grad.item():+.6f}")
difference = max(abs(by_hand[name] - tensor.grad.item()) for name, tensor in tensors.items())
print(f"largest difference: {difference:.1e}")
