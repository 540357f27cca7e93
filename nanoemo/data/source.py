"""What a data set arrives in: a folder, one file, or a zip of either, read by one set of calls.

A reader asks a source for the names of its files and for their bytes, and need not know which it is.
Nothing is unpacked to disk.
"""
import difflib
import io
import os
import stat
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from nanoemo.files import plain

__all__ = ["DataError", "NotThere", "Source", "existing", "files_at", "folders_without", "open_source", "say_lost", "say_unread",
           "suffix_of"]


SYSTEMS_OWN = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class DataError(ValueError):
    """A data set cannot be read; the message names the file, the row, and what was expected there."""


class NotThere(DataError):
    """There is nothing at the path of a data set."""


class Undividable(DataError):
    """A data set has too few groups, such as one person, for each split to get one."""


class Source:
    """A folder, or a single file seen as a folder with that file alone.

    `names` are the files in it, as sorted paths with forward slashes, without hidden files; `folders` the folders.
    """

    def __init__(self, path):
        self.path = path
        if path.is_file():
            self.root, self.names, self.folders = path.parent, [path.name], []
        else:
            # Text, not Paths: of FER2013's 36,000 files those alone would take half a second.
            walked = [(self._inside(folder), folders, names)
                      for folder, folders, names in os.walk(path, onerror=self._unreadable)]
            self.root = path
            self.names = visible(folder + name for folder, _, names in walked for name in names)
            self.folders = visible(folder + name for folder, names, _ in walked for name in names)
            for name in (*self.names, *self.folders):
                if not name.isascii() and plain(name) != name:      # it may become a class, and stand in tables and figures
                    raise DataError(f"{plain(path)}/{plain(name)}: a name that is not written in UTF-8; rename it")

    def _inside(self, folder):
        """What stands before the names of the files in `folder`: "", or "train/angry/"."""
        inside = os.path.relpath(folder, self.path).replace(os.sep, "/")
        return "" if inside == "." else f"{inside}/"

    @staticmethod
    def _unreadable(error):
        """A folder that cannot be looked into may be a class, which would be lost without a word."""
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}")

    def describe(self, name):
        """How an error calls the file: its path, and for a zip the name inside it."""
        return str(self.root / name)

    def open(self, name):
        """The file opened for reading bytes."""
        try:
            check_ordinary(self.root / name)
            return open(self.root / name, "rb")
        except OSError as error:
            raise DataError(f"{self.describe(name)}: cannot be read: {error.strerror}") from error

    def files(self, names):
        """The paths, as text, of the files on disk that hold `names`: for a zip that of the archive itself."""
        return [os.path.join(self.root, name) for name in names]

    def read(self, name):
        """The bytes of the file."""
        with self.open(name) as file:
            return file.read()

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class ZipSource(Source):
    """A zip archive. A name that leads out of the archive, an encrypted or a damaged file is an error."""

    def __init__(self, path):
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise DataError(f"{path}: not a readable zip archive ({error}); if it is cut short, download it "
                            "again") from error
        for info in self.archive.infolist():
            self._check(info)
        self.names = visible(info.filename for info in self.archive.infolist() if not info.is_dir())
        self.folders = visible(_folders_of(info.filename for info in self.archive.infolist()))

    def _check(self, info):
        name = info.filename.replace("\\", "/")
        climbs_out = name.startswith("/") or ".." in name.split("/") or ":" in info.filename.partition("/")[0]
        link = stat.S_ISLNK(info.external_attr >> 16)
        problem = ("leads out of the archive" if climbs_out else "is a link" if link
                   else "is encrypted" if info.flag_bits & 1 else None)
        if problem:
            self.archive.close()
            raise DataError(f"{self.path}: entry {info.filename!r} {problem}; such an archive is not read")

    def describe(self, name):
        return f"{self.path}, in it {name}"

    def files(self, names):
        return [str(self.path)]

    def open(self, name):
        try:
            return io.BufferedReader(_CheckedMember(self.archive.open(name), self.describe(name)))
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
            raise damaged(self.describe(name), error) from error

    def close(self):
        self.archive.close()


def _folders_of(names):
    """The folders of the entries of a zip, which need have none of their own."""
    innermost = map(PurePosixPath, {name.rpartition("/")[0] for name in names})     # of a folder's own entry it is the folder
    return {str(folder) for path in innermost for folder in (path, *path.parents) if folder.name}


