"""What to say where a name is not known."""
import difflib

__all__ = ["suggest"]


def suggest(name, known, there_are="there are"):
    """The name that was probably meant, where one looks like it, and all there are; to stand at the end of an error.

    >>> suggest("sdg", ["sgd", "adam"])
    'did you mean sgd? There are sgd, adam'
    >>> suggest("newton", ["sgd", "adam"])
    'there are sgd, adam'
    """
    near = difflib.get_close_matches(name, known, 1)
    there_are = f"{there_are} {', '.join(known)}"
    return f"did you mean {near[0]}? {there_are[0].upper()}{there_are[1:]}" if near else there_are
