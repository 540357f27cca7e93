"""The list of models: each by its name, with the function that builds it and its recipe."""
import inspect
from dataclasses import dataclass

from nanoemo.hints import suggest
from nanoemo.nn import shapes_of_inputs

__all__ = ["Recipe", "UnknownModel", "build", "module_of", "names", "recipe", "register"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a paper trains a model; the model's docstring tells what the paper does not say."""
    paper: str = ""             # title
    source: str = ""            # section, table or figure that defines the model
    data: str = ""              # data set
    input_shape: tuple          # of one example; a tuple of shapes where the model takes several inputs
    num_classes: int | None     # None: an auto-encoder, which makes its input again
    epochs: int
    batch_size: int
    optimizer: str              # name in nanoemo.optim
    lr: float
    weight_decay: float = 0.0   # L2
    augment: str = ""           # as for nanoemo.data.parse_augment
    subtract_mean: bool = False     # whether the mean training image is taken from every image
    features: str = ""              # name in nanoemo.features: a second input made of the image, or what is made of a clip
    stages: bool = False            # whether it is trained part by part (nanoemo/training/stages.py)


class UnknownModel(ValueError):
    """A name that no model is registered under."""


_models = {}                    # name -> (builder, Recipe), in the order of registration


def register(name, recipe):
    """Decorator that enters a function `builder(num_classes, input_shape, **options) -> Module` under `name`.

    An auto-encoder's has no num_classes. A function that is defined anew, as when a notebook's cell is run again, replaces
    itself. ValueError where the name is another function's.

    >>> from nanoemo import models, nn
    >>> @models.register("my.net", models.Recipe(input_shape=(48, 48, 1), num_classes=7, epochs=5, batch_size=32,
    ...                                          optimizer="adam", lr=1e-3))
    ... def my_net(num_classes, input_shape, units=64):
    ...     size, = nn.output_shape(nn.Flatten(), input_shape)
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(size, units), nn.ReLU(), nn.Linear(units, num_classes))
    >>> models.build("my.net", units=8).num_parameters()
    18503
    >>> del _models["my.net"]
    """
    def enter(builder):
        known = _models.get(name, (builder,))[0]
        if (known.__module__, known.__qualname__) != (builder.__module__, builder.__qualname__):
            raise ValueError(f"models: {name!r} is registered already, for {known.__module__}.{known.__qualname__}")
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


def module_of(name):
    """Name of the Python module that registers the model `name` when it is imported. ValueError for an unknown name.

    >>> from nanoemo import models
    >>> models.module_of("njoku.cnn")
    'nanoemo.models.njoku'
    """
    return _find(name)[0].__module__


def build(name, num_classes=None, input_shape=None, **options):
    """A new model with weights drawn from the library's seed.

    A classifier gives logits; softmax is part of the loss. An auto-encoder gives its input again.

    num_classes, input_shape (of one example, channels last; for a model of several inputs the shape of each): the
        paper's unless given
    options: those of the model's own function, e.g. `help(nanoemo.models.njoku.cnn)`
    Raises ValueError for an unknown name (with the nearest ones), an unknown option, and a value or an input
    shape that does not fit, TypeError for what is no shape.

    >>> from nanoemo import models
    >>> models.build("njoku.cnn").num_parameters()
    2489095
    """
    builder, defaults = _find(name)
    input_shape = defaults.input_shape if input_shape is None else input_shape
    known = [option for option in inspect.signature(builder).parameters
             if option not in ("num_classes", "input_shape")]
    unknown = [option for option in options if option not in known]
    if unknown:
        hint = suggest(unknown[0], known, "its options are") if known else "it has none"
        raise ValueError(f"{name}: no option {', '.join(unknown)}; {hint}")
    if defaults.num_classes is not None:
        options["num_classes"] = defaults.num_classes if num_classes is None else num_classes
    elif num_classes is not None:
        raise ValueError(f"{name} is an auto-encoder and has no classes; leave num_classes={num_classes} out")
    if _axes(input_shape) != _axes(defaults.input_shape):
        raise ValueError(f"{name}: input_shape must have {_axes(defaults.input_shape)} axes, like the paper's "
                         f"{defaults.input_shape}; got {input_shape}")
    input_shape = tuple(input_shape)
    try:
        return builder(input_shape=input_shape, **options)
    except (ValueError, TypeError) as error:          # TypeError: an option such as dropout='high'
        asked = ", ".join(f"{option}={value!r}" for option, value in {"input_shape": input_shape, **options}.items())
        raise ValueError(f"{name} cannot be built for {asked}: {error}") from error


def _axes(input_shape):
    """How many axes an input has: "3", or "3 and 1" of several inputs."""
    return " and ".join(str(len(shape)) for shape in shapes_of_inputs(input_shape))


def _find(name):
    if not isinstance(name, str):
        raise TypeError(f"models: expected the name of a model, got {name!r}; there are {', '.join(_models)}")
    if name not in _models:
        raise UnknownModel(f"models: there is no model called {name!r}; {suggest(name, _models)}. One of your own is known to a "
                           "program that has imported the file in which it is registered")
    return _models[name]