class _CheckedMember(io.RawIOBase):
    """A file inside a zip, whose checksum or decompression failure becomes a DataError."""

    def __init__(self, member, description):
        self.member, self.description = member, description

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            return self.member.readinto(buffer)
        except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, OSError) as error:
            raise damaged(self.description, error) from error

    def close(self):
        self.member.close()
        super().close()


def damaged(description, error):
    return DataError(f"{description}: damaged ({error or 'it ends too early'}); download the archive again")


def visible(names):
    """Sorted names without hidden files and those that macOS and Windows add of their own."""
    return sorted(name for name in names if "/." not in f"/{name}" and not SYSTEMS_OWN.intersection(name.split("/")))


def suffix_of(name):
    """The suffix of a file's name in lower case, as ".wav"; "" for none."""
    return os.path.splitext(name)[1].lower()


def open_source(path):
    """The source at `path`, to be used in a `with` statement.

    Raises DataError where there is nothing at `path` (naming the nearest thing there is) or where it is a
    zip that cannot be read.
    """
    path = existing(path)
    if path.is_file() and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)):
        return ZipSource(path)
    return Source(path)


def existing(path):
    """`path` as a Path; NotThere, a DataError which names the nearest thing there is, where it leads to nothing."""
    path = Path(path)
    if not path.exists():
        raise NotThere(f"{path}: no such file or folder{_suggestion(path)}")
    return path


def check_ordinary(path):
    """Raise DataError for what is no ordinary file: a folder, or a pipe, at which reading would wait for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise DataError(f"{path}: not an ordinary file but a {'folder' if os.path.isdir(path) else 'pipe or a device'}; leave it "
                        "out, or copy what is in it to a file")


def files_at(path, accepts, plural, such_as):
    """The files to read for `path`: itself, or those in that folder (not in those below it) that `accepts` names, sorted.

    accepts: whether a file of that name is wanted; plural, such_as: what an error calls such files, and names of two
    Raises DataError where there is no such path (with the nearest one), or none of them in the folder.
    """
    path = existing(path)
    if not path.is_dir():
        check_ordinary(path)
        return [path]
    found = sorted(file for file in path.iterdir() if accepts(file.name) and not file.name.startswith(".") and file.is_file())
    if not found:
        raise DataError(f"{path}: no {plural} in this folder; expected files such as {such_as}")
    return found


def folders_without(source, names):
    """The names of the folders that lie beside those of the files `names` and hold none of them, sorted.

    Where a folder stands for a class, these are classes that would be lost without a word.
    """
    used, beside = _parents(names), _folders_beside(source, names)
    return sorted({folder.name for folder in beside} - {folder.name for folder in used})


def _parents(names):
    return {PurePosixPath(name).parent for name in names}


def _folders_beside(source, names):
    around = {folder.parent for folder in _parents(names)}
    return {folder for folder in map(PurePosixPath, source.folders) if folder.parent in around and folder not in around}


def say_lost(classes):
    """That `classes`, a list of names, are left out, as a sentence; "" for none.

    >>> say_lost(["bored", "calm"])
    'Class bored has no usable example and is left out. Class calm has no usable example and is left out.'
    """
    return " ".join(f"Class {name} has no usable example and is left out." for name in classes)


def say_unread(source, names):
    """That files of other kinds lie beside the files `names`, or in the folders beside theirs, and how many of each, as a
    sentence; "" for none."""
    folders, known = _parents(names) | _folders_beside(source, names), set(names)
    kinds = Counter(suffix_of(name) or "without a suffix" for name in source.names
                    if PurePosixPath(name).parent in folders and name not in known)
    if not kinds:
        return ""
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"Not read, as they are of other kinds: {kinds.total()} file{'s' if kinds.total() > 1 else ''} ({counts})."


def _suggestion(path):
    """"; did you mean …" for the nearest name in the deepest folder of `path` that exists."""
    missing = path
    while missing.parent != missing and not missing.parent.is_dir():
        missing = missing.parent
    if not missing.parent.is_dir():
        return ""
    near = difflib.get_close_matches(missing.name, os.listdir(missing.parent), n=1)
    return f"; did you mean {missing.parent / near[0]}?" if near else f" (in {missing.parent})"
