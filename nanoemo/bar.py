"""A bar on the terminal for work that is no training: features being made, a long recording being heard."""
import sys

__all__ = ["with_bar"]


def with_bar(items, doing, total=None):
    """The items, with a bar of how many have been taken where standard error is a terminal, and nothing anywhere else.

    doing: what the bar says
    total: how many there will be; without it the bar only shows that work goes on

    >>> list(with_bar("abc", "spelling"))
    ['a', 'b', 'c']
    """
    if total == 0 or not sys.stderr.isatty():
        return iter(items)
    from rich.console import Console
    from rich.progress import track

    return track(items, doing, total=total, console=Console(stderr=True), transient=True)
