"""What was read once is found again, by content, and never trusted when damaged."""
import errno
import json
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from nanoemo.data import cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("1 2 3")
    return path


class Builder:
    """Reads the numbers of a file, and counts how often it was asked to."""

    def __init__(self):
        self.calls = 0

    def remember(self, path):
        def build():
            self.calls += 1
            return {"numbers": np.array(path.read_text().split(), np.int64)}, {"note": "made"}
        return cache.remember("numbers", path, [path], build)


def entry_of(folder):
    return next(path for path in folder.iterdir() if path.name.startswith("numbers"))


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def mapped(array):
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_second_time_is_mapped_from_the_cache(folder, source):
    builder = Builder()
    for _ in range(3):
        arrays, facts = builder.remember(source)
        assert arrays["numbers"].tolist() == [1, 2, 3] and facts == {"note": "made"}
        assert mapped(arrays["numbers"]) and not arrays["numbers"].flags.writeable
    assert builder.calls == 1 and not leftovers(folder)


def test_unchanged_file_is_not_even_opened(folder, source, monkeypatch):
    builder = Builder()
    builder.remember(source)
    monkeypatch.setattr(cache, "_hash_files", None)
    builder.remember(source)
    assert builder.calls == 1


def test_moved_copied_and_touched_files_are_recognised(folder, source, tmp_path):
    builder = Builder()
    builder.remember(source)
    moved = source.rename(tmp_path / "elsewhere.csv")
    builder.remember(moved)
    os.utime(moved, (1, 1))
    builder.remember(moved)
    assert builder.calls == 1


def test_changed_file_is_read_anew_even_with_its_size_and_time_kept(folder, source):
    builder = Builder()
    builder.remember(source)
    source.write_text("1 2 4")
    os.utime(source, (1, 1))
    assert builder.remember(source)[0]["numbers"].tolist() == [1, 2, 4]
    source.write_text("1 2 3")                       # the first content again: its entry is still there
    os.utime(source, (2, 2))
    assert builder.remember(source)[0]["numbers"].tolist() == [1, 2, 3]
    assert builder.calls == 2


def test_a_file_of_another_size_is_read_anew_though_its_time_is_the_same(folder, source):
    """As `cp -p`, `tar` and `rsync -t` leave it."""
    builder = Builder()
    for numbers in ([1, 2, 3], [1, 2, 3, 4]):
        source.write_text(" ".join(map(str, numbers)))
        os.utime(source, (1, 1))
        assert builder.remember(source)[0]["numbers"].tolist() == numbers


def test_folder_is_known_by_names_and_contents(folder, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    calls = []

    def remember(root):
        files = sorted(root.iterdir())
        cache.remember("numbers", root, files, lambda: (calls.append(1), ({"a": np.zeros(1)}, {}))[1])

    (root / "a").write_bytes(b"1")
    (root / "b").write_bytes(b"2")
    remember(root)
    root = root.rename(tmp_path / "moved")
    remember(root)
    assert len(calls) == 1
    (root / "b").rename(root / "c")
    remember(root)
    assert len(calls) == 2
    (root / "c").write_bytes(b"3")
    remember(root)
    assert len(calls) == 3


@pytest.mark.parametrize("damage", [
    lambda entry: (entry / "numbers.npy").write_bytes((entry / "numbers.npy").read_bytes()[:-8]),
    lambda entry: (entry / "numbers.npy").write_bytes((entry / "numbers.npy").read_bytes()[:-1] + b"\1"),
    lambda entry: (entry / "numbers.npy").write_bytes(b""),
    lambda entry: (entry / "numbers.npy").unlink(),
    lambda entry: (entry / "entry.json").unlink(),
    lambda entry: (entry / "entry.json").write_text('{"checksums": '),
    lambda entry: (entry / "entry.json").write_text("[]"),
    lambda entry: (entry / "entry.json").write_bytes(b"\xff\xfe"),
])
def test_damaged_entry_is_rebuilt(folder, source, damage):
    builder = Builder()
    builder.remember(source)
    damage(entry_of(folder))
    assert builder.remember(source)[0]["numbers"].tolist() == [1, 2, 3]
    assert builder.calls == 2
    assert sorted(os.listdir(entry_of(folder))) == ["entry.json", "numbers.npy"]
    builder.remember(source)
    assert builder.calls == 2 and not leftovers(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"stamp": 1}', "no json"])
def test_damaged_note_of_the_path_only_costs_a_hash(folder, source, text):
    builder = Builder()
    builder.remember(source)
    note = next((folder / "seen").iterdir())
    note.write_text(text)
    builder.remember(source)
    assert builder.calls == 1
    assert json.loads(note.read_text())["path"] == str(source.resolve())


def test_a_file_name_that_is_not_utf_8(folder, tmp_path):
    if sys.platform != "linux":
        pytest.skip("other systems have no such names")
    source = tmp_path / os.fsdecode(b"data\xff.csv")
    source.write_text("1 2 3")
    builder = Builder()
    for _ in range(2):
        assert builder.remember(source)[0]["numbers"].tolist() == [1, 2, 3]
    assert builder.calls == 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, source, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("NANOEMO_CACHE", str(blocked))
    builder = Builder()
    for calls in (1, 2):
        with pytest.warns(UserWarning, match="cannot be cached in .*blocked.*set NANOEMO_CACHE"):
            assert builder.remember(source)[0]["numbers"].tolist() == [1, 2, 3]
        assert builder.calls == calls


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_or_full_disk_leaves_nothing_behind(folder, source, monkeypatch, failure):
    builder = Builder()
    save = np.save

    def fail(path, array, **options):
        Path(path).write_bytes(b"half")
        raise failure

    monkeypatch.setattr(np, "save", fail)
    if isinstance(failure, OSError):
        with pytest.warns(UserWarning, match="No space left"):
            assert builder.remember(source)[0]["numbers"].tolist() == [1, 2, 3]
    else:
        with pytest.raises(KeyboardInterrupt):
            builder.remember(source)
    assert not leftovers(folder) and not [path for path in folder.iterdir() if path.name != "seen"]
    monkeypatch.setattr(np, "save", save)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        builder.remember(source)


def test_drafts_of_a_killed_process_go_after_a_day(folder, source):
    for name, age in (("old", 25 * 3600), ("new", 60)):
        (folder / f".draft-{name}").mkdir(parents=True)
        when = time.time() - age
        os.utime(folder / f".draft-{name}", (when, when))
    Builder().remember(source)
    assert [path.name for path in leftovers(folder)] == [".draft-new"]


def test_folder_of_the_platform(monkeypatch):
    monkeypatch.delenv("NANOEMO_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/mine")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache.cache_folder() == Path("/home/me/Library/Caches/nanoemo")
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache.cache_folder() == Path("/var/mine/nanoemo")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == Path("/home/me/.cache/nanoemo")
    monkeypatch.setenv("NANOEMO_CACHE", "/big/disk")
    assert cache.cache_folder() == Path("/big/disk")
