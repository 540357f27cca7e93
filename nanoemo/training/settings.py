"""The settings of a run: plain values, checked, with the paper's own where nothing else is asked for."""
import math
from dataclasses import dataclass, field, fields
from numbers import Real

from nanoemo import features, models, optim
from nanoemo.data import parse_image_shape
from nanoemo.hints import type_of
from nanoemo.optim import parse_schedule

__all__ = ["Settings", "DRAWN_EPOCHS", "must_be_settings"]

DRAWN_EPOCHS = 5        # drawn faces are learnt sooner than photographs: by then njoku.cnn knows 19 of 20
KINDS = {str: "text", bool: "true or false"}
NUMBERS = {             # which there may be, and what is expected
    "lr": (lambda x: x > 0, "a positive learning rate like 0.001"),
    "weight_decay": (lambda x: x >= 0, "0 or a positive number"),
    "label_smoothing": (lambda x: 0 <= x < 1, "at least 0 and below 1, like 0.1"),
    "clip_norm": (lambda x: x > 0, "a positive number like 1"),
    "fine_tuning": (lambda x: x > 0, "a positive share of the learning rate like 0.1"),
}
DECIDED = {"name", "num_classes", "input_shape"}        # what else `nanoemo.models.build` is given


def _with_lists(value):
    """A value as it comes back from JSON, which has no tuples."""
    if isinstance(value, dict):
        return {name: _with_lists(part) for name, part in value.items()}
    return [_with_lists(part) for part in value] if isinstance(value, (list, tuple)) else value


