"""The series paper's procedure, carried out: an experiment made of experiments, one a stage (nanoemo/training/stages.py).

Each stage is a run with a folder of its own inside that of the whole, which ends when its report is written. It starts
from the best weights of the stage before. So there is nothing more to save: to resume, finished stages are left as they
are, and the one under way is resumed like any run.
"""
from dataclasses import asdict, replace

from nanoemo import models, viz
from nanoemo.files import write_file
from nanoemo.nn import output_shape
from nanoemo.training import checkpoint
from nanoemo.training.autoencoder import AutoEncoderExperiment
from nanoemo.training.experiment import Experiment
from nanoemo.training.progress import counted
from nanoemo.training.runfolder import RunFolderError
from nanoemo.training.settings import must_be_settings
from nanoemo.training.stages import PAPER, REVERSED, Stage, build_stage, stages_of

__all__ = ["StagedExperiment", "StageExperiment", "experiment_for"]


def experiment_for(settings):
    """The `Experiment` that `settings` ask for: in stages, or all at once; a classifier, or an auto-encoder.

    >>> from nanoemo.training import Settings
    >>> experiment = experiment_for(Settings.from_recipe("series.architecture1", limit=70))
    >>> [stage.name for stage in experiment.stages]
    ['cnn', 'auto-encoder', 'auto-encoder-tuned', 'classifier', 'classifier-tuned']
    """
    must_be_settings("experiment_for", settings)
    if settings.stages:
        return StagedExperiment(settings)
    return (AutoEncoderExperiment if models.recipe(settings.model).num_classes is None else Experiment)(settings)


