"""A trial's settings: what the paper says, what a quick run changes, what the command line asks for."""
from nanoemo import features, models
from nanoemo.training import Settings

__all__ = ["QUICK_LIMIT", "noun", "trial_settings"]

QUICK_EPOCHS, QUICK_LIMIT = 2, {"images": 700, "clips": 35}         # show that a trial runs; its figures say nothing


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
