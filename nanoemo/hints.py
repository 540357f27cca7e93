"""What users write: names taken apart, and what to say where one is not known or a thing is of another kind."""
import difflib

__all__ = ["named_values", "suggest", "type_of"]


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


def named_values(text, known, owner):
    """{name: what stands after its =, None where nothing does} of a text such as "flip,rotate=10".

    Raises ValueError, which says whose names they are, for one that is not known or given twice.

    >>> named_values("flip, rotate=10", ["flip", "rotate"], "augment")
    {'flip': None, 'rotate': '10'}
    >>> named_values("flip,flip", ["flip", "rotate"], "augment")
    Traceback (most recent call last):
        ...
    ValueError: augment: 'flip' is given twice; leave one of them out
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, given, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise ValueError(f"{owner}: unknown {name!r}; {suggest(name, known)}")
        if name in found:
            raise ValueError(f"{owner}: {name!r} is given twice; leave one of them out")
        found[name] = value if given else None
    return found


def type_of(value):
    """What an error says that it got in place of what was expected.

    >>> type_of(3), type_of(dict)
    ('int', 'the class dict; write dict(...)')
    """
    return f"the class {value.__name__}; write {value.__name__}(...)" if isinstance(value, type) else type(value).__name__
