"""Arrays read once from a slow format and kept as memory-mapped .npy files, found again by content.

A data set of text, or of 36,000 small pictures, takes seconds to read. Its arrays in .npy files are there at once:
a file is mapped into memory, and each page of it is read when it is first used. (Faces and voices made by formula
take seconds too. They are kept in the same way; the files that they are made from are those of the code.) Each entry
of the cache is a folder

    <reader>-<content hash>/     train-images.npy, …, and entry.json (checksums, and what the reader noted)

and the hash is of the bytes of the files read, so a data set that was moved or copied is found again, and one
that was changed is not mistaken for the old one. Hashing 300 MB takes part of a second; to save even that,

    seen/<hash of the path>.json

remembers size and time of every file when it was last hashed, and the hash. Nothing here is ever trusted
unchecked: an array whose checksum does not fit is read anew from its source. Every file is written under a
temporary name first, so an interrupted run leaves no half entry. The folder may be deleted at any time.
"""
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path

import numpy as np

from nanoemo.files import write_file

__all__ = ["cache_folder", "remember"]

DRAFT_SECONDS = 24 * 3600       # no data set takes longer to read
FORMAT = 4          # goes into every entry's name: raise it when what readers return changes


def cache_folder():
    """Where the cache lies: $NANOEMO_CACHE, else the platform's folder for caches, as a Path.

    That is ~/Library/Caches/nanoemo on macOS, and elsewhere $XDG_CACHE_HOME/nanoemo or ~/.cache/nanoemo.
    """
    if os.environ.get("NANOEMO_CACHE"):
        return Path(os.environ["NANOEMO_CACHE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nanoemo"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nanoemo"


def remember(reader, path, files, build):
    """The arrays of a data set from the cache, or from `build()`, whose result is then kept.

    reader: str, the name of what reads the files; entries of two readers never mix
    path: the data set as the user named it
    files: list of paths, every file that `build` reads
    build: function without arguments -> (dict of arrays by name, dict of anything JSON can hold)

    Returns what `build` returns, the arrays memory-mapped read-only. Where the cache cannot be written it
    warns and returns the arrays in memory.
    """
    folder = cache_folder()
    entry = folder / f"{reader}{FORMAT}-{_content_hash(folder, path, files)}"
    kept = _load(entry)
    if kept is None:
        arrays, facts = build()
        try:
            _save(entry, arrays, facts)
        except OSError as error:
            warnings.warn(f"the data cannot be cached in {folder} ({error.strerror or error}), so it is read "
                          "or made anew each time; set NANOEMO_CACHE to a folder that can be written", stacklevel=2)
            return arrays, facts
        kept = _load(entry) or (arrays, facts)
    return kept


def _content_hash(folder, path, files):
    """Hash of all the files' bytes, taken from the note of an earlier run where the files' sizes and times are still the same."""
    path = Path(path).resolve()
    note = folder / "seen" / f"{_digest([str(path)])}.json"
    stamps = ((file, *_size_and_time(file)) for file in files)
    stamp = _digest(f"{name}\0{size}\0{changed}\n" for name, size, changed in stamps)
    try:
        seen = json.loads(note.read_text())
        if seen["stamp"] == stamp:
            return seen["content"]
    except (OSError, ValueError, KeyError, TypeError):
        pass                                         # no note, or a damaged one: hash the files
    content = _hash_files(path, files)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_file(note, json.dumps({"path": str(path), "stamp": stamp, "content": content}))
    except OSError:
        pass                                         # `remember` warns when it cannot write the entry either
    return content


def _hash_files(path, files):
    """Hash of the bytes of `files` and, in a folder, of their names relative to it."""
    if len(files) == 1:
        with open(files[0], "rb") as file:
            return hashlib.file_digest(file, _hasher).hexdigest()
    total = _hasher()
    for file in files:
        total.update(os.path.relpath(file, path).encode() + b"\0")
        total.update(_hasher(Path(file).read_bytes()).digest())
    return total.hexdigest()


def _hasher(data=b""):
    return hashlib.blake2b(data, digest_size=16)


def _digest(parts):
    return _hasher("".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _size_and_time(file):
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns


def _load(entry):
    """The arrays and facts of an entry, or None where it is missing or anything in it is damaged."""
    try:
        described = json.loads((entry / "entry.json").read_text())
        arrays = {}
        for name, checksum in described["checksums"].items():
            arrays[name] = np.asarray(np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            if _checksum(arrays[name]) != checksum:
                return None
        return arrays, described["facts"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _save(entry, arrays, facts):
    """Write an entry under a temporary name, then give it its own; OSError leaves nothing behind."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    _sweep(entry.parent)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=entry.parent))
    try:
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        checksums = {name: _checksum(array) for name, array in arrays.items()}
        (draft / "entry.json").write_text(json.dumps({"checksums": checksums, "facts": facts}))
        if entry.exists():                           # a damaged one, or another run was quicker
            os.replace(entry, draft / "replaced")
        os.replace(draft, entry)
        shutil.rmtree(entry / "replaced", ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(folder):
    """Remove what processes that were killed while they wrote have left: drafts a day old, which nobody writes now."""
    for draft in folder.glob(".draft-*"):
        with contextlib.suppress(OSError):           # another process may be sweeping too
            if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                shutil.rmtree(draft)


def _checksum(array):
    return zlib.crc32(np.ascontiguousarray(array).data.cast("B"))
