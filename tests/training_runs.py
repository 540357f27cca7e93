"""What tests of training need: a small training, a run begun, one stopped, and two compared."""
import json

import numpy as np

import nanoemo
from nanoemo import data, nn, ops, optim
from nanoemo.training import Callback, Experiment, RunFolder, Settings, Trainer, checkpoint

CLASSES = ("black", "grey", "white")


def begun(path, model, splits=None, **settings):
    """The experiment of a run in a folder at `path` whose network is as it was before training."""
    folder = RunFolder.create(path)
    experiment = Experiment(Settings.from_recipe(model, batch_size=7, **settings), splits)
    experiment.begin(folder)
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    return experiment


def trained(path, settings):
    """Folder of a run of one epoch."""
    folder, experiment = RunFolder.create(path), Experiment(settings)
    experiment.begin(folder)
    experiment.trainer.fit(1)
    checkpoint.save(folder.best_path, *experiment.trainer.state())
    return str(folder.path)


class StopAfter(Callback):
    """A flag that becomes true after so many steps, as Ctrl-C would set it."""

    def __init__(self, steps):
        self.steps = steps

    def step_end(self, trainer):
        self.steps -= 1

    def __bool__(self):
        return self.steps <= 0


class AfterChecks:
    """True once it has been looked at so often."""

    def __init__(self, checks):
        self.left = checks

    def __bool__(self):
        self.left -= 1
        return self.left < 0


def everything(trainer):
    """All that a run is, bit for bit, without what depends on the clock."""
    arrays, meta = trainer.state()
    meta = json.loads(json.dumps(meta))
    for row in [*meta["history"], meta["tally"]]:
        for clock in ("seconds", "images_per_second", "waiting"):
            row.pop(clock, None)
    return {name: array.tobytes() for name, array in arrays.items()}, meta


def toy_images(n=60, seed=0):
    """Plain 4×4 images whose brightness tells the class, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = labels[:, None, None, None] * 100 + rng.integers(0, 50, (n, 4, 4, 1))
    return data.ImageSet(images.astype(np.uint8), labels.astype(np.int64), CLASSES)


def make_trainer(lr=0.01, seed=0, callbacks=(), optimizer=optim.Adam):
    nanoemo.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2),
                          nn.Linear(16, 3))
    train = data.DataLoader(toy_images(), 8, shuffle=True, seed=seed, transform=data.Scale())
    validation = data.DataLoader(toy_images(30, seed=1), 8, transform=data.Scale())
    return Trainer(model, optimizer(model.parameters(), lr=lr), ops.cross_entropy, train, validation,
                   callbacks=callbacks)