class StagedExperiment(Experiment):
    """Trains an architecture of the series paper stage by stage; what is left at the end is a run of the architecture.

    settings: the option `reverse` puts the auto-encoder before the CNN
    splits: the data, where it has been loaded already
    stages: a procedure of one's own, `Stage`s; None for the paper's. A run goes on with the one that it was begun with
    Raises ValueError like `Experiment`, and for stages that do not build on each other or do not end in the architecture.
    """

    def __init__(self, settings, splits=None, stages=None):
        must_be_settings("StagedExperiment", settings)
        for name in ("start_from", "freeze"):
            if getattr(settings, name):
                raise ValueError(f"{name.replace('_', ' ')} {getattr(settings, name)}: a staged training has its own order of "
                                 "what is taken over and frozen; leave it out, or train all at once with --no-stages")
        super().__init__(replace(settings, stages=True), splits)
        if stages is None:
            self.stages = REVERSED if settings.options.get("reverse") else PAPER
        else:
            self.stages = tuple(stages)
            if not self.stages or not all(isinstance(stage, Stage) for stage in self.stages):
                raise TypeError(f"StagedExperiment: stages: expected one Stage or more, got {stages!r}")
            self._check_stages()

    def _check_stages(self):
        """Find now what would be found at a stage's turn, hours later."""
        for number, stage in enumerate(self.stages, start=1):
            self.settings_of(stage)
            last = self.build(number)
            if not any(parameter.requires_grad for parameter in last.parameters()):
                raise ValueError(f"stage {stage.name!r} freezes all that could learn; leave a part out of `frozen`, or add one")
        shapes, wanted = ({name: array.shape for name, array in model.state_dict().items()} for model in (last, self.model))
        if shapes != wanted:
            raise ValueError(f"the last stage, {self.stages[-1].name!r}, does not end in {self.settings.model}: "
                             f"{counted(len(shapes.items() ^ wanted.items()), 'parameter')} differ")

    def settings_of(self, stage):
        """The settings that one stage is trained with."""
        share = self.settings.fine_tuning if stage.fine_tunes else 1
        return replace(self.settings, lr=self.settings.lr * share if stage.lr is None else stage.lr,
                       optimizer=stage.optimizer or self.settings.optimizer)

    def build(self, number):
        """The untrained network of stage `number`, from 1."""
        return build_stage(self.stages, number, self.settings.model, len(self.classes), self.input_shape,
                           self.settings.options.get("cnn", "cnn2"))

    def config(self):
        return {**super().config(), "stages": [asdict(stage) for stage in self.stages]}

    def resume(self, folder):
        """As for `Experiment`; ValueError also for another number of epochs."""
        self.check_same_data(folder)
        epochs = folder.config()["settings"]["epochs"]
        if self.settings.epochs != epochs:
            raise ValueError(f"{folder.path} was begun with {counted(epochs, 'epoch')} a stage. Later stages are built on "
                             "earlier ones, so that cannot change; leave --epochs out, or begin a new run")
        try:
            self.stages = stages_of(folder.config()["stages"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"{folder.config_path}: its 'stages' are not those of a run ({error})") from None
        done = [stage_folder for stage_folder in self._stage_folders(folder) if stage_folder.is_finished]
        for stage_folder in done:
            try:
                stage_folder.history()                 # the report needs it, hours later
            except RunFolderError:
                stage_folder.write_history(checkpoint.load(stage_folder.last_path)[1]["history"])
        return f"{len(done)} of {len(self.stages)} stages are done"

    def run(self, folder, display, stop=None, save_every=60.0, say=print):
        """Carry out the stages that are not done yet, each into its folder; then judge the architecture."""
        for number, stage_folder in enumerate(self._stage_folders(folder), start=1):
            if stage_folder.is_finished:
                continue
            kind = AutoEncoderStage if self.stages[number - 1].reconstructs else ClassifierStage
            stage = kind(self, number, folder)
            say(f"stage {number} of {len(self.stages)}: {stage.describe()}")
            if stage_folder.config_path.exists():
                say(f"resuming {stage_folder.path}: {stage.resume(stage_folder)}")
            stage_folder.path.mkdir(exist_ok=True)
            stage.begin(stage_folder)
            if not stage.run(stage_folder, display, stop, save_every, say):
                return False
        say("the architecture, with the weights of the last stage:")
        write_file(folder.best_path, stage_folder.best_path.read_bytes())
        return self.judge(folder, ("validation", "test"), stop=stop, say=say)

    def _stage_folders(self, folder):
        """The run folder of each stage inside that of the whole run."""
        return [folder.stage(number, stage.name) for number, stage in enumerate(self.stages, start=1)]


class StageExperiment:
    """What the stages have in common: stage `number` (from 1) of `whole`, a `StagedExperiment`, on the same data.

    folder: of the whole run; the stage before, if any, has left its weights there
    """

    def __init__(self, whole, number, folder):
        self.whole, self.number, self.folder = whole, number, folder
        self.stage = whole.stages[number - 1]
        self.about_data = whole.about_data              # its fingerprint takes time
        super().__init__(whole.settings_of(self.stage), whole.splits)
        self.title = f"{self.settings.model}, stage {number}"

    def make_model(self):
        """The network of this stage, with the weights that it keeps from the stage before."""
        model = self.whole.build(self.number)
        if self.stage.keeps:
            path = self.folder.stage(self.number - 1, self.whole.stages[self.number - 2].name).best_path
            arrays, _ = checkpoint.load(path)
            for name in self.stage.keeps:
                getattr(model, name).load_state_dict(checkpoint.part(arrays, f"model.{name}."))
        return model

    def describe(self):
        """What this stage does, as a line of text."""
        settings = self.settings
        return (f"{self.stage.does} (section 4: {self.stage.steps}). Frozen: "
                f"{', '.join(self.stage.frozen) or 'nothing'}; {settings.optimizer}, learning rate {settings.lr:g}")

    def config(self):
        return {**super().config(), "stage": asdict(self.stage)}

    def begin(self, folder):
        super().begin(folder)
        path = folder.path / "network.png"
        if not path.exists():
            figure = viz.network(self.model, self.input_shape, f"{self.title}: {self.stage.does}", target=self._target())
            write_file(path, viz.to_png(figure))

    def _target(self):
        if not self.stage.reconstructs:
            return f"{len(self.classes)} classes"
        shape = output_shape(self.model.front(), self.input_shape)
        return f"the encoder's\ninput again\n{'×'.join(map(str, shape))}"


class ClassifierStage(StageExperiment, Experiment):
    """A stage that ends in a classifier."""

    def _before_first_step(self, folder, stop, say):
        """The checks are of use where all is new."""
        if not self.stage.keeps:
            super()._before_first_step(folder, stop, say)


class AutoEncoderStage(StageExperiment, AutoEncoderExperiment):
    """A stage that ends in a decoder, and so learns to make its features again."""
