"""Training: the loop, its checks and checkpoints, the metrics, the run folder and its report.

`Trainer` is the loop alone, for your own model and data; `Experiment` is the whole of `nanoemo train`, `StagedExperiment`
that of a model trained part by part.
"""
from nanoemo.training.batch_norm import UpdateBatchNorm, update_batch_norm
from nanoemo.training.callbacks import Callback
from nanoemo.training.carry_out import carry_out
from nanoemo.training.checkpoint import CheckpointError
from nanoemo.training.class_weights import class_weights
from nanoemo.training.early_stopping import EarlyStopping
from nanoemo.training.experiment import Experiment
from nanoemo.training.interrupt import catch_interrupt
from nanoemo.training.leave_one_out import LeaveOneOut
from nanoemo.training.progress import progress
from nanoemo.training.recorder import Recorder
from nanoemo.training.runfolder import RunFolder, RunFolderError
from nanoemo.training.search import Search
from nanoemo.training.settings import Settings
from nanoemo.training.snapshots import Snapshots
from nanoemo.training.staged import StagedExperiment, experiment_for
from nanoemo.training.trainer import Predictions, Trainer, TrainingDiverged, predict

__all__ = ["Callback", "CheckpointError", "EarlyStopping", "Experiment", "LeaveOneOut", "Predictions", "Recorder", "RunFolder",
           "RunFolderError", "Search", "Settings", "Snapshots", "StagedExperiment", "Trainer", "TrainingDiverged",
           "UpdateBatchNorm", "carry_out", "catch_interrupt", "class_weights", "experiment_for", "predict", "progress",
           "update_batch_norm"]
