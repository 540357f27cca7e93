"""The folder that holds everything a run leaves behind: what lies where, and how it is read and written.

    runs/njoku.cnn-1/
      config.json               every setting, the data's fingerprint, versions, seed
      summary.txt               the model's table
      mean_image.npy            the mean training image, where the run takes it from every image
      augmentation.png          some training images, and what augmentation makes of them
      standardisation.npy       of features of voices: mean and standard deviation in the training set
      sanity.json               the two checks made before training
      history.csv  history.json a line an epoch
      checkpoints/              best.safetensors (weights of the best epoch), last.safetensors (to go on from)
      snapshots/                with --snapshots: weights after 0, 1, 2, 4, 8, … epochs
      loss.png  accuracy.png
      validation/  test/        confusion matrix, classification report and accuracy a class, on that split
      report.html               all of it on one page, in one file
      figures/                  what `nanoemo show` has drawn
      1-cnn/  2-auto-encoder/   for a model that is trained in stages, such a folder for each of them, and in it also
                                network.png and, of an auto-encoder, reconstructions.png

One process at a time writes to it: an advisory lock, which the system drops when the process ends, however
it ends.
"""
import difflib
import errno
import io
import shlex
from pathlib import Path

import numpy as np

from nanoemo.data import Standardise
from nanoemo.files import next_free, read_json, write_csv, write_file, write_json

__all__ = ["RunFolder", "RunFolderError"]

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy",
                   "seconds", "images_per_second", "waiting", "lr")
MAY_BE_NONE = {"accuracy", "val_loss", "val_accuracy", "waiting"}       # of what is no classifier, has no validation set, is old
# What config.json says of the data; image_shape is that of one example, and images how many there are, of clips too.
ABOUT_DATA = {"name": str, "classes": list, "image_shape": list, "images": dict, "fingerprint": str}


class RunFolderError(ValueError):
    """The folder cannot be used as asked; the message says why and what to do."""


