"""With what a result was made."""
import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np

import nanoemo

__all__ = ["versions"]


def versions():
    """Versions that decide the bits of a result, and the commit where nanoemo runs from a checkout: "<sha>+changes" where what
    computes is not as that commit has it."""
    found = {"nanoemo": nanoemo.__version__, "python": platform.python_version(), "numpy": np.__version__,
             "machine": platform.platform(), "cores": os.cpu_count()}
    home = Path(nanoemo.__file__).resolve().parent.parent
    if (home / ".git").exists() and shutil.which("git"):
        commit = _git(home, "rev-parse", "HEAD")
        changed = commit and _git(home, "status", "--porcelain", "--", "nanoemo", "kernels")
        found["commit"] = f"{commit}+changes" if changed else commit or None
    return found


def _git(home, *command):
    """What git prints of the checkout `home`; "" where it fails. It shall not take the lock of somebody who commits."""
    answer = subprocess.run(["git", "--no-optional-locks", "-C", str(home), *command], capture_output=True, text=True)
    return "" if answer.returncode else answer.stdout.strip()
