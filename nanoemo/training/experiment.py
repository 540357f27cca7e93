"""From settings to a trained model and its report: what `nanoemo train` does, to be read from top to bottom."""
import functools
import warnings
from dataclasses import asdict, replace

import numpy as np

import nanoemo
from nanoemo import backend, features, models, nn, ops, optim, viz
from nanoemo.data import Compose, DataLoader, SubtractMean, augmented_samples, match, match_splits, parse_augment, unseen
from nanoemo.files import write_file, write_json
from nanoemo.nn import shapes_of_inputs
from nanoemo.summary import summarize
from nanoemo.training import checkpoint, listening, pretrained, sanity
from nanoemo.training.batch_norm import UpdateBatchNorm, batch_norms, update_batch_norm
from nanoemo.training.class_weights import class_weights
from nanoemo.training.early_stopping import EarlyStopping
from nanoemo.training.evaluation import describe_unseen, write_evaluation
from nanoemo.training.preparation import input_shape, preparation
from nanoemo.training.progress import counted
from nanoemo.training.recorder import Recorder, best_epoch
from nanoemo.training.report import write_report
from nanoemo.training.run_data import about, check_splits, load_splits, moved_data_explained, settings_on
from nanoemo.training.runfolder import RunFolderError
from nanoemo.training.settings import must_be_settings
from nanoemo.training.snapshots import Snapshots
from nanoemo.training.trainer import Trainer, predict
from nanoemo.training.versions import versions

__all__ = ["Experiment"]


