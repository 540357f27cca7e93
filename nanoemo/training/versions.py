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
    """Versions that decide the bits of a result, and the commit where nanoemo runs from a checkout."""
    found = {"nanoemo": nanoemo.__version__, "python": platform.python_version(), "numpy": np.__version__,
             "machine": platform.platform(), "cores": os.cpu_count()}
    home = Path(nanoemo.__file__).resolve().parent.parent
    if (home / ".git").exists() and shutil.which("git"):
        answer = subprocess.run(["git", "-C", str(home), "rev-parse", "HEAD"], capture_output=True, text=True)
        found["commit"] = answer.stdout.strip() or None
    return found
