"""Is a gradient right? Three of them checked, one deliberately wrong.

    python examples/gradient_check.py                   # on the GPU: --device cuda

A derivative is a limit, so it can be approximated by two evaluations close together:
f'(x) ≈ (f(x + ε) − f(x − ε)) / 2ε. `gradcheck` does that for every number in every input and compares with
what the operation's own backward says. float64 is needed: in float32 the difference of two values that agree
in six digits is mostly rounding error.

Expect: two gradients accepted, and one refused with a message that names input, index and both values; the
wrong one says half of what is true. The last line counts: 1 of 3 refused.
"""
import argparse

import numpy as np

from nanoemo import Tensor, gradcheck, ops

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
device = parser.parse_args().device
rng = np.random.default_rng(0)


def random_tensor(*shape):
    return Tensor(rng.normal(size=shape), requires_grad=True, device=device)      # NumPy's normal is float64


def square(x):
    """x², with its gradient 2x."""
    return Tensor.from_op("square", x.array ** 2, (x,), lambda dy: (2 * x.array * dy,))


def careless_square(x):
    """x², by somebody who forgot the 2."""
    return Tensor.from_op("careless_square", x.array ** 2, (x,), lambda dy: (x.array * dy,))


def small_network(x, w):
    """A whole chain, checked like one operation. (tanh, as at ReLU's kink there is no slope to measure.)"""
    return ops.avg_pool2d(ops.conv2d(x, w, padding="same").tanh(), 2)


refused = 0
for name, function, inputs in [
    ("square", square, [random_tensor(3)]),
    ("careless square", careless_square, [random_tensor(3)]),
    ("convolution, tanh, pooling", small_network, [random_tensor(2, 4, 4, 2), random_tensor(3, 3, 2, 3)]),
]:
    try:
        gradcheck(function, inputs)
        print(f"{name}: right")
    except AssertionError as error:
        refused += 1
        print(f"{name}: WRONG\n    {error}")

print(f"{refused} of 3 gradients refused")