def _is_number(value):
    return isinstance(value, Real) and math.isfinite(value)


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a run ends, besides the data itself, the machine and the library versions.

    model: a name of `nanoemo.models.names()`
    data: path of the data set; None for drawn faces or voices
    split_by: how a data set that comes undivided is divided, as for `nanoemo.data.load` or `load_clips`; "" for its usual way
    augment: as for `nanoemo.data.parse_augment`, of voices for `nanoemo.data.parse_changes`; "" for none
    subtract_mean: whether the mean training image is taken from every image
    features: name in `nanoemo.features.BY_NAME` of a second input made of the image, or in `nanoemo.features.OF_CLIPS`
        of what is made of a clip for a model that listens; "" for images alone
    image_shape: height x width x channels, as "64x64x3", that pictures of any size are resized to; "" for the paper's
    limit: most images of each split; None for all
    seed: of the initial weights, the order of the images, dropout, augmentation, the drawn faces and the division
    options: the model's own, as for `nanoemo.models.build`
    class_weights: "balanced" or weights by name, as for `nanoemo.training.class_weights`; "" for none
    label_smoothing: as for `nanoemo.ops.cross_entropy`
    clip_norm: upper limit of the joint length of all gradients; None for no limit
    schedule: of the learning rate, as for `nanoemo.optim.build_schedule`; "" for none
    update_batch_norm: whether batch norm's statistics are measured anew after each epoch, without dropout
        (`nanoemo.training.update_batch_norm`)
    patience: epochs without a better one after which training ends (`EarlyStopping`); None for never
    start_from: folder of a run whose best weights are the initial ones, as far as they fit; "" for none
    freeze: layers that do not learn, as for `nanoemo.training.pretrained.freeze`; "" for none
    stages: whether the model is trained part by part, with `epochs` in each stage (`StagedExperiment`)
    fine_tuning: the share of the learning rate that fine-tuning stages use

    Raises ValueError for a value that cannot work. Whether the device is there is seen only when it is used.

    >>> Settings("njoku.cnn", epochs=0, batch_size=32, lr=1e-4, optimizer="adam")
    Traceback (most recent call last):
        ...
    ValueError: epochs is 0; expected a whole number of at least 1
    """
    model: str
    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    weight_decay: float = 0.0
    data: str | None = None
    split_by: str = ""
    augment: str = ""
    subtract_mean: bool = False
    features: str = ""
    limit: int | None = None
    seed: int = 0
    device: str = "cpu"
    options: dict = field(default_factory=dict)
    class_weights: str = ""
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    schedule: str = ""
    update_batch_norm: bool = False
    patience: int | None = None
    start_from: str = ""
    freeze: str = ""
    stages: bool = False
    fine_tuning: float = 0.1
    image_shape: str = ""

    def __post_init__(self):
        for kind in fields(self):
            if kind.type in KINDS and not isinstance(getattr(self, kind.name), kind.type):
                raise ValueError(f"{kind.name} is {getattr(self, kind.name)!r}; expected {KINDS[kind.type]}")
        models.recipe(self.model)
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"device is {self.device!r}; expected cpu or cuda")
        if self.features and self.features not in (known := {**features.BY_NAME, **features.OF_CLIPS}):
            raise ValueError(f"features is {self.features!r}; expected one of {', '.join(known)}")
        if self.image_shape:
            parse_image_shape(self.image_shape)
            if self.listens:
                raise ValueError(f"image_shape is {self.image_shape!r}, but {self.model} listens; leave it out")
        for name, least in (("epochs", 1), ("batch_size", 1), ("limit", 1), ("seed", 0), ("patience", 1)):
            value = getattr(self, name)
            if value is None and name in ("limit", "patience"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} is {value!r}; expected a whole number of at least {least}")
        if self.optimizer not in optim.BY_NAME:
            raise ValueError(f"optimizer is {self.optimizer!r}; expected one of {', '.join(optim.BY_NAME)}")
        for name, (fits, expected) in NUMBERS.items():
            value = getattr(self, name)
            if not (_is_number(value) and fits(value)) and not (name == "clip_norm" and value is None):
                raise ValueError(f"{name} is {value!r}; expected {expected}")
        if not isinstance(self.options, dict):
            raise ValueError(f"options is {self.options!r}; expected the model's options by name")
        if decided := sorted(DECIDED & self.options.keys()):
            raise ValueError(f"option {decided[0]}: not one of the model's own; which model it is and the data decide it; "
                             "leave it out")
        object.__setattr__(self, "options", _with_lists(self.options))
        parse_schedule(self.schedule)

    @property
    def listens(self):
        """Whether the data are clips of voices, made into features, and not images."""
        return self.features in features.OF_CLIPS

    @classmethod
    def from_recipe(cls, model, data=None, **wanted):
        """The paper's settings for `model`, except those given in `wanted` (None means: as in the paper).

        On drawn faces and voices there are `DRAWN_EPOCHS` epochs without augmentation (each is drawn in a way of
        its own), unless given; and without the recipe's for images where `features` let a model of images listen. Raises
        ValueError for an unknown model, and for a mean image where there are no images.

        >>> Settings.from_recipe("njoku.cnn", data="fer2013.csv", lr=0.01).epochs
        100
        """
        recipe = models.recipe(model)
        values = {name: getattr(recipe, name) for name in
                  ("epochs", "batch_size", "lr", "optimizer", "weight_decay", "augment", "subtract_mean",
                   "features", "stages")}
        if data is None:
            values.update(epochs=min(DRAWN_EPOCHS, recipe.epochs), augment="")
        wanted = {name: value for name, value in wanted.items() if value is not None}
        if recipe.features not in features.OF_CLIPS and wanted.get("features") in features.OF_CLIPS:
            values.update(augment="", subtract_mean=False)          # those are of images, and now it listens
        values.update(wanted)
        if wanted.get("subtract_mean") and values["features"] in features.OF_CLIPS:
            raise ValueError(f"subtract_mean is true, but {model} listens: features of voices are standardised; leave it out")
        return cls(model=model, data=None if data is None else str(data), **values)

    @classmethod
    def from_config(cls, config, path):
        """The settings in a run's config.json; ValueError that names `path` where they are not settings."""
        if "stage" in config:
            raise ValueError(f"{path.parent} is one stage of the run {path.parent.parent}; give that folder")
        try:
            return cls(**config["settings"])
        except models.UnknownModel as error:
            raise ValueError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: not the settings of a run of this version ({error})") from None


def must_be_settings(where, settings):
    """Raise TypeError where `settings` are no `Settings`.

    >>> must_be_settings("Experiment", "njoku.cnn")
    Traceback (most recent call last):
        ...
    TypeError: Experiment: expected Settings, got str; Settings.from_recipe(...) makes them of a model's name
    """
    if not isinstance(settings, Settings):
        raise TypeError(f"{where}: expected Settings, got {type_of(settings)}; Settings.from_recipe(...) makes them of a model's "
                        "name")
