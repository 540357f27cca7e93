"""Writes the pages of docs/reproduction anew, from what `nanoemo reproduce` kept of its runs beside them (results, figures).

    python docs/make_reproduction.py

For when the text of a page changes. Figures change by running again alone.
"""
import re
from pathlib import Path

from nanoemo.cli.reproduce import SPEECH
from nanoemo.reproduction import paper, write_page

PAGES = Path(__file__).parent / "reproduction"


def write_anew(folder):
    """The page in `folder`, of the same command as before."""
    command = re.search("^Written by `(.*)`", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    name = command.split()[2]
    return write_page(folder, paper(SPEECH[name] if "--speech" in command else name), command)


if __name__ == "__main__":
    for results in sorted(PAGES.glob("*/results")):
        print(write_anew(results.parent))
