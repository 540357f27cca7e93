"""index_cupy.py: what `numpy.add.at` is on the CPU."""
import numpy as np
import pytest

from nanoemo import backend
from twins import TOLERANCE, same_numbers

KEYS = {
    "repeated rows": ([2, 0, 2, 2],), "pairs": ([0, 1, 1, 1, 5], [2, 3, 3, 3, 0]), "with a slice": (slice(1, 6, 2), [3, 3, 0]),
    "lists broadcast": ([[0], [5]], [1, 1]), "negative": ([-1, 5, -1],), "none": ([],), "thousands at one place": ([4] * 3_000,),
}


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_add_at(card, rng, key, dtype):
    from nanoemo.kernels.index_cupy import add_at
    key = tuple(np.array(part, np.int64) if isinstance(part, list) else part for part in key)
    x = rng.normal(size=(6, 4)).astype(dtype)
    values = rng.normal(size=x[key].shape).astype(dtype)
    wanted = x.astype(np.float64)
    np.add.at(wanted, key, values)

    def on_card():
        changed = backend.to_device(x.copy(), "cuda")
        add_at(changed, tuple(part if isinstance(part, slice) else backend.to_device(part, "cuda") for part in key),
               backend.to_device(values, "cuda"))
        return [changed]

    same_numbers("add_at", on_card, [wanted], dtype, TOLERANCE[dtype])
