"""What the random searches share: how many cases, which values, and how arrays lie in memory.

A search draws the same cases every time. NANOEMO_EXAMPLES=1000 draws so many, and others each time.
"""
import os
from contextlib import nullcontext

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed: random searches are not run")

from hypothesis import HealthCheck, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from opcheck import compare_with_torch, small_blocks  # noqa: E402

__all__ = ["LAYOUTS", "VALUES", "compare_case", "integers", "one_of", "search", "st"]

WIDER = os.environ.get("NANOEMO_EXAMPLES")

integers, one_of = st.integers, lambda *values: st.sampled_from(values)


def search(examples):
    """Decorator: run a test on so many drawn cases."""
    return settings(derandomize=WIDER is None, max_examples=int(WIDER or examples), deadline=None, database=None,
                    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


VALUES = {     # kinds of numbers an operation is tried on
    "any": lambda rng, shape: rng.uniform(-2, 2, shape),
    "ties": lambda rng, shape: rng.integers(-2, 3, shape).astype(float),
    "negative": lambda rng, shape: rng.uniform(-3, -1, shape),
    "large": lambda rng, shape: rng.uniform(-1000, 1000, shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "probabilities": lambda rng, shape: rng.integers(0, 5, shape) / 4,
}

LAYOUTS = {     # the same numbers, elsewhere in memory
    "as NumPy makes it": lambda a: a,
    "axes reversed": lambda a: a.T.copy().T,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: a[::-1].copy()[::-1] if a.ndim else a,
}

AFTER = {      # what follows the operation decides how its gradient lies in memory
    "nothing": lambda y: y,
    "axes reversed": lambda y: y.T if y.ndim == 2 else y,
    "sum": lambda y: y.sum(),
}


def compare_case(torch, device, data, case, ours, theirs, values=("any",)):
    """Draw shapes and options from the strategy `case`, values and layouts, and compare with PyTorch.

    case: gives (shapes, options); ours(*tensors, **options) and theirs(*torch tensors, **options) are compared,
    values and gradients, in float64.
    """
    shapes, options = data.draw(case, label="shapes, options")
    kind, after = data.draw(one_of(*values), label="values"), data.draw(one_of(*AFTER), label="then")
    rng = np.random.default_rng(data.draw(integers(0, 2**32 - 1), label="seed"))
    layouts = [data.draw(one_of(*LAYOUTS), label="layout") for _ in shapes]
    arrays = [LAYOUTS[layout](VALUES[kind](rng, shape)) for layout, shape in zip(layouts, shapes)]
    with small_blocks(256) if data.draw(st.booleans(), label="small blocks") else nullcontext():
        compare_with_torch(torch, device, arrays, lambda *x: AFTER[after](ours(*x, **options)),
                           lambda *x: AFTER[after](theirs(*x, **options)), rtol=1e-8, atol=1e-10)
