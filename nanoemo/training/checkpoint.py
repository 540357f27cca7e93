"""Checkpoints: named arrays and a dictionary of plain data, in one safetensors file. Never pickle.

safetensors is a JSON header and the raw bytes of the arrays: reading one runs no code, and the arrays say
nothing of the device they came from. Under `FORMAT` in the header's metadata we keep JSON with the caller's
dictionary (epoch, step, random state, history …) and a checksum of both, so that a file damaged in
the middle is found out too.
"""
import json
import zlib
from pathlib import Path

import numpy as np

from nanoemo.files import write_file
from nanoemo.serialization import first_not_finite

__all__ = ["CheckpointError", "load", "load_weights", "part", "save"]

FORMAT = "nanoemo.checkpoint.2"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and what is wrong with it."""


def save(path, arrays, meta):
    """Write `arrays` (name -> NumPy array) and `meta` (JSON-able dictionary) to `path`, whole or not at all.

    Raises CheckpointError where an array holds a NaN or an infinity (a good file must not be replaced by a
    ruined one), OSError where the disk does not take it.
    """
    import safetensors.numpy

    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if first_not_finite(arrays):
        raise CheckpointError(f"{path}: not saved, because {first_not_finite(arrays)} (has training diverged? "
                              "try a lower learning rate); the checkpoint saved before stays as it is")
    text = json.dumps({"meta": meta, "crc32": _checksum(arrays, meta)})
    write_file(path, safetensors.numpy.save(arrays, metadata={FORMAT: text}))


def load(path):
    """Read a checkpoint; returns (arrays, meta).

    Raises FileNotFoundError, or CheckpointError where the file is cut short, damaged, no checkpoint of ours,
    or holds a NaN or an infinity.
    """
    import safetensors

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or cut short, not readable as such ({error})") from None
    if FORMAT not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of a training run "
                              "(to use bare weights, see nanoemo.load_state)")
    try:
        content = json.loads(metadata[FORMAT])
        meta, expected = content["meta"], content["crc32"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise CheckpointError(f"{path}: damaged, its header is not what was written") from None
    if _checksum(arrays, meta) != expected:
        raise CheckpointError(f"{path}: damaged, its checksum does not match its contents")
    if first_not_finite(arrays):
        raise CheckpointError(f"{path}: {first_not_finite(arrays)}; training cannot go on from it, and an "
                              "answer of its network would mean nothing; take another run, or train anew")
    return arrays, meta


def load_weights(path, model):
    """Write the model's part of a checkpoint into `model`; returns the checkpoint's meta.

    Raises what `load` raises, CheckpointError also where the weights are those of another network; then none is written.
    """
    arrays, meta = load(path)
    try:
        model.load_state_dict(part(arrays, "model."))
    except ValueError as error:
        raise CheckpointError(f"{path}: the weights do not fit the run's settings: {error}") from error
    return meta


def part(arrays, prefix):
    """Those arrays whose names begin with `prefix`, under what follows it.

    >>> part({"model.0.weight": 1, "optimizer.step": 2}, "model.")
    {'0.weight': 1}
    """
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _checksum(arrays, meta):
    value = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(arrays):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8), value)
    return value
