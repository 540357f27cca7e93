"""What users write: names taken apart, and what to say where one is not known or a thing is of another kind."""
import difflib

__all__ = ["named_values", "of_pytorch", "suggest", "type_of"]

OF_PYTORCH = {          # methods of its tensors that ours do not have, and what to write
    "view": ".reshape(...)", "permute": ".transpose(axes)", "swapaxes": ".transpose(axes)", "t": ".T",
    "unsqueeze": "x[..., None], or .reshape(...)", "squeeze": ".reshape(...)", "expand": "nothing: shapes broadcast",
    "clone": "Tensor(x.data.copy())", "tolist": ".numpy().tolist()", "numel": ".size", "ndimension": ".ndim",
    "dim": ".ndim", "clamp": ".clip(low, high)",
    "argmin": "(-x).argmax(axis)", "var": "((x - x.mean(axis, keepdims=True)) ** 2).mean(axis)",
    "std": "((x - x.mean(axis, keepdims=True)) ** 2).mean(axis).sqrt()", "norm": "(x ** 2).sum().sqrt()",
    "any": ".numpy().any()", "all": ".numpy().all()", "square": "x ** 2", "dot": "x @ y", "mm": "x @ y",
    "requires_grad_": ".requires_grad = True", "detach_": ".detach()", "zero_": "x[...] = 0", "fill_": "x[...] = value",
    "float": ".to(dtype='float32')", "double": ".to(dtype='float64')", "long": ".to(dtype='int64')",
    "type": ".to(dtype=...)", "astype": ".to(dtype=...)", "is_cuda": ".device == 'cuda'", "grad_fn": ".node",
}


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


def of_pytorch(name):
    """What to write here for a method of PyTorch's tensors, to stand at the end of an error; "" where nothing is known.

    >>> of_pytorch("numel"), of_pytorch("nmel")
    ('; here it is .size', '')
    """
    return f"; here it is {OF_PYTORCH[name]}" if name in OF_PYTORCH else ""


def type_of(value):
    """What an error says that it got in place of what was expected.

    >>> type_of(3), type_of(dict)
    ('int', 'the class dict; write dict(...)')
    """
    return f"the class {value.__name__}; write {value.__name__}(...)" if isinstance(value, type) else type(value).__name__
