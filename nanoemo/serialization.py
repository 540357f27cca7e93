"""Weights in files: `save_state` and `load_state` for state dictionaries, {name: NumPy array}.

Two formats, by the file's suffix: `.safetensors` (a JSON header and the raw bytes; any framework reads it)
and `.npz` (NumPy's own, a zip). Neither can hold code, so a file from a stranger is only ever data.
"""
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nanoemo.files import write_file

__all__ = ["save_state", "load_state", "load_metadata", "first_not_finite"]

NPZ_METADATA = "__metadata__"       # entry of an .npz file; safetensors has a place of its own
RESERVED = (NPZ_METADATA, "file", "allow_pickle")           # the latter are arguments of np.savez


class _UnknownDtype(Exception):
    pass


def save_state(state, path, metadata=None):
    """Write `state` to `path`, whole or not at all.

    state: {name: NumPy array}, as `Module.state_dict()` gives it
    metadata: {text: text} to keep with it, for `load_metadata`
    Raises ValueError for an unknown suffix, a name that the formats need themselves and for a NaN or an infinity,
    TypeError for what is not an array of numbers or not text, OSError where the disk does not take it; an older file
    of that name is then as it was.

    >>> import tempfile
    >>> from nanoemo import load_state, nn, save_state
    >>> layer = nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state(layer.state_dict(), f"{folder}/layer.safetensors")
    ...     state = load_state(f"{folder}/layer.safetensors")
    >>> sorted(state)
    ['bias', 'weight']
    """
    if not isinstance(state, Mapping):
        raise TypeError("save_state: expected a state first, {name: array} as Module.state_dict() gives it, then the path; "
                        f"got {type(state).__name__} first")
    to_bytes, _ = _format(path)
    for name in state:
        if not isinstance(name, str):
            raise TypeError(f"save_state: names must be text, got {name!r}")
        if name in RESERVED:
            raise ValueError(f"save_state: {name!r} cannot be the name of an array, the file formats need it; choose another")
    arrays = {name: np.asarray(value, order="C") for name, value in state.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save_state: {name} must be an array of numbers, got {array.dtype}")
    if problem := first_not_finite(arrays):
        raise ValueError(f"save_state: {problem}; {path} is not written")
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save_state: metadata must be text, got {key!r}: {value!r}")
    write_file(path, to_bytes(arrays, dict(metadata or {})))


def load_state(path):
    """The arrays that `save_state` wrote, {name: NumPy array}.

    Raises FileNotFoundError, and ValueError for an unknown suffix, for a file that is cut short, damaged or
    of another kind, for a dtype that NumPy does not have, and for a NaN or an infinity, which would spoil whatever it meets.

    >>> import tempfile
    >>> from nanoemo import load_state, save_state
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state({"scale": np.ones((2, 3))}, f"{folder}/numbers.npz")
    ...     load_state(f"{folder}/numbers.npz")["scale"].shape
    (2, 3)
    """
    arrays = _read(path)[0]
    if problem := first_not_finite(arrays):
        raise ValueError(f"{path}: {problem}; these weights cannot be used")
    return arrays


def load_metadata(path):
    """The metadata that `save_state` wrote, {text: text}. Raises as `load_state` does.

    >>> import tempfile
    >>> from nanoemo import load_metadata, save_state
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state({}, f"{folder}/numbers.npz", {"model": "njoku.cnn"})
    ...     load_metadata(f"{folder}/numbers.npz")
    {'model': 'njoku.cnn'}
    """
    return _read(path)[1]


def first_not_finite(arrays):
    """Which of the arrays {name: array} holds a NaN or an infinity, and where, in words; "" where none does.

    >>> first_not_finite({"a": np.ones(2), "b": np.array([[0.0, np.nan]])})
    'b holds nan at index (0, 1)'
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            return f"{name} holds {array[index]} at index {index}"
    return ""


def _read(path):
    _, from_bytes = _format(path)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of weights")
    content = path.read_bytes()
    try:
        return from_bytes(content)
    except _UnknownDtype as dtype:
        raise ValueError(f"{path}: holds numbers of dtype {dtype}, which NumPy does not have; convert them to float32 where "
                         "the file was made, and write it again") from None
    except Exception as error:        # what zipfile, NumPy and safetensors raise here has no common base
        raise ValueError(f"{path}: cannot be read as {path.suffix}: cut short, damaged or "
                         f"another kind of file ({type(error).__name__}: {error})") from None


def _format(path):
    suffix = Path(path).suffix
    if suffix not in _FORMATS:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; weights are kept as {' or '.join(_FORMATS)}")
    return _FORMATS[suffix]


def _to_safetensors(arrays, metadata):
    import safetensors.numpy
    return safetensors.numpy.save(arrays, metadata=metadata or None)


def _from_safetensors(content):
    import safetensors.numpy
    try:
        arrays = safetensors.numpy.load(content)
    except KeyError as missing:         # in its table of NumPy's dtypes
        raise _UnknownDtype(*missing.args) from None
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    return arrays, header.get("__metadata__", {})


def _to_npz(arrays, metadata):
    file = io.BytesIO()
    np.savez(file, **arrays, **{NPZ_METADATA: np.array(json.dumps(metadata))})
    return file.getvalue()


def _from_npz(content):
    import zipfile

    if not zipfile.is_zipfile(io.BytesIO(content)):         # np.load would take it for a pickle, and advise to trust it
        raise zipfile.BadZipFile("it is no zip file")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(str(arrays.pop(NPZ_METADATA, "{}")))


_FORMATS = {".safetensors": (_to_safetensors, _from_safetensors), ".npz": (_to_npz, _from_npz)}
