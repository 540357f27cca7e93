"""From settings to a finished run folder: what is finished is kept, what was broken off goes on."""
from dataclasses import asdict

from nanoemo.training.progress import progress
from nanoemo.training.runfolder import RunFolder
from nanoemo.training.settings import Settings
from nanoemo.training.staged import experiment_for

__all__ = ["carry_out"]

MAY_DIFFER = ("device", "data", "epochs")   # between begun and gone on with: resuming compares the data itself, and the epochs


def carry_out(settings, path, stop=None, say=print):
    """Train and judge with `settings` in the folder `path`, going on with what is there; True where all was done.

    path: of the run's folder, a Path; it is made where it is not there yet
    stop: looked at between steps, True leaves early with everything saved.
    A finished run goes on where `settings` ask for more epochs than it had.
    Raises ValueError where the folder holds a run with other settings, with more epochs or on other data.
    """
    begun = (path / "config.json").exists()
    if begun:
        folder = RunFolder.open(path)
        before = Settings.from_config(folder.config(), folder.config_path)
        _require_same(settings, before, path)
        if folder.is_finished and before.epochs == settings.epochs:
            if settings.data != before.data:
                experiment_for(settings).check_same_data(folder)
            say(f"{path}: done before")
            return True
    experiment = experiment_for(settings)
    experiment.check()
    folder = folder if begun else RunFolder.create(path)
    with folder:
        if begun:
            experiment.resume(folder)
            folder.report_path.unlink(missing_ok=True)      # of fewer epochs
        experiment.begin(folder)
        return experiment.run(folder, progress(), stop, say=say)


def _require_same(settings, before, path):
    """Raise ValueError where `settings` are not those that the run in `path` was begun with (`before`)."""
    for name, value in asdict(settings).items():
        if name not in MAY_DIFFER and value != getattr(before, name):
            raise ValueError(f"{path} was begun with {name} {getattr(before, name)!r}, not {value!r}; give another "
                             "folder with --out")
