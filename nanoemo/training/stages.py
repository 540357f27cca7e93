"""The training procedure of the series paper, section 4, as data: what is trained in which stage.

The 17 steps of the text make five stages. Steps 5, 11 and 12, "divide the model", are what a stage `keeps` of the one
before; steps 6, 7 and 13 what it `adds` behind that; steps 8 and 14 what is `frozen` meanwhile; steps 2, 9, 10, 15 and 16
the training itself, fine-tuning at a lower rate; steps 3, 4 and 17, the plot and the saved weights, belong to every stage.
Who carries them out is nanoemo/training/staged.py.

The text leaves open what a fine-tuning step changes (here: everything, nothing is frozen) and its rate (a tenth), and
whether the auto-encoder is trained to make its own input again or to classify (its input, as its decoder is part of the
model until step 11).
"""
import re
from dataclasses import dataclass

from nanoemo.models import series
from nanoemo.nn import output_shape
from nanoemo.training.reconstruction import Cascade

__all__ = ["PAPER", "REVERSED", "Stage", "build_stage", "stages_of"]


@dataclass(frozen=True)
class Stage:
    """One training of the procedure. Each begins its optimiser anew; for how many epochs, the settings say.

    name: of its folder
    steps: of section 4 that it carries out
    does: the same in words
    keeps: parts of the stage before, with their weights, in the order in which they run
    adds: new parts behind them, by the name of what they come from: "cnn" (extractor, classifier), "auto-encoder"
        (encoder, decoder), "perceptron" (classifier) or "" for none
    frozen: those of the kept parts that do not learn
    fine_tunes: whether it goes on with what has learned already, at a share of the learning rate (`Settings.fine_tuning`)
    optimizer, lr: its own; "" and None for those of the settings, as in the paper's procedure, which names none

    A procedure of one's own is a tuple of them, given to `StagedExperiment`. Here SGD does the fine-tuning:

    >>> from dataclasses import replace
    >>> mine = tuple(replace(stage, optimizer="sgd", lr=1e-3) if stage.fine_tunes else stage for stage in PAPER)
    >>> [stage.optimizer or "as the settings say" for stage in mine[:3]]
    ['as the settings say', 'as the settings say', 'sgd']
    """
    name: str
    steps: str
    does: str
    keeps: tuple = ()
    adds: str = ""
    frozen: tuple = ()
    fine_tunes: bool = False
    optimizer: str = ""
    lr: float | None = None

    def __post_init__(self):
        if not re.fullmatch(r"[\w.-]{1,100}", self.name):
            raise ValueError(f"a stage called {self.name!r}: its name is that of a folder; give it letters, digits and dashes")
        for names in (self.keeps, self.frozen):
            if isinstance(names, str):
                raise TypeError(f"stage {self.name!r}: expected a tuple of parts, got {names!r}; write ({names!r},)")

    @property
    def reconstructs(self):
        """Whether it ends in a decoder, and so learns to make its features again, not to classify."""
        return self.adds == "auto-encoder" or "decoder" in self.keeps


PAPER = (
    Stage("cnn", "1–4", "train the CNN",
          adds="cnn"),
    Stage("auto-encoder", "5–9", "put the auto-encoder behind its extractor, which is frozen; train",
          keeps=("extractor",), frozen=("extractor",), adds="auto-encoder"),
    Stage("auto-encoder-tuned", "10", "fine-tune",
          keeps=("extractor", "encoder", "decoder"), fine_tunes=True),
    Stage("classifier", "11–15", "take the decoder off, put a perceptron behind the frozen rest; train",
          keeps=("extractor", "encoder"), frozen=("extractor", "encoder"), adds="perceptron"),
    Stage("classifier-tuned", "16–17", "fine-tune; these are the weights of the architecture",
          keeps=("extractor", "encoder", "classifier"), fine_tunes=True),
)

# The other way round, which the paper calls very poor (section 2). It does not give the steps; these are the same, with
# CNN and auto-encoder exchanged.
REVERSED = (
    Stage("auto-encoder", "1–4 (reversed)", "train the auto-encoder, on images",
          adds="auto-encoder"),
    Stage("cnn", "5–9 (reversed)", "put the CNN behind its encoder, which is frozen; train",
          keeps=("encoder",), frozen=("encoder",), adds="cnn"),
    Stage("cnn-tuned", "10 (reversed)", "fine-tune",
          keeps=("encoder", "extractor", "classifier"), fine_tunes=True),
    Stage("classifier", "11–15 (reversed)", "take the CNN's classifier off, put a perceptron behind the frozen rest; train",
          keeps=("encoder", "extractor"), frozen=("encoder", "extractor"), adds="perceptron"),
    Stage("classifier-tuned", "16–17 (reversed)", "fine-tune; these are the weights of the architecture",
          keeps=("encoder", "extractor", "classifier"), fine_tunes=True),
)

AUTO_ENCODERS = {"series.architecture1": series.dense_ae, "series.architecture2": series.conv_ae,
                 "series.speech": series.dense_ae}


def build_stage(stages, number, architecture, num_classes, input_shape, cnn="cnn2"):
    """The untrained network of stage `number` (from 1) of `stages`, what is frozen in it frozen: `Parts`, or a `Cascade`.

    architecture: "series.architecture1", "series.architecture2" or "series.speech"; it decides the auto-encoder
    cnn: "cnn2" or "cnn1"
    Raises ValueError where a stage keeps what the one before does not have, freezes what it does not keep, or adds what
    there is not.

    >>> stage4 = build_stage(PAPER, 4, "series.architecture1", num_classes=7, input_shape=(48, 48, 1))
    >>> [(name, part.frozen) for name, part in stage4.children()]
    [('extractor', True), ('encoder', True), ('classifier', False)]
    """
    make = {
        "cnn": lambda shape: series.cnn(cnn, num_classes, shape),
        "auto-encoder": AUTO_ENCODERS[architecture],
        "perceptron": lambda shape: series.Parts(classifier=series.perceptron(shape, num_classes)),
    }
    parts = {}
    for stage in stages[:number]:
        for does, names, among in (("keeps", stage.keeps, parts), ("freezes", stage.frozen, stage.keeps),
                                   ("adds", filter(None, [stage.adds]), make)):
            for name in names:
                if name not in among:
                    raise ValueError(f"stage {stage.name!r} {does} {name!r}; expected one of {', '.join(among) or 'nothing'}")
        parts = {name: parts[name] for name in stage.keeps}
        if stage.adds:
            reached = output_shape(series.Parts(**parts), input_shape)
            parts |= dict(make[stage.adds](reached).children())
    for name in stage.frozen:
        parts[name].freeze()
    if not stage.reconstructs:
        return series.Parts(**parts)
    front = {name: part for name, part in parts.items() if name not in ("encoder", "decoder")}
    return Cascade(output_shape(series.Parts(**front), input_shape)[-1], **parts)


def stages_of(config):
    """The stages that a run's configuration names: a list of dictionaries, as JSON keeps them."""
    return tuple(Stage(**{**stage, "keeps": tuple(stage["keeps"]), "frozen": tuple(stage["frozen"])}) for stage in config)
