"""What a search tries: every combination of a grid, or some drawn at random."""
import itertools
import json
import math

import numpy as np

__all__ = ["candidates", "parse_values"]


def parse_values(text):
    """Values as they are written on the command line: a list, or "low:high" for a range, which stays text.

    >>> parse_values("1e-4,1e-3"), parse_values("[256,512],[128,256]"), parse_values("same,valid"), parse_values("1e-4:1e-2")
    ([0.0001, 0.001], [[256, 512], [128, 256]], ['same', 'valid'], '1e-4:1e-2')
    """
    if ":" in text:
        return text
    try:
        return json.loads(f"[{text}]")
    except json.JSONDecodeError:
        return [_number_or_word(part.strip()) for part in text.split(",")]


def _number_or_word(text):
    try:
        return float(text)          # what JSON does not know as a number: .5
    except ValueError:
        return text


def candidates(space, random=None, seed=0):
    """The combinations of `space` to try, a list of {name: value}.

    space: {name: list of values, or "low:high"}
    random: None for the whole grid; else how many to draw (Bergstra & Bengio 2012): of a list one value, of a range a
        number whose logarithm is uniform, whole where both ends are. None comes twice, so there may be fewer.
    Raises ValueError for an empty space, a range in a grid, and a range without positive ends in order.

    >>> candidates({"lr": [0.01, 0.001], "hidden": [64]})
    [{'lr': 0.01, 'hidden': 64}, {'lr': 0.001, 'hidden': 64}]
    >>> len(candidates({"lr": "1e-4:1e-2", "hidden": "64:512"}, random=5))
    5
    """
    if not space or not all(len(values) for values in space.values()):
        raise ValueError("search: nothing to search; give values for one setting at least, such as --lr 1e-4,1e-3")
    ranges = {name: _ends(name, values) for name, values in space.items() if isinstance(values, str)}
    if random is None:
        if ranges:
            name = next(iter(ranges))
            raise ValueError(f"search: {name} is the range {space[name]}, and a grid needs single values; list them, "
                             "or draw from it with --random N")
        return list(_each_once(dict(zip(space, values)) for values in itertools.product(*space.values())))
    if random < 1:
        raise ValueError(f"search: random is {random}; expected at least 1 combination to draw")
    rng = np.random.default_rng(seed)
    drawn = ({name: _draw(rng, ranges[name]) if name in ranges else values[rng.integers(len(values))]
              for name, values in space.items()} for _ in range(100 * random))
    return list(itertools.islice(_each_once(drawn), random))


def _ends(name, text):
    try:
        low, high = (int(part) if part.strip().isdigit() else float(part) for part in text.split(":"))
    except ValueError:
        low = high = math.nan
    if not 0 < low < high < math.inf:
        raise ValueError(f"search: {name} is {text!r}; expected a range of positive numbers, such as 1e-4:1e-2")
    return low, high


def _draw(rng, ends):
    value = math.exp(rng.uniform(*np.log(ends)))
    return round(value) if all(isinstance(end, int) for end in ends) else float(f"{value:.3g}")


def _each_once(combinations):
    """Yield those that no earlier one is equal to."""
    seen = set()
    for combination in combinations:
        key = _hashable(combination)
        if key not in seen:
            seen.add(key)
            yield combination


def _hashable(value):
    """What stands for a value in a set: equal for equal ones."""
    if isinstance(value, dict):
        return frozenset((name, _hashable(part)) for name, part in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
