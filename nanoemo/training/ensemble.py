"""Several trained networks judged together.

Averaging: the class with the highest mean probability. Stacking (Wolpert 1992): a small network learns on the validation
set, which no member was trained on, how far to trust each member in each class. Here it is one linear layer over all
members' log-probabilities. It begins as their mean (the geometric mean of the probabilities), so that what it learns is how far
to depart from trusting all alike.
"""
from typing import NamedTuple

import numpy as np

from nanoemo import Tensor, nn, no_grad, ops, optim
from nanoemo.files import write_csv, write_json
from nanoemo.nn.trace import undisturbed
from nanoemo.training.evaluation import write_evaluation
from nanoemo.training.experiment import Experiment
from nanoemo.training.runfolder import RunFolder
from nanoemo.training.settings import Settings
from nanoemo.training.trainer import Predictions
from nanoemo.training.transfer import on_device

__all__ = ["Judged", "Member", "Stack", "average", "judge", "load_members", "predictions", "probabilities", "stack", "write"]

FLOOR = 1e-7            # of a probability before its logarithm: a member that is sure and wrong must not outweigh all others


class Member(NamedTuple):
    """A finished run: its folder's path, and its experiment with the best weights."""
    path: str
    experiment: Experiment


def load_members(paths, device=None):
    """The runs in the folders `paths`, all on the data of the first. Returns a list of `Member`.

    Raises ValueError for fewer than two runs, one given twice, runs on different data, and one without a finished epoch.
    """
    folders = [RunFolder.open(path) for path in paths]
    names = [str(folder.path.resolve()) for folder in folders]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError("an ensemble needs two different runs at least; give the folder of each once")
    first = folders[0].config()["data"]
    members = []
    for folder in folders:
        told = folder.config()
        if told["data"]["fingerprint"] != first["fingerprint"]:
            raise ValueError(f"{folder.path} was trained on other data ({told['data']['name']}, {told['data']['images']}) than "
                             f"{folders[0].path} ({first['name']}, {first['images']}): one's training images may be the "
                             "other's test images, so they cannot be judged together")
        folder.finished_best_path()
        settings = Settings.from_config({**told, "settings": {**told["settings"], **({"device": device} if device else {})}},
                                        folder.config_path)
        experiment = Experiment(settings, members[0].experiment.splits if members else None)
        experiment.load_best(folder)
        members.append(Member(str(folder.path), experiment))
    if members[0].experiment.about_data["fingerprint"] != first["fingerprint"]:
        raise ValueError(f"{first['name']} is not what {folders[0].path} was trained on any more; its images have changed")
    return members


def probabilities(member, split):
    """(probabilities (N, K), float64, true classes (N,)) of a member on a split, in the split's order."""
    experiment, rows, truth = member.experiment, [], []
    with undisturbed(experiment.model):
        for *inputs, labels in on_device(iter(experiment.loader(split)), experiment.settings.device):
            rows.append(experiment.model(*inputs).softmax().cpu().numpy())
            truth.append(labels.cpu().numpy().copy())       # a batch on the GPU will be written over
    return np.concatenate(rows).astype(np.float64), np.concatenate(truth)


def average(members):
    """Mean (N, K) of the members' probabilities (M, N, K).

    >>> average(np.array([[[0.9, 0.1]], [[0.2, 0.8]]])).tolist()
    [[0.55, 0.45]]
    """
    return np.mean(members, axis=0)


class Stack(NamedTuple):
    """How far to trust each of M members in each of K classes; called with their probabilities (M, N, K) it gives (N, K)."""
    weight: np.ndarray          # (M · K, K)
    bias: np.ndarray            # (K,)

    def __call__(self, probabilities):
        weight, bias = (Tensor(array, device="cpu") for array in self)
        with no_grad():
            return _scores(probabilities, weight, bias).softmax().numpy()


def _scores(probabilities, weight, bias):
    logarithms = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR))
    return Tensor(np.concatenate(list(logarithms), axis=1), device="cpu") @ weight + bias


def stack(members, truth, steps=300, lr=0.01, weight_decay=0.01):
    """Learn how to put the members' answers together; returns a `Stack`.

    members: probabilities (M, N, K) on images that no member was trained on; truth: (N,) their classes
    steps, lr, weight_decay: of AdamW over all images at once; it pulls towards trusting all alike, not towards 0

    >>> sure, wrong = np.array([[0.9, 0.1], [0.1, 0.9]] * 8), np.array([[0.01, 0.99], [0.99, 0.01]] * 8)
    >>> members, truth = np.stack([sure, wrong]), np.array([0, 1] * 8)
    >>> average(members).argmax(axis=1)[:4].tolist(), stack(members, truth)(members).argmax(axis=1)[:4].tolist()
    ([1, 0, 1, 0], [0, 1, 0, 1])
    """
    count, _, classes = np.shape(members)
    mean = Tensor(np.tile(np.eye(classes) / count, (count, 1)), device="cpu")
    change, bias = (nn.Parameter(np.zeros(shape), device="cpu") for shape in ((count * classes, classes), classes))

    optimizer = optim.AdamW([change, bias], lr=lr, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.zero_grad()
        ops.cross_entropy(_scores(members, mean + change, bias), truth).backward()
        optimizer.step()
    return Stack(mean.numpy() + change.numpy(), bias.numpy())


def predictions(probability, truth):
    """`Predictions` of probabilities (N, K), ready to be reported."""
    right = np.maximum(probability[np.arange(len(truth)), truth], FLOOR)
    return Predictions(truth, probability.argmax(axis=1), float(-np.log(right).mean()))


class Judged(NamedTuple):
    """Members judged apart and together: the method, and {split: {path of a member, or the method: `Predictions`}}."""
    method: str
    found: dict

    @property
    def table(self):
        """Rows (split, path of a member or the method, accuracy, loss)."""
        return [(split, network, float((answer.truth == answer.predicted).mean()), answer.loss)
                for split, answers in self.found.items() for network, answer in answers.items()]


def judge(members, stacking=False):
    """Judge a list of `Member`s apart and together, by averaging or by stacking; returns `Judged`.

    Both sets judge the average. The validation set teaches the stacking, so it cannot judge it, and the test set does.
    """
    truth, told = {}, {}
    for split in ("validation", "test"):
        answers = [probabilities(member, split) for member in members]
        told[split], truth[split] = np.stack([rows for rows, _ in answers]), answers[0][1]
    method = "stacking" if stacking else "averaging"
    combine = stack(told["validation"], truth["validation"]) if stacking else average
    found = {}
    for split in ("test",) if stacking else ("validation", "test"):
        apart = {member.path: predictions(rows, truth[split]) for member, rows in zip(members, told[split])}
        found[split] = {**apart, method: predictions(combine(told[split]), truth[split])}
    return Judged(method, found)


def write(judged, members, folder):
    """Write ensemble.csv, ensemble.json, and for each split the ensemble's tables and figures into `folder` (a `RunFolder`)."""
    experiment, paths = members[0].experiment, [member.path for member in members]
    for split, answers in judged.found.items():
        title = f"{judged.method} of {len(members)} networks on {experiment.about_data['name']}, {split} set"
        write_evaluation(folder.path / split, answers[judged.method], experiment.classes, title,
                         {"members": paths, "method": judged.method})
    write_csv(folder.path / "ensemble.csv", ["split", "network", "accuracy", "loss"], judged.table)
    write_json(folder.path / "ensemble.json", {"method": judged.method, "members": paths, "data": experiment.about_data})
