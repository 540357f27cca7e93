"""One trial: from its settings to a finished run folder. What is finished is kept, what was broken off goes on."""
from dataclasses import asdict

from nanoemo import features, models
from nanoemo.training import RunFolder, Settings, experiment_for, progress

__all__ = ["QUICK_EPOCHS", "QUICK_LIMIT", "carry_out", "is_finished", "noun", "trial_settings"]

QUICK_EPOCHS, QUICK_LIMIT = 2, {"images": 700, "clips": 35}         # show that a trial runs; its figures say nothing
MAY_DIFFER = ("device", "data", "epochs")   # between the runs of one trial: resuming compares the data itself, and the epochs


def noun(trial):
    """What a trial's model is trained on: "images" or "clips".

    >>> from nanoemo.reproduction import PAPERS
    >>> noun(PAPERS["chater"].trials[0]), noun(PAPERS["chater-audio"].trials[0])
    ('images', 'clips')
    """
    given = trial.changes.get("features", models.recipe(trial.model).features)
    return "clips" if given in features.OF_CLIPS else "images"


def trial_settings(trial, data=None, quick=False, **wanted):
    """The `Settings` of a trial.

    data: path of the data set; None for drawn faces or voices, which come divided, so nothing is said of a split
    wanted: settings that go before the trial's own (None: as in the trial)

    >>> from nanoemo.reproduction import PAPERS
    >>> trial_settings(PAPERS["marrugat"].trials[3], "fer2013.csv").epochs
    12
    """
    changes = dict(trial.changes)
    if data is None:
        changes.pop("split_by", None)
    if quick:
        changes.update(epochs=QUICK_EPOCHS, limit=QUICK_LIMIT[noun(trial)])
    changes.update({name: value for name, value in wanted.items() if value is not None})
    return Settings.from_recipe(trial.model, data, **changes)


def is_finished(path):
    """Whether the run in `path` has been trained and judged to its end: the report is written last."""
    return (path / "report.html").exists()


def carry_out(settings, path, stop=None, say=print):
    """Train and judge with `settings` in the folder `path`, going on with what is there; True where all was done.

    stop: looked at between steps, True leaves early with everything saved.
    A finished run goes on where `settings` ask for more epochs than it had.
    Raises ValueError where the folder holds a run with other settings, with more epochs or on other data.
    """
    begun = (path / "config.json").exists()
    if begun:
        folder = RunFolder.open(path)
        before = Settings.from_config(folder.config(), folder.config_path)
        _require_same(settings, before, path)
        if is_finished(path) and before.epochs == settings.epochs:
            say(f"{path}: done before")
            return True
    experiment = experiment_for(settings)
    experiment.check()
    folder = folder if begun else RunFolder.create(path)
    with folder:
        if begun:
            experiment.resume(folder)
            (path / "report.html").unlink(missing_ok=True)      # of fewer epochs
        experiment.begin(folder)
        return experiment.run(folder, progress(), stop, say=say)


def _require_same(settings, before, path):
    """Raise ValueError where `settings` are not those that the run in `path` was begun with (`before`)."""
    for name, value in asdict(settings).items():
        if name not in MAY_DIFFER and value != getattr(before, name):
            raise ValueError(f"{path} was begun with {name} {getattr(before, name)!r}, not {value!r}; give another "
                             "folder with --out")
