"""Which files a path stands for."""
import os

import pytest

from nanoemo.data import DataError, load
from nanoemo.data.pictures import is_picture
from nanoemo.data.source import files_at


def pictures_at(path):
    return files_at(path, is_picture, "pictures", "photo.jpg or photo.png")


def test_files_of_a_folder(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "below/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [photo.name for photo in pictures_at(tmp_path)] == ["a.png", "b.JPG"]
    assert pictures_at(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]        # asked for by name
    with pytest.raises(DataError, match="did you mean .*a.png"):
        pictures_at(tmp_path / "aa.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in this folder; expected files such as photo.jpg or photo.png"):
        pictures_at(tmp_path / "empty")


def test_a_name_that_is_no_utf8(tmp_path):
    """It would be a class, in tables, figures and JSON."""
    try:
        (tmp_path / os.fsdecode(b"f\xeate")).mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(DataError, match=r"f\\xeate: a name that is not written in UTF-8; rename it"):
        load(tmp_path)
