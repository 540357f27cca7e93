"""Late fusion: a network that sees and one that listens, trained apart, answer together. Also the pairs for any fusion.

Each gives a probability for every class that both know. They are put together in two ways, both learnt on validation pairs,
which neither network was trained on:

    weighted    p = w · p_face + (1 − w) · p_voice, with the w that is right most often
    learned     p = softmax(A · [log p_face, log p_voice] + b): logistic regression, the stacking of `nanoemo.training.ensemble`

A pair is a face and a voice of one person at one moment. Where no data set has both, pairs are made: a face and a voice of
the same class, drawn at random. The two then have nothing in common but the class, so their errors are independent, as those
of a real face and voice are not; what fusion gains on made pairs is more than it would gain on real ones.
"""
from typing import NamedTuple

import numpy as np

from nanoemo.data.classnames import common_classes, common_name
from nanoemo.training.ensemble import Member, Stack, predictions, stack
from nanoemo.training.experiment import Experiment
from nanoemo.training.runfolder import RunFolder
from nanoemo.training.settings import Settings

__all__ = ["Late", "Pairs", "Sense", "best_weight", "common_labels", "common_of", "draw_pairs", "drawing", "judge", "learn",
           "load_senses", "on_common", "pair", "pairs_of"]

WEIGHTS = np.linspace(0, 1, 21)         # of the face, that are tried


class Sense(NamedTuple):
    """What one network says of N examples, and the class of each among the common ones, (N,); below 0 for none of them.

    What it says is a row an example: probabilities (N, C) of the common classes, or features (N, F).
    """
    rows: np.ndarray
    labels: np.ndarray


class Pairs(NamedTuple):
    """M pairs: what each network says of its half, a row a pair as in `Sense`, and the true class of each, (M,)."""
    face: np.ndarray
    voice: np.ndarray
    truth: np.ndarray


def load_senses(face_run, voice_run, faces=None, voices=None, device=None):
    """The networks of two runs' folders with their best weights, as (`Member`, `Member`).

    faces, voices: the data sets to judge them on; None for the run's own
    Raises ValueError where the first was not trained on faces, the second not on voices, or one is not finished.
    """
    folders = _folder_of(face_run, listens=False), _folder_of(voice_run, listens=True)
    members = []
    for folder, data in zip(folders, (faces, voices)):
        experiment = Experiment.of_run(folder, data, device=device)
        experiment.load_best(folder)
        members.append(Member(str(folder.path), experiment))
    return tuple(members)


def _folder_of(run, listens):
    folder = RunFolder.open(run)
    settings = Settings.from_config(folder.config(), folder.config_path)
    if settings.listens != listens:
        wanted, found = ("voices", "faces") if listens else ("faces", "voices")
        raise ValueError(f"{folder.path}: {settings.model} was trained on {found}; a run that was trained on {wanted} is wanted "
                         "here (nanoemo fuse FACE_RUN VOICE_RUN)")
    return folder


def on_common(rows, classes, common):
    """Probabilities (N, K) over `classes` as (N, C) over the common ones: given that it is one of them.

    >>> on_common([[0.6, 0.2, 0.2]], ["contempt", "anger", "sadness"], ("angry", "sad")).round(2).tolist()
    [[0.5, 0.5]]
    """
    same = np.array([[common_name(name) == wanted for wanted in common] for name in classes], float)
    rows = np.asarray(rows) @ same + 1e-12              # a network may be sure that it is none of them
    return rows / rows.sum(axis=1, keepdims=True)


def draw_pairs(faces, voices, rng):
    """Pairs made class by class: (indices into faces, indices into voices), each (M,).

    faces, voices: the class of each, from 0; below 0 for one that is left out. In every class the smaller set decides how
    many pairs there are, and nothing is in two of them: pairs that share a face would count one answer twice.
    Raises ValueError where there is no pair to make.

    >>> draw_pairs([0, 1, 1, 1, -1], [1, 0, 0, 1], np.random.default_rng(0))[0].shape
    (3,)
    """
    faces, voices = np.asarray(faces), np.asarray(voices)
    left, right = [], []
    for label in range(1 + max(faces.max(), voices.max())):
        one, other = (rng.permutation(np.flatnonzero(labels == label)) for labels in (faces, voices))
        count = min(len(one), len(other))
        left.append(one[:count])
        right.append(other[:count])
    if not sum(map(len, left)):
        raise ValueError("no class has both a face and a voice, so there is no pair to make")
    return np.concatenate(left), np.concatenate(right)


def drawing(seed, split):
    """The random numbers that the pairs of a split are drawn with: all ways of fusion are judged on the same pairs."""
    return np.random.default_rng([seed, ("validation", "test", "train").index(split)])


def pair(faces, voices, rng):
    """`Pairs` of two `Sense`s, drawn by `draw_pairs`."""
    left, right = draw_pairs(faces.labels, voices.labels, rng)
    return Pairs(faces.rows[left], voices.rows[right], faces.labels[left])


def common_of(face, voice):
    """The classes that two members share, and their data have, as `common_classes` gives them."""
    return common_classes(face.experiment.judged_classes, voice.experiment.judged_classes)


def common_labels(member, split, common):
    """The class of each example of a split among the common ones, (N,), from 0; -1 for none of them."""
    names = map(common_name, member.experiment.classes)
    places = np.array([common.index(name) if name in common else -1 for name in names])
    return places[member.experiment.splits[split].labels]


def pairs_of(senses, split, seed=0):
    """`Pairs` made of one split of {split: (`Sense` of the faces, `Sense` of the voices)}."""
    return pair(*senses[split], drawing(seed, split))


def best_weight(pairs):
    """The weight of the face, of 0, 0.05 … 1, with which the mean of both is right most often on `pairs`.

    Several are equally often right; of those it is the one with the smallest cross-entropy.

    >>> sure, unsure = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.5, 0.5], [0.5, 0.5]])
    >>> best_weight(Pairs(sure, unsure, np.array([0, 1])))
    1.0
    """
    answers = [predictions(_weighted(pairs, weight), pairs.truth) for weight in WEIGHTS]
    return float(min(zip(answers, WEIGHTS), key=lambda pair: ((pair[0].predicted != pairs.truth).mean(), pair[0].loss))[1])


def _weighted(pairs, weight):
    return weight * pairs.face + (1 - weight) * pairs.voice


class Late(NamedTuple):
    """What late fusion has learned; called with `Pairs` of probabilities (M, C) it gives {way: probabilities (M, C)}.

    weight: of the face, in `weighted`; stack: what `learned` is
    The ways are face, voice, weighted and learned.
    """
    weight: float
    stack: Stack

    def __call__(self, pairs):
        return {"face": pairs.face, "voice": pairs.voice, "weighted": _weighted(pairs, self.weight),
                "learned": self.stack(np.stack(pairs[:2]))}


def learn(validation):
    """The `Late` fusion that is learned from validation pairs."""
    return Late(best_weight(validation), stack(np.stack(validation[:2]), validation.truth))


def judge(validation, test):
    """Learn from the validation pairs, answer for the test pairs: (weight of the face, {way: `Predictions`})."""
    late = learn(validation)
    return late.weight, {way: predictions(rows, test.truth) for way, rows in late(test).items()}
