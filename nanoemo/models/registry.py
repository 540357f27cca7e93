"""The list of models: each by its name, with the function that builds it and its recipe."""
import difflib
import inspect
from dataclasses import dataclass

__all__ = ["Recipe", "build", "names", "recipe", "register"]


@dataclass(frozen=True)
class Recipe:
    """How a paper trains a model; the model's docstring tells what the paper does not say."""
    paper: str                  # title
    source: str                 # section, table or figure that defines the model
    data: str                   # data set
    input_shape: tuple          # of one example
    num_classes: int
    epochs: int
    batch_size: int
    optimizer: str              # name in nanoemo.optim
    lr: float
    weight_decay: float = 0.0   # L2
    augment: str = ""           # as for nanoemo.data.parse_augment
    subtract_mean: bool = False     # whether the mean training image is taken from every image


_models = {}                    # name -> (builder, Recipe), in the order of registration


def register(name, recipe):
    """Decorator that enters a function `builder(num_classes, input_shape, **options) -> Module` under `name`.

    ValueError where the name is taken.
    """
    def enter(builder):
        if name in _models:
            raise ValueError(f"models: {name!r} is registered already")
        _models[name] = builder, recipe
        return builder
    return enter


def names():
    """Names of all models.

    >>> from nanoemo import models
    >>> "njoku.cnn" in models.names()
    True
    """
    return list(_models)


def recipe(name):
    """How the paper trains the model `name`. ValueError for an unknown name.

    >>> from nanoemo import models
    >>> recipe = models.recipe("njoku.cnn")
    >>> recipe.optimizer, recipe.lr, recipe.batch_size, recipe.epochs
    ('adam', 0.0001, 32, 100)
    """
    return _find(name)[1]


def build(name, num_classes=None, input_shape=None, **options):
    """A new model with weights drawn from the library's seed. It gives logits; softmax is part of the loss.

    num_classes, input_shape (of one example, channels last): the paper's unless given
    options: those of the model's own function, e.g. `help(nanoemo.models.njoku.cnn)`
    Raises ValueError for an unknown name (with the nearest ones), an unknown option and an input shape that
    does not fit.

    >>> from nanoemo import models
    >>> models.build("njoku.cnn").num_parameters()
    2489095
    """
    builder, defaults = _find(name)
    num_classes = defaults.num_classes if num_classes is None else num_classes
    input_shape = defaults.input_shape if input_shape is None else tuple(input_shape)
    known = list(inspect.signature(builder).parameters)[2:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"{name}: no option {', '.join(unknown)}; its options are {', '.join(known)}")
    if len(input_shape) != len(defaults.input_shape):
        raise ValueError(f"{name}: input_shape must have {len(defaults.input_shape)} axes, like the paper's "
                         f"{defaults.input_shape}; got {input_shape}")
    try:
        return builder(num_classes=num_classes, input_shape=input_shape, **options)
    except ValueError as error:
        raise ValueError(f"{name} cannot be built for input_shape={input_shape}, num_classes={num_classes}: "
                         f"{error}") from None


def _find(name):
    if name not in _models:
        near = difflib.get_close_matches(name, _models, 3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_models)}"
        raise ValueError(f"models: there is no model called {name!r}; {hint}")
    return _models[name]