class RunFolder:
    """A run's folder; make one with `RunFolder.create` (a new run) or `RunFolder.open` (one that exists).

    Use it as a context manager to hold the lock while writing. Whatever takes a path takes the folder, too.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._lock = None

    def __fspath__(self):
        return str(self.path)

    @classmethod
    def create(cls, path=None, model="run"):
        """A new folder at `path`, which may exist only if it is empty; None takes `runs/<model>-<n>`, the
        first n free.

        Raises RunFolderError where the folder holds something already, OSError where it cannot be written.
        """
        if path is None:
            path = next_free(Path("runs") / model)
        else:
            path = Path(path)
            if path.exists() and not path.is_dir():
                raise RunFolderError(f"{path} is a file, but the run needs a folder; give another --out")
            path.mkdir(parents=True, exist_ok=True)
            if any(not file.name.startswith(".") for file in path.iterdir()):
                is_run = (path / "config.json").exists()
                remedy = f"go on with that run by `--resume {shlex.quote(str(path))}`, or " if is_run else ""
                raise RunFolderError(f"{path} is not empty, and a run never overwrites anything; "
                                     f"{remedy}give a new folder with --out")
        return cls(path)

    @classmethod
    def open(cls, path):
        """The folder of an earlier run. Raises RunFolderError where `path` is not one."""
        path = Path(path)
        if not path.is_dir():
            what = "a file, and not a run's folder" if path.exists() else "there is no such folder"
            raise RunFolderError(f"{path}: {what}" + _known_runs(path.parent, path.name))
        if not (path / "config.json").is_file():
            raise RunFolderError(f"{path} is not a run's folder: it has no config.json" + _known_runs(path))
        return cls(path)

    def stages(self):
        """The folders of the stages that the run is trained in; of one that is trained all at once, this folder alone."""
        try:
            names = [stage["name"] for stage in self.config().get("stages", ())]
        except (KeyError, TypeError) as error:
            raise RunFolderError(f"{self.config_path}: its 'stages' are not those of a run ({error})") from None
        return [self.stage(number, name) for number, name in enumerate(names, start=1)] or [self]

    def stage(self, number, name):
        """The run folder, inside this one, of a stage; it need not exist."""
        return RunFolder(self.path / f"{number}-{name}")

    config_path = property(lambda self: self.path / "config.json")
    best_path = property(lambda self: self.path / "checkpoints" / "best.safetensors")
    last_path = property(lambda self: self.path / "checkpoints" / "last.safetensors")
    snapshots_path = property(lambda self: self.path / "snapshots")
    report_path = property(lambda self: self.path / "report.html")

    @property
    def is_finished(self):
        """Whether the run is trained and judged to its end: the report is written last."""
        return self.report_path.exists()

    def finished_best_path(self):
        """`best_path`; RunFolderError, which says how to go on, where no epoch is finished and so no weights are kept, or where
        they are gone."""
        if self.best_path.exists():
            return self.best_path
        if self.is_finished or (self.path / "history.json").exists():
            raise RunFolderError(f"{self.best_path} is gone, and the run's weights with it; bring it back, or train anew")
        raise RunFolderError(f"{self.path}: no epoch of it is finished, so it has no weights yet; go on with it: "
                             f"{self.to_resume()}")

    def to_resume(self, command="train"):
        """What to type to go on with it."""
        return f"nanoemo {command} --resume {shlex.quote(str(self.path))}"

    def snapshots(self):
        """The weights kept in snapshots/, as {epochs done: path}, the earliest first."""
        numbered = [(path.stem.removeprefix("epoch-"), path) for path in self.snapshots_path.glob("epoch-*.safetensors")]
        return dict(sorted((int(number), path) for number, path in numbered if number.isdecimal()))

    def __enter__(self):
        import fcntl

        self._lock = open(self.path / ".lock", "a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise RunFolderError(f"{self.path} is in use by another process; wait for it to end (or train in another folder, "
                                     "with --out)") from None
            raise
        try:
            for left_over in self.path.rglob(".*.tmp"):     # of a process killed while it wrote
                left_over.unlink()
        except OSError:
            self._lock.close()
            raise
        return self

    def __exit__(self, *error):
        self._lock.close()

    def config(self):
        """What config.json says, as a dictionary. Raises RunFolderError where that is not about a run."""
        config = read_json(self.config_path)
        about_data = config.get("data") if isinstance(config, dict) else None
        if (not isinstance(about_data, dict) or "settings" not in config
                or not all(isinstance(about_data.get(name), kind) for name, kind in ABOUT_DATA.items())):
            raise RunFolderError(f"{self.config_path}: not the settings of a run: it must hold 'settings', and 'data' "
                                 f"with {', '.join(sorted(ABOUT_DATA))}")
        if problem := _problem(config):
            raise RunFolderError(f"{self.config_path}: not the settings of a run: {problem}")
        return config

    def write_config(self, config):
        """Write config.json, which makes the folder that of a run."""
        write_json(self.config_path, config)        # first: where it fails, the folder is as empty as before
        self.best_path.parent.mkdir(exist_ok=True)

    def mean_image(self):
        """The mean training image (H, W, C), float32, that the run takes from every image. RunFolderError where it is not there
        or damaged."""
        return self._array("mean_image.npy", ())

    def write_mean_image(self, image):
        self._write_array("mean_image.npy", image)

    def standardisation(self):
        """The `nanoemo.data.Standardise` that the run brings the features of every clip through. RunFolderError where it is not
        there or damaged."""
        return Standardise(*self._array("standardisation.npy", (2,)))

    def write_standardisation(self, standardise):
        self._write_array("standardisation.npy", np.stack([standardise.mean, standardise.std]))

    def _array(self, name, leading):
        """The array in a file, of shape (*leading, *an example's); along an axis whose numbers share one value its size may be 1.

        Raises RunFolderError where the file is not there, damaged, or holds an array of another shape.
        """
        path, expected = self.path / name, (*leading, *self.config()["data"]["image_shape"])
        try:
            array = np.load(path, allow_pickle=False)
            if (array.ndim == len(expected) and array.shape[:len(leading)] == leading
                    and all(length in (1, whole) for length, whole in zip(array.shape, expected))):
                return array
            problem = f"of shape {array.shape}, where {expected} is expected"
        except FileNotFoundError:
            problem = "there is no such file"
        except (ValueError, EOFError, AttributeError):      # the last: of several arrays in one file
            problem = "damaged or cut short"
        raise RunFolderError(f"{path}: {problem}; {self.to_resume()} writes it anew")

    def _write_array(self, name, array):
        file = io.BytesIO()
        np.save(file, array)
        write_file(self.path / name, file.getvalue())

    def history(self):
        """The rows of history.json, an epoch each, with all of `HISTORY_COLUMNS`. RunFolderError where no epoch is finished or
        where they are damaged."""
        path = self.path / "history.json"
        if not path.exists():
            raise RunFolderError(f"{self.path}: no epoch of it is finished, so it has no history yet")
        try:
            rows = [{**dict.fromkeys(HISTORY_COLUMNS), **row} for row in read_json(path)]
        except (TypeError, ValueError):
            rows = []
        if not rows or not all(isinstance(row[name], int | float) or (row[name] is None and name in MAY_BE_NONE)
                               for row in rows for name in HISTORY_COLUMNS):
            raise RunFolderError(f"{path}: damaged, or not a history of this version; {self.to_resume()} "
                                 "writes it anew")
        return rows

    def write_history(self, history):
        """Write history.csv and history.json from the trainer's list of rows (dictionaries)."""
        write_csv(self.path / "history.csv", HISTORY_COLUMNS,
                  [["" if row.get(name) is None else row[name] for name in HISTORY_COLUMNS] for row in history])
        write_json(self.path / "history.json", history)


def _problem(config):
    """What inside config.json is not what a run writes there; "" for nothing. The settings themselves `Settings` judges."""
    classes, shape = (config["data"][name] for name in ("classes", "image_shape"))
    if not all(isinstance(name, str) for name in classes):
        return f"the classes of 'data' are {classes}; expected names"
    if not all(type(length) is int and length > 0 for length in shape):
        return f"the image_shape of 'data' is {shape}; expected positive whole numbers"
    settings, earlier = config["settings"], config.get("earlier_versions", [])
    if not isinstance(settings, dict):
        return f"'settings' is {settings!r}; expected values by name"
    if not isinstance(settings.get("model"), str):
        return f"the model of 'settings' is {settings.get('model')!r}; expected a name"
    if not isinstance(settings.get("data"), str | None):
        return f"the data of 'settings' is {settings['data']!r}; expected a path or null"
    if not (isinstance(earlier, list) and all(isinstance(versions, dict) for versions in earlier)):
        return f"'earlier_versions' is {earlier!r}; expected a list of versions by name"
    return ""


def _known_runs(folder, name=""):
    """Which runs `folder` holds, for an error, and the one whose name is nearest to `name`."""
    runs = sorted(p.parent.name for p in folder.glob("*/config.json")) if folder.is_dir() else []
    if not runs:
        return "; `nanoemo train` says which folder it uses"
    near = difflib.get_close_matches(name, runs, 1)
    hint = f"; did you mean {folder / near[0]}?" if near else ""
    more = f" and {len(runs) - 8} more" if len(runs) > 8 else ""
    return f"{hint}; runs there: {', '.join(str(folder / run) for run in runs[:8])}{more}"