class Experiment:
    """The data, the model and the trainer that `settings` (a `Settings`) describe, made from its seed.

    splits: the data, where it has been loaded already
    Raises ValueError (DataError for the data) where they cannot be made, TypeError for what are no settings.

    >>> from nanoemo.training import Settings
    >>> experiment = Experiment(Settings.from_recipe("njoku.cnn", limit=70))
    >>> experiment.title, experiment.trainer.steps_per_epoch
    ('njoku.cnn on drawn faces', 3)
    """
    trainer_class, loss_unit = Trainer, "cross-entropy, nats"

    def __init__(self, settings, splits=None):
        must_be_settings(type(self).__name__, settings)
        self.settings = settings
        check_can_run(settings)
        if splits is not None:
            check_splits(splits, "train", "validation")
        if self.trainer_class.classifies and models.recipe(settings.model).num_classes is None:
            raise ValueError(f"{settings.model} is an auto-encoder: it makes its input again and knows no classes, so this, "
                             "which is for classifiers, cannot be done with it")
        self._set_up_data(splits)
        nanoemo.manual_seed(settings.seed)
        self.model = self.make_model()
        pretrained.freeze(self.model, settings.freeze)
        self.model.to(settings.device)
        optimizer = optim.build(settings.optimizer, self.model.parameters(), lr=settings.lr,
                                weight_decay=settings.weight_decay)
        self.trainer = self.trainer_class(self.model, optimizer, self.make_loss(), self.train_loader(),
                                          self.loader("validation"), clip_norm=settings.clip_norm,
                                          schedule=optim.build_schedule(settings.schedule, optimizer, settings.epochs))
        self.asked_for = self._callbacks()
        self.in_charge = []                                     # callbacks of the run itself
        self.holds_best = False                                 # whether the model has the best weights, not the trainer's last

    def _set_up_data(self, splits):
        """Load the data, unless it is given, and work out what is done to it on its way into the model.

        Images: `changes` and `mix` augment batches of the training set; `mean_image` is taken from each image; `extract` makes
        the features that go beside it. Features of clips: `standardise`. What is not done is None, or an empty list.
        """
        settings = self.settings
        self.changes, self.mix = [], None
        self.mean_image = self.extract = self.standardise = None
        if settings.listens:
            self.splits = splits or load_splits(settings)
            self.standardise = listening.standardisation(settings, self.splits["train"])
        else:
            self.changes, self.mix = parse_augment(settings.augment)        # before the data, which may take long to read
            self.splits = splits or load_splits(settings)
            if settings.subtract_mean:
                self.mean_image = SubtractMean.fit(self.splits["train"]).mean_image
            self.extract = features.BY_NAME[settings.features] if settings.features else None
        train = self.splits["train"]
        self.classes, self.noun = train.class_names, train.NOUN
        self.judged_classes = self.classes                      # fewer of them where the data do not know them all
        self.title = f"{settings.model} on {train.name.removesuffix(' train')}"

    def _callbacks(self):
        """Those that the settings ask for."""
        settings, callbacks = self.settings, []
        if settings.update_batch_norm:
            callbacks.append(UpdateBatchNorm(self.train_loader(augment=False)))
        if settings.patience is not None:
            callbacks.append(EarlyStopping(settings.patience))
        return callbacks

    def make_model(self):
        """The untrained model."""
        return models.build(self.settings.model, len(self.classes), self.input_shape, **self.settings.options)

    def make_loss(self):
        """What training makes small."""
        weights = class_weights(self.settings.class_weights, self.splits["train"].counts())
        return nn.CrossEntropyLoss(weights, self.settings.label_smoothing).to(self.settings.device)

    @classmethod
    def of_run(cls, folder, data=None, **changed):
        """The experiment of the run in `folder` (a `RunFolder`), on the data it was trained on, or on `data`.

        changed: settings to replace, where they are not None
        Classes are matched by what they mean (`nanoemo.data.match_splits`); what that leaves out, a warning and the data's
        note say. Raises ValueError where no epoch of the run is finished, and where `data` has fewer than two of its classes
        or another size of images.
        """
        folder.finished_best_path()         # for its error, before the data are loaded
        config = folder.config()
        began_on = config["data"]
        settings, its_own = settings_on(folder, data, **changed)
        with moved_data_explained(folder, data):
            splits = load_splits(settings, began_on["image_shape"])
        splits, judged, left_out = match_splits(splits, began_on["classes"])
        if left_out:
            warnings.warn(left_out, stacklevel=2)
            splits = {split: replace(examples, note=f"{examples.note} {left_out}".strip()) for split, examples in splits.items()}
        experiment = cls(settings, splits)
        experiment.judged_classes = judged
        now, limit_changed = experiment.about_data, settings.limit != config["settings"].get("limit")
        if now["image_shape"] != began_on["image_shape"]:
            raise ValueError(f"{folder.path} was trained on image_shape {began_on['image_shape']}, but "
                             f"{settings.data or now['name']} has {now['image_shape']}")
        if now["name"] != began_on["name"]:
            experiment.title = f"{settings.model}, trained on {began_on['name']}, on {now['name']}"
        elif now["fingerprint"] != began_on["fingerprint"] and not (its_own and limit_changed):
            warnings.warn(f"{settings.data or 'what is drawn here'} is {now['name']}, but not just as {folder.path} was trained "
                          "on it: what is tested on here may have been trained on there", stacklevel=2)
        return experiment

    # ---- data on its way into the network ------------------------------------------------------------------

    def train_loader(self, augment=True):
        """Shuffled batches of the training set, as training sees them."""
        images, settings = self.splits["train"], self.settings
        # Batch norm cannot measure the spread of a single image, so a last batch of one is left out.
        lonely = len(images) > settings.batch_size and len(images) % settings.batch_size == 1
        changes, mix = (self.changes, self.mix) if augment else ([], None)
        ahead = 8 if settings.device == "cuda" else 1       # a card is done with a batch sooner than a thread makes one
        prepare = Compose([*changes, *self._transforms()])
        return DataLoader(images, settings.batch_size, shuffle=True, seed=settings.seed, prefetch=ahead,
                          drop_last=lonely, transform=prepare, mix=mix)

    def loader(self, split, classes=None):
        """Batches of a split to measure with: in order, not augmented; labelled in the order of `classes`, if given."""
        examples = match(self.splits[split], classes or self.classes)
        return DataLoader(examples, self.settings.batch_size, transform=Compose(self._transforms()))

    def inputs(self, examples):
        """What the model is given for uint8 images (N, H, W, C) or features of clips: a tuple of arrays, one an input."""
        prepared = Compose(self._transforms())(examples.astype(np.float32), None)
        return prepared if isinstance(prepared, tuple) else (prepared,)

    def _transforms(self):
        """What is done to every image, or to the features of every clip, augmented or not."""
        return preparation(self.mean_image, self.extract) if self.standardise is None else [self.standardise]

    @property
    def input_shape(self):
        return input_shape(self.splits["train"][:1][0].shape[1:], self.extract)

    # ---- the run -------------------------------------------------------------------------------------------

    def check(self):
        """Raise ValueError where training cannot begin."""
        images, batch = len(self.splits["train"]), self.settings.batch_size
        if batch > images:
            raise ValueError(f"the batch size is {batch}, but there are only {images} training {self.noun}; "
                             f"give --batch-size {images} or less")
        if self.settings.update_batch_norm and not batch_norms(self.model):
            raise ValueError(f"update batch norm: {self.settings.model} has no batch norm; leave it out")
        next(self.train_loader().epoch(0))          # augmentation may not fit images of this size
        if self.settings.start_from:
            self._weights_to_start_from()

    def _weights_to_start_from(self):
        run = self.settings.start_from
        state = pretrained.best_weights(run)
        try:
            return pretrained.fitting(self.model, state, self._scores_as(run))
        except ValueError as error:
            raise ValueError(f"{run}: {error}") from None

    def _scores_as(self, run):
        """Whether what this network gives means the same as in `run`."""
        return pretrained.has_classes(run, self.classes)

    def start(self, say=print):
        """Take the initial weights from another run where the settings name one; say which were taken."""
        if not self.settings.start_from:
            return
        state = self._weights_to_start_from()
        self.model.load_state_dict(state, strict=False)
        own, taken = pretrained.layers(self.model.state_dict()), pretrained.layers(state)
        new = [path for path in own if path not in taken]
        others = "" if self._scores_as(self.settings.start_from) else " (its classes are others, or in another order)"
        say(f"start: {len(taken)} of {counted(len(own), 'layer')} with weights are from {self.settings.start_from}"
            + (f"; new are {', '.join(new)}{others}" if new else ""))

    def begin(self, folder):
        """Write what is known before training: config.json, the model's table, the mean image, augmented samples."""
        folder.write_config({**self.config(), "earlier_versions": self._earlier_versions(folder)})
        if self.mean_image is not None:
            folder.write_mean_image(self.mean_image)
        if self.settings.augment and not self.settings.listens:
            samples = augmented_samples(self.splits["train"], self.settings.augment, seed=self.settings.seed)
            figure = viz.augmented(*samples, self.classes, title=f"{self.title}: augmentation")
            write_file(folder.path / "augmentation.png", viz.to_png(figure))
        if self.standardise is not None:
            folder.write_standardisation(self.standardise)
        write_file(folder.path / "summary.txt", str(summarize(self.model, self.input_shape)) + "\n")

    def _earlier_versions(self, folder):
        """The versions other than these with which the run in `folder`, if there is one, was begun and gone on with, in order."""
        if not folder.config_path.exists():
            return []
        before, now = folder.config(), versions()
        known = [*before.get("earlier_versions", ()), before.get("versions")]
        return [found for place, found in enumerate(known) if found not in (None, now, *known[:place])]

    def resume(self, folder):
        """Take up the run in `folder` where its last checkpoint was saved; from the start where there is
        none yet. Returns how much is done, in words.

        Raises ValueError where the data is not what the run began with, where more epochs are made than the
        settings ask for, for a damaged sanity.json and for a checkpoint that is gone, CheckpointError for a bad one.
        """
        self.check_same_data(folder)
        if folder.last_path.exists():
            arrays, meta = checkpoint.load(folder.last_path)
            try:
                self.trainer.restore(arrays, meta)
            except checkpoint.CheckpointError as error:
                raise checkpoint.CheckpointError(f"{folder.last_path}: {error}") from error
            self.holds_best = False
        elif folder.best_path.exists() or folder.is_finished:
            raise RunFolderError(f"{folder.last_path} is gone, from which training would go on; bring it back, or begin a new "
                                 "run")
        if self.trainer.history and not folder.best_path.exists():
            raise RunFolderError(f"{folder.best_path} is gone, the weights of the best epoch so far; bring it back, or begin a "
                                 "new run")
        begun = self.trainer.epoch + (self.trainer.step > 0)
        if self.settings.epochs < begun:
            raise ValueError(f"{folder.path} is in epoch {begun} already, so it cannot end after "
                             f"{self.settings.epochs}; give --epochs {begun} or more, or leave it out")
        if (folder.path / "sanity.json").exists():
            sanity.read(folder.path / "sanity.json")            # the report needs it, hours later
        if self.trainer.history:
            folder.write_history(self.trainer.history)
        return f"{counted(self.trainer.epoch, 'epoch')} and {counted(self.trainer.step, 'step')} are done"

    def check_same_data(self, folder):
        before, now = folder.config()["data"], self.about_data
        if before["fingerprint"] != now["fingerprint"]:
            raise ValueError(f"{folder.path} began on other data ({before['name']}, {before['images']}) than "
                             f"this ({now['name']}, {now['images']}); give the same data, or begin a new run")

    def run(self, folder, display, stop=None, save_every=60.0, say=print):
        """Check, train, judge, report, all into `folder` (a `RunFolder`, locked). True where all was done.

        display: the callback that shows progress; stop: looked at between steps, True leaves early with
        everything saved; say: prints a line.
        """
        check_splits(self.splits, "train", "validation", "test")
        if self.holds_best:
            self.resume(folder)
        trainer = self.trainer
        recorder = Recorder(folder, save_every)
        # Snapshots first: a kill between the two repeats the end of the epoch, and keeps the same weights again.
        keepers = [Snapshots(folder)] if folder.snapshots_path.exists() else []
        own = [callback for callback in trainer.callbacks if callback not in self.in_charge]      # what a user has put there
        self.in_charge = [*keepers, recorder, display, *self.asked_for]
        trainer.callbacks = [*self.in_charge, *own]
        if not folder.last_path.exists():
            self.start(say)
        self._before_first_step(folder, stop, say)
        if not stop:
            trainer.fit(self.settings.epochs, stop)
        if stop:
            recorder.save(trainer)
            return False
        if trainer.ended:
            say(f"ended after epoch {trainer.epoch}: none was better since epoch {best_epoch(trainer.history)['epoch']}")
        self._draw_curves(folder, trainer.history)
        return self.judge(folder, ("validation", "test"), stop=stop, say=say)

    def _before_first_step(self, folder, stop, say):
        """What is done once in a run, before the first step: the checks of `sanity`."""
        if (folder.path / "sanity.json").exists() or self.trainer.epoch or self.trainer.step:
            return
        batch = next(self.train_loader(augment=False).epoch(0))
        report = sanity.check(self.model, batch, len(self.classes), ops.cross_entropy, stop=stop)
        if self.settings.start_from:
            report["expected_loss"] = None          # these weights know something
        if not stop:
            write_json(folder.path / "sanity.json", report)
            for line in sanity.describe(report):
                say(f"before training: {line}")

    def _draw_curves(self, folder, history):
        def column(name):
            return [row[name] for row in history]

        loss = viz.loss_curves(column("loss"), column("val_loss"), title=f"{self.title}: loss", loss=self.loss_unit)
        write_file(folder.path / "loss.png", viz.to_png(loss))
        if self.trainer.classifies:
            accuracy = viz.accuracy_curves(column("accuracy"), column("val_accuracy"),
                                           title=f"{self.title}: accuracy", chance=1 / len(self.classes))
            write_file(folder.path / "accuracy.png", viz.to_png(accuracy))

    def load_best(self, folder):
        """Take up the weights of the best epoch of the run in `folder`; returns that epoch's number.

        The optimiser and the rest stay as they were; `run` goes on from the run's last state.
        """
        meta = self._take_best(folder)
        if self.mean_image is not None:
            self.mean_image = folder.mean_image()
        if self.standardise is not None:
            self.standardise = folder.standardisation()
        return best_epoch(meta["history"])["epoch"]

    def _take_best(self, folder):
        self.holds_best = True
        return checkpoint.load_weights(folder.best_path, self.model)

    def judge(self, folder, splits, place=None, stop=None, say=print, update=False):
        """Measure the best weights in `folder` on `splits` of this data; False where asked to stop.

        Tables and figures go to `place`; by default to the run's own folder, and into its report.
        update: whether batch norm's statistics are measured anew on the training set before (`update_batch_norm`)
        """
        epoch = self.load_best(folder)
        if update:
            update_batch_norm(self.model, self.train_loader(augment=False), stop)
        trained_on_this = place in (None, folder.path)
        classes = self.judged_classes
        answers = None if classes == self.classes else [self.classes.index(name) for name in classes]
        for split in splits:
            predictions = predict(self.model, self.loader(split, classes), ops.cross_entropy, stop=stop, answers=answers)
            if predictions is None:
                return False
            title, facts = f"{self.title}, {split} set", {"epoch": epoch, "data": self.about_data}
            known = trained_on_this and split != "train"
            of_new_groups = unseen(self.splits["train"], self.splits[split]) if known else {}
            report = write_evaluation((place or folder.path) / split, predictions, classes, title, facts, of_new_groups)
            say(f"{split} set: accuracy {100 * report['accuracy']:.2f} %, loss {predictions.loss:.4f}, "
                f"{len(predictions.truth)} {self.noun} (weights of epoch {epoch})")
            for line in describe_unseen(report):
                say(f"{split} set: {line}")
        if trained_on_this:
            write_report(folder)
        return True

    # ---- what config.json says -----------------------------------------------------------------------------

    def config(self):
        return {"settings": asdict(self.settings), "data": self.about_data, "versions": versions()}

    @functools.cached_property
    def about_data(self):
        return about(self.splits)


def check_can_run(settings):
    """Raise ValueError where the model does not read what it would get, knows no classes to weigh, and NoCudaError where
    the device is absent."""
    recipe = models.recipe(settings.model)
    if settings.stages and not recipe.stages:
        raise ValueError(f"{settings.model} is trained as a whole; its paper knows no stages of training")
    if not settings.stages and settings.fine_tuning != type(settings).fine_tuning:
        raise ValueError(f"fine tuning {settings.fine_tuning:g}: a stage does that, and this training has none; leave it out")
    for name in ("class_weights", "label_smoothing"):
        if recipe.num_classes is None and getattr(settings, name):
            raise ValueError(f"{settings.model} is an auto-encoder and knows no classes; leave {name.replace('_', ' ')} out")
    given = features.OF_CLIPS[settings.features].shape if settings.listens else ("height", "width", "channels")
    if len(given) != len(shapes_of_inputs(recipe.input_shape)[0]):
        what = f"features {settings.features} of a clip" if settings.listens else "images"
        raise ValueError(f"{settings.model} reads arrays of shape {recipe.input_shape}, but {what} have the shape "
                         f"({', '.join(map(str, given))})")
    backend.check_device(settings.device)
