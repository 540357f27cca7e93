"""The settings of a run: plain values, checked, with the paper's own where nothing else is asked for."""
import math
from dataclasses import dataclass

__all__ = ["Settings", "DRAWN_EPOCHS"]

OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw")
DRAWN_EPOCHS = 5        # drawn faces are learnt sooner than photographs: by then njoku.cnn knows 19 of 20


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a run ends, besides the data itself, the machine and the library versions.

    model: a name of `nanoemo.models.names()`
    data: path of the data set; None for drawn faces
    split_by: how a data set that comes undivided is divided, as for `nanoemo.data.load`; "" for its usual way
    augment: as for `nanoemo.data.parse_augment`, "" for none
    subtract_mean: whether the mean training image is taken from every image
    features: name in `nanoemo.features` of a second input made of the image; "" for none
    limit: most images of each split; None for all
    seed: of the initial weights, the order of the images, dropout, augmentation, the drawn faces and the division

    Raises ValueError for a value that cannot work.

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

    def __post_init__(self):
        for name, least in (("epochs", 1), ("batch_size", 1), ("limit", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name == "limit":
                continue
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; expected a whole number of at least {least}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {self.optimizer!r}; expected one of {', '.join(OPTIMIZERS)}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr, the learning rate, is {self.lr}; expected a positive number like 0.001")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay is {self.weight_decay}; expected 0 or a positive number")

    @classmethod
    def from_recipe(cls, model, data=None, **wanted):
        """The paper's settings for `model`, except those given in `wanted` (None means: as in the paper).

        On drawn faces there are `DRAWN_EPOCHS` epochs without augmentation (each face is drawn in a pose of
        its own), unless given. Raises ValueError for an unknown model.

        >>> Settings.from_recipe("njoku.cnn", data="fer2013.csv", lr=0.01).epochs
        100
        """
        from nanoemo import models

        recipe = models.recipe(model)
        values = {name: getattr(recipe, name) for name in
                  ("epochs", "batch_size", "lr", "optimizer", "weight_decay", "augment", "subtract_mean",
                   "features")}
        if data is None:
            values.update(epochs=min(DRAWN_EPOCHS, recipe.epochs), augment="")
        values.update({name: value for name, value in wanted.items() if value is not None})
        return cls(model=model, data=None if data is None else str(data), **values)

    @classmethod
    def from_config(cls, config, path):
        """The settings in a run's config.json; ValueError that names `path` where they are not settings."""
        try:
            return cls(**config["settings"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not the settings of a run of this version ({error})") from None
