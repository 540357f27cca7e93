"""Cross-validation: each setting of a search is trained on some folds and measured on the one left out, over processes.

joblib hands the trials out, so whoever has a cluster can bring it: inside `with joblib.parallel_config("dask")`, or with Ray,
the same `Search.run` computes there. A trial depends on its settings and its fold alone. So the table does not depend on
how many processes there were or which was quicker, and a search that was broken off makes only the trials that are missing.
"""
import importlib
import multiprocessing
import signal
import threading
from dataclasses import asdict, fields, replace

import numpy as np

from nanoemo import data, models
from nanoemo.data.division import GROUPS
from nanoemo.files import read_json, write_csv, write_file, write_json
from nanoemo.training import listening
from nanoemo.training.experiment import Experiment
from nanoemo.training.run_data import fingerprint, load_splits
from nanoemo.training.versions import versions
from nanoemo.training.recorder import best_epoch
from nanoemo.training.settings import Settings
from nanoemo.training.space import candidates
from nanoemo.training.trainer import TrainingDiverged

__all__ = ["Search", "run_trial"]

MEASURED = ("accuracy", "loss", "epoch", "seconds")
_one_at_a_time = threading.Lock()       # in a process: its trials would share one stream of random numbers


class Search:
    """A search over `space`: which combination is most accurate on images that it was not trained on?

    settings: `Settings` of every trial, but for what is searched
    space: {name: values}, as for `nanoemo.training.space.candidates`; a name is one of `Settings`, or an option of the model's
    folds: into how many parts training and validation set together are divided, each being left out once; 1: hold-out, all
        are measured on the data's own validation set. The test set is never touched.
    random: how many combinations to draw; None for all of the grid
    splits: the data, where it has been loaded already; voices by `nanoemo.training.listening.load_features_for_folds`
    Raises ValueError where a combination or the folds cannot be.

    >>> search = Search(Settings.from_recipe("alizadeh.shallow", limit=70, batch_size=35),
    ...                 {"lr": [1e-3, 1e-2], "hidden": [8, 16]}, folds=2)
    >>> len(search.candidates), len(search.trials), search.settings_of(3).lr, search.settings_of(3).options
    (4, 8, 0.01, {'hidden': 16})
    """

    def __init__(self, settings, space, folds=5, random=None, splits=None):
        self.settings, self.space, self.folds, self.random = settings, space, folds, random
        self.candidates = candidates(space, random, settings.seed)
        if any(self.settings_of(number).stages for number in range(len(self.candidates))):      # this checks all values, too
            raise ValueError(f"search: each trial is one training, so {settings.model} cannot be searched in stages; train all "
                             "parts at once (stages false, --no-stages)")
        settled = {"data", "limit", "split_by"} | ({"augment", "features"} if settings.listens else {"image_shape"})
        if settled & set(space):
            raise ValueError(f"search: {', '.join(sorted(settled & set(space)))}: this decides what is loaded, which is the same "
                             "for all candidates; make a search for each value")
        if folds < 1:
            raise ValueError(f"search: folds is {folds}; expected 1 (hold-out) or more")
        if settings.split_by == data.COPIES_FIRST:
            raise ValueError("search: split_by is 'copies', but folds keep a clip and its copies together; divide otherwise")
        changes = data.parse_changes(settings.augment) if settings.listens else []
        if splits is None:
            splits = listening.load_features_for_folds(settings, changes) if settings.listens else load_splits(settings)
        self.modules = {models.module_of(self.settings_of(number).model) for number in range(len(self.candidates))}
        self.trials = [(number, fold) for number in range(len(self.candidates)) for fold in range(folds)]
        self.fingerprint = fingerprint(splits)
        self.divided = _divided(splits, folds, settings.seed, len(changes))
        for number in _first_of_each_option(self.candidates):
            Experiment(self.settings_of(number), self.fold(0)).check()

    def settings_of(self, number):
        """The settings of candidate `number`."""
        known = {field.name for field in fields(Settings)}
        values = {name: "" if (name, value) == ("augment", "none") else value for name, value in self.candidates[number].items()}
        options = {name: value for name, value in values.items() if name not in known}
        return replace(self.settings, **{name: value for name, value in values.items() if name in known},
                       options={**self.settings.options, **options})

    def fold(self, number):
        """{"train": ImageSet, "validation": ImageSet}: the images outside fold `number`, and those inside, without copies."""
        images, fold_of, is_copy = self.divided
        return {"train": images.subset(np.flatnonzero(fold_of != number)),
                "validation": images.subset(np.flatnonzero((fold_of == number) & ~is_copy))}

    # ---- the work --------------------------------------------------------------------------------------------

    def run(self, folder, jobs=None, say=print):
        """Make all trials that are not in `folder` (a `RunFolder`, locked) yet, writing each down as it ends.

        jobs: processes, as joblib counts them: −1 one a core, None one, or what `joblib.parallel_config` says
        Returns the table (`results`).
        """
        path = folder.path / "trials.json"
        done = read_json(path) if path.exists() else []
        made = {(trial["candidate"], trial["fold"]) for trial in done}
        for trial in self._made(jobs, [trial for trial in self.trials if trial not in made]):
            done.append(trial)
            write_json(path, done)
            say(f"trial {len(done)}/{len(self.trials)}: {self.describe(trial['candidate'])}, fold {trial['fold'] + 1}: "
                + _outcome(trial))
        self._report(folder, done)
        return self.results(done)

    def _made(self, jobs, trials):
        """The trials' results, each as soon as it is there, in any order."""
        import joblib
        from joblib.parallel import get_active_backend

        tasks = [joblib.delayed(run_trial)(self, *trial) for trial in trials]
        if get_active_backend()[0].supports_return_generator:
            yield from joblib.Parallel(jobs, return_as="generator_unordered", batch_size=1)(tasks)
        else:                                   # it gives nothing before all is done: a round for each set of workers
            size = joblib.effective_n_jobs(jobs)
            for start in range(0, len(tasks), size):
                yield from joblib.Parallel(jobs)(tasks[start:start + size])

    # ---- the tables ------------------------------------------------------------------------------------------

    def results(self, trials):
        """A row for each candidate that has been tried on all folds, the most accurate first.

        {"candidate", name: value ..., "accuracy": mean over folds, "spread": its standard deviation, "loss": mean}; where
        a trial diverged, the last three are None.
        """
        rows = []
        for number, values in enumerate(self.candidates):
            of_it = [trial for trial in trials if trial["candidate"] == number]
            if len(of_it) < self.folds:
                continue
            accuracies = [trial["accuracy"] for trial in sorted(of_it, key=lambda trial: trial["fold"])]
            failed = None in accuracies
            rows.append({"candidate": number, **values, "accuracy": None if failed else float(np.mean(accuracies)),
                         "spread": None if failed else float(np.std(accuracies)),
                         "loss": None if failed else float(np.mean([trial["loss"] for trial in of_it]))})
        return sorted(rows, key=lambda row: (row["accuracy"] is None, -(row["accuracy"] or 0), row["loss"]))

    def describe(self, number):
        """A candidate in words."""
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.candidates[number].items())

    def _report(self, folder, trials):
        from nanoemo import viz

        names, rows = list(self.space), self.results(trials)
        write_json(folder.path / "results.json", rows)
        single = [{**self.candidates[trial["candidate"]], **trial, "fold": trial["fold"] + 1} for trial in trials]
        for name, table, columns in (("results", rows, [*names, "accuracy", "spread", "loss"]),
                                     ("trials", single, [*names, "fold", *MEASURED])):
            write_csv(folder.path / f"{name}.csv", columns,
                      [["" if row[column] is None else row[column] for column in columns] for row in table])
        if any(row["accuracy"] is not None for row in rows):
            varied = [name for name in names if len({str(row[name]) for row in rows}) > 1] or names[:1]
            title = f"{self.settings.model}: accuracy, " + (f"mean of {self.folds} folds" if self.folds > 1 else "hold-out")
            figure = viz.search_results(rows, varied[:2], title)
            write_file(folder.path / "search.png", viz.to_png(figure))

    # ---- a search's folder -----------------------------------------------------------------------------------

    def begin(self, folder):
        """Write search.json, from which `resume` takes the search up."""
        write_json(folder.path / "search.json", {
            "settings": asdict(self.settings), "space": self.space, "folds": self.folds, "random": self.random,
            "fingerprint": self.fingerprint, "versions": versions()})

    @classmethod
    def resume(cls, path):
        """The search that began in the folder `path` (a Path). Raises ValueError where none did or its data has changed."""
        file = path / "search.json"
        if not file.is_file():
            raise ValueError(f"{path} is not the folder of a search: it has no search.json; begin one with nanoemo search MODEL")
        told = read_json(file)
        try:
            search = cls(Settings.from_config(told, file), told["space"], told["folds"], told["random"])
            same = search.fingerprint == told["fingerprint"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}: not a search of this version ({error})") from None
        if not same:
            raise ValueError(f"{path} began on other data than {search.settings.data or 'the drawn faces'} is now; begin a new "
                             "search")
        return search


