"""Feature-level fusion: one layer decides by what a face network and a voice network have found, before either has decided.

A classifier's last layer decides by the numbers it is given, the classifier's features. Those of both networks are
concatenated, and one layer learns to decide by all of them:

    z = ([f, v] − μ) / σ            f, v: features of the face and of the voice; μ, σ: of the training pairs
    p = softmax(z W + b)            trained by cross-entropy

The networks are not trained any further, so f and v are computed once. W starts as 0. A hidden layer before it would learn
what face and voice say only in connection, such as a smile that belies the words. In made pairs (`nanoemo.training.fusion`)
there is no such thing: given the class, face and voice are independent, so log p(class | f, v) is a sum of a term of f, a term
of v and one of the class. A linear layer adds them up, and that each is linear in its features is what the networks learnt.

Training pairs are drawn afresh each epoch: a voice meets another face of its class each time, and is not learnt together
with one. The layer is kept as it was after the epoch that made the cross-entropy of the validation pairs least.
"""
import copy
from typing import NamedTuple

import numpy as np

from nanoemo import Tensor, nn, no_grad, ops, optim
from nanoemo.data import Standardise
from nanoemo.training.ensemble import predictions
from nanoemo.training.fusion import Sense, common_labels, common_of, drawing, on_common, pair, pairs_of
from nanoemo.training.transfer import on_device

__all__ = ["Joint", "answers_and_features", "ask", "judge", "layer_of", "learn", "senses", "without_last"]


def without_last(model):
    """A classifier without its last layer, and that layer; they share the weights of `model`, which stays as it is.

    Modules must have been assigned in the order they run in, as those of all registered models are.
    Raises ValueError where the last is not dense.

    >>> from nanoemo import models
    >>> body, last = without_last(models.build("njoku.cnn"))
    >>> nn.output_shape(body, (48, 48, 1)), last
    ((512,), Linear(512, 7))
    """
    children = list(model.children())
    if not children:
        raise ValueError(f"its last layer is {model!r}; expected a dense one (nn.Linear): a classifier's features are what that "
                         "is given")
    name, child = children[-1]
    rest, last = (nn.Sequential(), child) if isinstance(child, nn.Linear) else without_last(child)
    body = copy.copy(model)
    setattr(body, name, rest)
    return body, last


def answers_and_features(body, last, *inputs):
    """What a classifier says, probabilities (N, K), and what it says it by, (N, F), from one pass, as NumPy arrays.

    body, last: its two parts, as `without_last` gives them; inputs: tensors (N, ...)
    """
    found = body(*inputs)
    return last(found).softmax().cpu().numpy(), found.cpu().numpy()


def ask(member, split, common):
    """What a member's network says of each example of a split and what it says it by, in the split's order, from one pass:
    a `Sense` of probabilities of the `common` classes, and one of features, which the network's last layer is given.

    Raises ValueError for a network whose last layer is not dense.
    """
    experiment = member.experiment
    try:
        body, last = without_last(experiment.model)
    except ValueError as error:
        raise ValueError(f"{member.path}: {experiment.settings.model} has no features to fuse: {error}") from None
    with nn.undisturbed(body):
        batches = on_device(iter(experiment.loader(split)), experiment.settings.device)
        answers, features = zip(*(answers_and_features(body, last, *inputs) for *inputs, _ in batches))
    labels = common_labels(member, split, common)
    answers = on_common(np.concatenate(answers), experiment.classes, common)
    return Sense(answers, labels), Sense(np.concatenate(features), labels)


def senses(face, voice):
    """What two members say of their data and what they find in it, each asked once: (answers, features), either of them
    {split: (`Sense` of the faces, `Sense` of the voices)}."""
    answers, features, common = {}, {}, common_of(face, voice)
    for split in ("train", "validation", "test"):
        answers[split], features[split] = zip(*(ask(member, split, common) for member in (face, voice)))
    return answers, features


class Joint(NamedTuple):
    """A layer that was trained on pairs of features; called with `Pairs` of them it gives probabilities (M, C)."""
    standardise: Standardise
    weight: np.ndarray          # (F + V, C)
    bias: np.ndarray            # (C,)
    epoch: int                  # after which it was like this, from 1
    drawn: int                  # pairs that an epoch trained on

    def __call__(self, pairs):
        weight, bias = (Tensor(array, device="cpu") for array in (self.weight, self.bias))
        return ops.softmax(ops.linear(_inputs(pairs, self.standardise), weight, bias)).numpy()


def _concatenated(pairs):
    return np.concatenate([pairs.face, pairs.voice], axis=1)


def _inputs(pairs, standardise):
    return Tensor(standardise(_concatenated(pairs), None), device="cpu")


def learn(faces, voices, validation, classes, rng, epochs=300, lr=0.01):
    """Train a `Joint` on pairs of two `Sense`s, which are drawn afresh each epoch; `validation`, `Pairs`, chooses the epoch.

    classes: how many there are; rng: to draw with; epochs, lr: of Adam, which makes one step an epoch, on all its pairs
    Raises ValueError where there is no pair to make.

    >>> rng, labels = np.random.default_rng(0), np.tile([0, 1, 2, 3], 50)
    >>> def sense(bit):
    ...     return Sense(bit[:, None] + rng.normal(0, 0.1, (200, 1)), labels)
    >>> faces, voices = sense(labels // 2), sense(labels % 2)           # each tells two from two
    >>> pairs = pair(faces, voices, rng)
    >>> float((learn(faces, voices, pairs, 4, rng)(pairs).argmax(axis=1) == pairs.truth).mean())
    1.0
    """
    first = _concatenated(pair(faces, voices, rng))
    standardise = Standardise.fit(first)
    weight, bias = (nn.Parameter(np.zeros(shape, first.dtype), device="cpu") for shape in ((first.shape[1], classes), classes))
    judged = _inputs(validation, standardise)
    optimizer = optim.Adam([weight, bias], lr=lr)
    best, least = None, np.inf
    for epoch in range(1, epochs + 1):
        pairs = pair(faces, voices, rng)
        optimizer.zero_grad()
        ops.cross_entropy(ops.linear(_inputs(pairs, standardise), weight, bias), pairs.truth).backward()
        optimizer.step()
        with no_grad():
            loss = ops.cross_entropy(ops.linear(judged, weight, bias), validation.truth).item()
        if loss < least:
            best, least = Joint(standardise, weight.numpy().copy(), bias.numpy().copy(), epoch, len(pairs.truth)), loss
    if best is None:
        raise ValueError("joint: the cross-entropy of the validation pairs is never finite; one of the networks gives features "
                         "that are no numbers")
    return best


def layer_of(features, classes, seed=0):
    """The `Joint` that is trained on the training pairs of features.

    features: {split: (`Sense` of the faces, `Sense` of the voices)}, as `senses` gives them; classes: how many there are
    """
    return learn(*features["train"], pairs_of(features, "validation", seed), classes, drawing(seed, "train"))


def judge(features, classes, seed=0):
    """Train a `Joint` as `layer_of` does, answer for the test pairs: (`Joint`, `Predictions`)."""
    joint, test = layer_of(features, classes, seed), pairs_of(features, "test", seed)
    return joint, predictions(joint(test), test.truth)
