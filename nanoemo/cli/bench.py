"""`nanoemo bench`: see nanoemo/bench.py, which does the work."""
from nanoemo.bench import add_arguments, run

__all__ = ["add_arguments", "run"]
