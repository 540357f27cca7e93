"""Leave-one-subject-out: as many runs as people, each tested on the one whom its network has never seen.

Of ten people, a test on two tells more about those two than about the network. Here everybody is tested on once, each
image by a network that was not trained on its person; some of the others, held out as well, tell when that run was best.
So the runs' tables of right and wrong answers add up to one table over all images; how far the people's accuracies lie apart
says what to expect of a stranger.
"""
import re
from dataclasses import asdict, replace

import numpy as np

from nanoemo import models
from nanoemo.files import read_json, write_csv, write_file, write_json
from nanoemo.training.carry_out import carry_out
from nanoemo.training.evaluation import read_table, write_evaluation
from nanoemo.training.run_data import load_divided
from nanoemo.training.runfolder import RunFolder, RunFolderError
from nanoemo.training.settings import Settings
from nanoemo.training.trainer import Predictions

__all__ = ["LeaveOneOut"]

COLUMNS = ("subject", "examples", "accuracy", "loss", "epoch")


class LeaveOneOut:
    """A training for each person of the data that `settings` (a `Settings`) name, who is then the test set.

    `subjects` are the people's names, in order. Raises ValueError where the settings divide the data already and for an
    auto-encoder, DataError where nothing tells the people apart or there are too few of them.

    >>> from nanoemo.training import LeaveOneOut, Settings
    >>> LeaveOneOut(Settings.from_recipe("njoku.cnn", "CK+48", split_by="random"))
    Traceback (most recent call last):
        ...
    ValueError: split_by is 'random', but each person is left out in turn; leave it out
    """

    def __init__(self, settings):
        if settings.split_by:
            raise ValueError(f"split_by is {settings.split_by!r}, but each person is left out in turn; leave it out")
        if models.recipe(settings.model).num_classes is None:
            raise ValueError(f"{settings.model} is an auto-encoder and knows no classes, so there is no accuracy to measure")
        self.settings = settings
        self.subjects = _subjects(settings)

    def settings_of(self, subject):
        """The settings of the training that is tested on `subject`."""
        return replace(self.settings, split_by=f"subject={subject}")

    def run(self, folder, stop=None, say=print):
        """Make every training that is not in `folder` (a `RunFolder`, locked) yet, and go on with the one broken off.

        stop: looked at between steps, True leaves early with everything saved. Returns the table (`results`), a row a
        subject; None where asked to stop.
        """
        write_json(folder.path / "leave_one_out.json", {"settings": asdict(self.settings), "subjects": self.subjects})
        for number, subject in enumerate(self.subjects, start=1):
            say(f"\nsubject {number} of {len(self.subjects)}: {subject}")
            if not carry_out(self.settings_of(subject), self.path_of(folder, subject), stop, say):
                return None
        rows = self.results(folder)
        self._report(folder, rows)
        return rows

    @classmethod
    def resume(cls, folder):
        """What began in `folder` (a `RunFolder`). Raises ValueError where nothing did, or the data has other people now."""
        file = folder.path / "leave_one_out.json"
        if not file.is_file():
            raise RunFolderError(f"{folder.path} has no leave_one_out.json; begin one with nanoemo leave-one-out MODEL")
        told = read_json(file)
        begun = cls(Settings.from_config(told, file))
        if begun.subjects != told.get("subjects"):
            raise RunFolderError(f"{folder.path} began on other people than are in {begun.settings.data} now; begin anew")
        return begun

    def path_of(self, folder, subject):
        """Where the run that is tested on `subject` lies."""
        plain = re.sub(r"[^\w.-]+", "-", subject)
        return folder.path / f"{1 + self.subjects.index(subject)}-{plain}"

    def results(self, folder):
        """A row {"subject", "examples", "accuracy", "loss", "epoch": of the weights judged} for each finished run."""
        rows = []
        for subject in self.subjects:
            report = read_json(self.path_of(folder, subject) / "test" / "classification_report.json")
            rows.append({"subject": subject, "examples": report["macro average"]["support"],
                         **{name: report[name] for name in ("accuracy", "loss", "epoch")}})
        return rows

    def _report(self, folder, rows):
        """subjects.csv, subjects.json and subjects.png, and in test/ what is told of any run, here over all people."""
        from nanoemo import viz

        about = RunFolder(self.path_of(folder, self.subjects[0])).config()["data"]
        title = f"{self.settings.model} on {about['name']}"
        write_csv(folder.path / "subjects.csv", COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
        write_json(folder.path / "subjects.json", rows)
        figure = viz.group_accuracy({row["subject"]: row["accuracy"] for row in rows}, 1 / len(about["classes"]),
                                    f"{title}: each person as a stranger", "person")
        write_file(folder.path / "subjects.png", viz.to_png(figure))
        write_evaluation(folder.path / "test", self._together(folder, rows), about["classes"],
                         f"{title}, each person left out in turn", {"subjects": self.subjects})

    def _together(self, folder, rows):
        """`Predictions` over all people, from the runs' tables: a cell of n examples is n times its classes."""
        runs = (RunFolder(self.path_of(folder, subject)) for subject in self.subjects)
        matrix = sum(read_table(run, "test", "confusion_matrix.csv")[1].astype(np.int64) for run in runs)
        truth, predicted = np.divmod(np.repeat(np.arange(matrix.size), matrix.ravel()), len(matrix))
        examples = np.array([row["examples"] for row in rows])
        return Predictions(truth, predicted, float(examples @ [row["loss"] for row in rows] / examples.sum()))


def _subjects(settings):
    """The names of the people in the data, in order."""
    splits = load_divided(replace(settings, split_by="subject", limit=None))
    return sorted({str(name) for part in splits.values() for name in part.groups["subject"]})
