"""What tests of training need to begin a run, to stop it, and to compare two."""
import json

from nanoemo.training import Callback, Experiment, RunFolder, Settings, checkpoint


def begun(path, model, splits=None, **settings):
    """The experiment of a run in a folder at `path` whose network is as it was before training."""
    folder = RunFolder.create(path)
    experiment = Experiment(Settings.from_recipe(model, batch_size=7, **settings), splits)
    experiment.begin(folder)
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    return experiment


class StopAfter(Callback):
    """A flag that becomes true after so many steps, as Ctrl-C would set it."""

    def __init__(self, steps):
        self.steps = steps

    def step_end(self, trainer):
        self.steps -= 1

    def __bool__(self):
        return self.steps <= 0


def everything(trainer):
    """All that a run is, bit for bit, without what depends on the clock."""
    arrays, meta = trainer.state()
    meta = json.loads(json.dumps(meta))
    for row in [*meta["history"], meta["tally"]]:
        for clock in ("seconds", "images_per_second", "waiting"):
            row.pop(clock, None)
    return {name: array.tobytes() for name, array in arrays.items()}, meta