def run_trial(search, candidate, fold):
    """Train one candidate on all but one fold; its best epoch on that fold, as plain data. None in it: it diverged."""
    for module in search.modules:               # another process has not imported what registers one's own model
        importlib.import_module(module)
    if multiprocessing.parent_process() is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C reaches all processes; the first one ends the others
    with _one_at_a_time:
        experiment = Experiment(search.settings_of(candidate), search.fold(fold))
        experiment.start(say=lambda line: None)
        trainer = experiment.trainer
        trainer.callbacks = experiment.asked_for
        try:
            history = trainer.fit(experiment.settings.epochs)
        except TrainingDiverged:
            return {"candidate": candidate, "fold": fold, **dict.fromkeys(MEASURED)}
    best = best_epoch(history)
    return {"candidate": candidate, "fold": fold, "accuracy": best["val_accuracy"], "loss": best["val_loss"],
            "epoch": best["epoch"], "seconds": round(sum(row["seconds"] for row in history), 3)}


def _outcome(trial):
    if trial["accuracy"] is None:
        return "diverged"
    return f"accuracy {100 * trial['accuracy']:.1f} % (epoch {trial['epoch']}), {trial['seconds']:.0f} s"


def _divided(splits, folds, seed, copies=0):
    """(images of training and validation set, fold of each, which are copies); with one fold that is the validation set.

    All images of a person, or else of a film, fall into one fold, where the data identify them; elsewhere images that are equal
    do. So do a clip and its copies.
    copies: how many of each clip follow the clips themselves, in both sets
    """
    parts = [splits["train"], splits["validation"]]
    images = parts[0].joined(parts)
    is_copy = np.concatenate([np.arange(len(part)) >= len(part) // (1 + copies) for part in parts])
    if folds == 1:
        return images, np.repeat([1, 0], [len(part) for part in parts]), is_copy
    group = next((group for group in GROUPS if group in images.groups), None)
    fold_of = data.k_folds(images.labels, folds, seed, images.groups[group] if group else images.originals())
    return images, fold_of, is_copy


def _first_of_each_option(found):
    """Numbers of candidates that between them have each value of each setting."""
    seen, numbers = set(), []
    for number, values in enumerate(found):
        new = {(name, str(value)) for name, value in values.items()} - seen
        if new:
            numbers.append(number)
        seen |= new
    return numbers
