"""Writing files so that a reader, or a crash, never meets half a file.

The bytes go to a temporary name in the same folder, are forced to the disk, and only then take the final
name, in one step (`os.replace`). Whatever happens before that step (a full disk, a power cut, SIGKILL), the
old file is intact.
"""
import csv
import io
import itertools
import json
import os
from pathlib import Path

__all__ = ["next_free", "plain", "write_file", "write_json", "write_csv", "read_json"]


def write_file(path, content):
    """Write `content` (str or bytes) to `path`, whole or not at all.

    Raises OSError (disk full, no permission …) whose message names `path`; the temporary file is then
    removed and an older file of that name is as it was.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{os.urandom(8).hex()}.tmp")           # of its own for each thread, and never too long
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def write_json(path, value):
    """Write `value` as indented JSON; NaN is not JSON, so it is a ValueError."""
    write_file(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_csv(path, header, rows):
    """Write a table as CSV, a line of names first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_file(path, text.getvalue())


def read_json(path):
    """The value in a JSON file; ValueError that names the file where it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error}); the file is damaged or not ours") from None


def plain(path):
    """A path as text that can be printed, drawn and written to a file, whatever its bytes are: those that are no UTF-8 as \\xff.

    >>> plain(Path("me.jpg")), plain(os.fsdecode(b"caf\\xe9.jpg"))
    ('me.jpg', 'caf\\\\xe9.jpg')
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def next_free(path):
    """Make and return the folder `<path>-<n>`, with the first n from 1 on that is free.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [next_free(Path(folder) / "runs" / "mine").name for _ in range(2)]
    ['mine-1', 'mine-2']
    """
    path.parent.mkdir(exist_ok=True)
    for number in itertools.count(1):
        folder = path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir()             # fails where it exists, so two programs started at once get two folders
            return folder
        except FileExistsError:
            continue
