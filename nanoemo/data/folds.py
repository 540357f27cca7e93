"""Dividing a training set into folds, each of which is once the one to test on."""
import numpy as np

from nanoemo.data.labelled import Labelled
from nanoemo.hints import type_of

__all__ = ["k_folds"]


def k_folds(labels, k, seed=0, groups=None):
    """The fold of each image, an int array (N,) of numbers from 0 to k − 1: as many of each class in each as can be.

    labels: int array (N,); groups: array (N,), images of one group (a person, a film) fall into one fold
    Largest groups first, those of one size in random order, each goes where its classes are fewest. Raises ValueError
    where there are fewer images or groups than folds, TypeError for a set in place of its labels.

    >>> folds = k_folds(np.array([0] * 6 + [1] * 3), 3)
    >>> [np.bincount(np.array([0] * 6 + [1] * 3)[folds == fold]).tolist() for fold in range(3)]
    [[2, 1], [2, 1], [2, 1]]
    """
    if isinstance(labels, Labelled):
        raise TypeError(f"k_folds: expected labels, an int array (N,), got {type_of(labels)}; its labels are .labels")
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"k_folds: expected labels, whole numbers (N,), got {labels.dtype} {labels.shape}; see argmax(axis=1) "
                         "for one-hot rows, np.unique(names, return_inverse=True) for names")
    names, unit_of = np.unique(np.arange(len(labels)) if groups is None else groups, return_inverse=True)
    if not 2 <= k <= len(names):
        what = "images" if len(names) == len(labels) else "groups"
        raise ValueError(f"k_folds: {len(names)} {what} cannot be divided into {k} folds; expected 2 to {len(names)}")
    counts = np.zeros((len(names), labels.max() + 1))
    np.add.at(counts, (unit_of, labels), 1)                             # images of each class in each group
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled, fold_of = np.zeros((k, counts.shape[1])), np.empty(len(names), np.int64)
    for unit in order:
        of_its_classes = filled @ counts[unit]
        fold = np.lexsort((filled.sum(axis=1), of_its_classes))[0]      # of equals, the smallest fold
        fold_of[unit] = fold
        filled[fold] += counts[unit]
    return fold_of[unit_of]
