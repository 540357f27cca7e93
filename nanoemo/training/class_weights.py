"""How much each class counts in the loss."""

from collections.abc import Mapping

import numpy as np

from nanoemo.hints import named_values, type_of

__all__ = ["class_weights"]


def class_weights(text, counts):
    """The weights (K,), float32, that `text` names; None for "".

    text: "balanced", so that all classes count alike: N / (K n_k) for a class with n_k of the N images; or weights by
        name, such as "disgust=4,happy=0.5", where the other classes weigh 1
    counts: {class: number of its images in the training set}, in the order of the labels
    A class without images has the weight 0. Raises ValueError for an unknown class and what is no positive number, TypeError
    for what is no text and no counts.

    >>> class_weights("balanced", {"sad": 30, "happy": 90})
    array([2.       , 0.6666667], dtype=float32)
    >>> class_weights("happy=0.5", {"sad": 30, "happy": 90})
    array([1. , 0.5], dtype=float32)
    """
    if not isinstance(text, str) or not isinstance(counts, Mapping):
        raise TypeError("class_weights: expected a text such as 'balanced', then {class: number of its images}, as "
                        f"images.counts() gives them; got {type_of(text)}, then {type_of(counts)}")
    if not text:
        return None
    if text == "balanced":
        numbers = np.array(list(counts.values()))
        return np.where(numbers > 0, numbers.sum() / (len(counts) * np.maximum(numbers, 1)), 0).astype(np.float32)
    if not all(part.strip() for part in text.split(",")):
        raise ValueError(f"class weights: {text!r}: there is no class '' between commas, or at an end")
    given = named_values(text, ["balanced", *counts], "class weights")
    if "balanced" in given:
        raise ValueError(f"class weights: {text!r}: balanced stands alone; leave it out, or the other weights")
    return np.array([_positive(name, given[name]) if name in given else 1.0 for name in counts], np.float32)


def _positive(name, text):
    try:
        number = float(text or "")
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):           # 0: the mean loss of a batch of that class alone would be 0/0
        part = name if text is None else f"{name}={text}"
        raise ValueError(f"class weights: {part!r}: expected a number above 0 after =, as in {name}=2")
    return number
