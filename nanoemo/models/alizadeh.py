"""alizadeh.*: Alizadeh & Fazel, "Convolutional Neural Networks for Facial Expression Recognition", sections 3 and
5.1: a shallow and a deep network, the family they belong to, variants of the deep one with 5 and 6 convolutions, and
hybrids that also read HOG features. FER2013.

    [conv - (batch norm) - ReLU - (dropout) - (max pool)] × M  -
    [affine - (batch norm) - ReLU - (dropout)] × N  -  affine

What stands in brackets is chosen layer by layer: `ConvSpec` and `DenseSpec` describe one layer each. In a hybrid the
HOG features of the image (nanoemo/features/hog.py) join those of the last convolution before the affine layers.
"""
from dataclasses import dataclass, replace

from nanoemo import ops
from nanoemo.models.registry import Recipe, register
from nanoemo.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    init,
    output_shape,
)

__all__ = ["ConvSpec", "DenseSpec", "Hybrid", "conv5", "conv6", "deep", "family", "hybrid", "hybrid_deep",
           "hybrid_shallow", "shallow"]


@dataclass(frozen=True)
class ConvSpec:
    """One layer conv - (batch norm) - ReLU - (dropout) - (max pool)."""
    filters: int
    kernel_size: int = 3
    stride: int = 1
    padding: str | int = "same"
    batch_norm: bool = True
    dropout: float = 0.25       # 0: none
    pool: int = 2               # 0: none


@dataclass(frozen=True)
class DenseSpec:
    """One layer affine - (batch norm) - ReLU - (dropout)."""
    units: int
    batch_norm: bool = True
    dropout: float = 0.5        # 0: none


def conv_layer(in_channels, spec):
    """The modules of one convolutional layer, in the paper's order."""
    yield Conv2d(in_channels, spec.filters, spec.kernel_size, spec.stride, spec.padding)
    if spec.batch_norm:
        yield BatchNorm2d(spec.filters)
    yield ReLU()
    if spec.dropout:
        yield Dropout(spec.dropout)
    if spec.pool:
        yield MaxPool2d(spec.pool)


def dense_layer(in_features, spec):
    """The modules of one fully connected layer, in the paper's order."""
    yield Linear(in_features, spec.units)
    if spec.batch_norm:
        yield BatchNorm1d(spec.units)
    yield ReLU()
    if spec.dropout:
        yield Dropout(spec.dropout)


def _check_specs(name, specs, kind):
    for spec in specs:
        if not isinstance(spec, kind):
            raise TypeError(f"{name}: expected a {kind.__name__} for each layer, got {spec!r}")


def convolutional_part(specs, input_shape):
    """The M convolutional layers, flattened at the end."""
    _check_specs("convs", specs, ConvSpec)
    layers, channels = [], input_shape[-1]
    for spec in specs:
        layers += conv_layer(channels, spec)
        channels = spec.filters
    return Sequential(*layers, Flatten())


def dense_part(features, specs, num_classes):
    """The N fully connected layers over `features` numbers, and the scores."""
    _check_specs("denses", specs, DenseSpec)
    layers = []
    for spec in specs:
        layers += dense_layer(features, spec)
        features = spec.units
    scores = Linear(features, num_classes)
    scores.weight.data = init.normal(scores.weight.shape, std=min(0.01, 0.25 / features ** 0.5))
    return Sequential(*layers, scores)


def family(convs, denses, num_classes=7, input_shape=(48, 48, 1)):
    """M = len(convs) convolutional and N = len(denses) fully connected layers; ends in logits.

    convs: ConvSpec for each, the first one nearest to the image; denses: DenseSpec for each
    The paper does not say how weights start: Glorot uniform, but the last layer near 0 (standard deviation
    0.01, less over more than 625 features), since the initial loss must be about 1.95 = ln 7 (section 5.1).

    >>> from nanoemo.models.alizadeh import ConvSpec, DenseSpec, family
    >>> model = family([ConvSpec(8, batch_norm=False, dropout=0)], [DenseSpec(16, dropout=0)])
    >>> [type(layer).__name__ for layer in model]
    ['Conv2d', 'ReLU', 'MaxPool2d', 'Flatten', 'Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    convolutions = convolutional_part(convs, input_shape)
    features, = output_shape(convolutions, input_shape)
    return Sequential(*convolutions, *dense_part(features, denses, num_classes))


class Hybrid(Module):
    """The two networks of section 3's hybrid, called as `model(images, features)`; see `hybrid`."""

    def __init__(self, convolutions, dense):
        self.convolutions = convolutions
        self.dense = dense

    def forward(self, images, features):
        return self.dense(ops.concat([self.convolutions(images), features]))


def hybrid(convs, denses, num_classes=7, input_shape=((48, 48, 1), (900,))):
    """As `family`, but features of the image (section 3: HOG) join those that the last convolution found.

    input_shape: of one image, and of its features, one vector
    Called with images (N, H, W, C) and features (N, F); gives logits (N, num_classes).

    >>> import numpy as np
    >>> from nanoemo import Tensor
    >>> from nanoemo.models.alizadeh import ConvSpec, DenseSpec, hybrid
    >>> model = hybrid([ConvSpec(8)], [DenseSpec(16)], input_shape=((8, 8, 1), (10,)))
    >>> model(Tensor(np.zeros((2, 8, 8, 1), np.float32)), Tensor(np.zeros((2, 10), np.float32))).shape
    (2, 7)
    """
    image_shape, (extra,) = input_shape
    convolutions = convolutional_part(convs, image_shape)
    features, = output_shape(convolutions, image_shape)
    return Hybrid(convolutions, dense_part(features + extra, denses, num_classes))


SHALLOW = Recipe(
    paper="Convolutional Neural Networks for Facial Expression Recognition (Alizadeh & Fazel)",
    source="section 5.1, table 1", data="FER2013", input_shape=(48, 48, 1), num_classes=7,
    epochs=30, batch_size=128, optimizer="adam", lr=1e-3, weight_decay=1e-6, augment="flip",
    subtract_mean=True)

DEEP = replace(SHALLOW, source="section 5.1, figure 2, table 2", epochs=35, lr=1e-2, weight_decay=1e-7)


HYBRID = {"input_shape": ((48, 48, 1), (900,)), "features": "hog"}


def shallow_layers(hidden, dropout, dense_dropout, padding):
    """What `family` and `hybrid` want to know of the shallow network."""
    return ([ConvSpec(32, 3, padding=padding, dropout=dropout, pool=0),
             ConvSpec(64, 3, padding=padding, dropout=dropout)],
            [DenseSpec(hidden, batch_norm=False, dropout=dense_dropout)])


def deep_layers(hidden, dropout, dense_dropout, padding, more=0):
    """What `family` and `hybrid` want to know of the deep network with `more` convolutions after its four."""
    if not isinstance(hidden, (list, tuple)):
        raise ValueError(f"hidden is {hidden!r}; expected the units of each dense layer, as (256, 512)")
    return ([ConvSpec(64, 3, padding=padding, dropout=dropout),
             ConvSpec(128, 5, padding=padding, dropout=dropout),
             ConvSpec(512, 3, padding=padding, dropout=dropout),
             ConvSpec(512, 3, padding=padding, dropout=dropout),
             *[ConvSpec(512, 3, padding=padding, dropout=dropout, pool=0)] * more],
            [DenseSpec(units, dropout=dense_dropout) for units in hidden])


@register("alizadeh.shallow", SHALLOW)
def shallow(num_classes=7, input_shape=(48, 48, 1), hidden=512, dropout=0.25, dense_dropout=0.5,
            padding="same"):
    """conv 3×3 32 (no pool), conv 3×3 64 with pool 2×2, both with batch norm and dropout; dense 512; dense 7.

    The paper does not state the dropout rates (0.25 after convolutions, 0.5 after the dense layer), the padding
    ("same"), the optimiser (Adam), how weights start (see `family`), and whether the dense layer has batch
    norm (none: it names batch norm for the convolutions only) or dropout (yes). Ends in logits.

    >>> from nanoemo import models
    >>> models.alizadeh.shallow(hidden=64).num_parameters()
    2378823
    """
    return family(*shallow_layers(hidden, dropout, dense_dropout, padding), num_classes, input_shape)


@register("alizadeh.deep", DEEP)
def deep(num_classes=7, input_shape=(48, 48, 1), hidden=(256, 512), dropout=0.25, dense_dropout=0.5,
         padding="same"):
    """conv 3×3 64, conv 5×5 128, conv 3×3 512, conv 3×3 512, dense 256, dense 512, dense 7.

    All but the last have batch norm and dropout, and the convolutions a pool 2×2.

    The paper does not state the dropout rates (0.25 and 0.5), the padding ("same"), the optimiser (Adam) and
    how weights start (see `family`). Ends in logits.

    >>> from nanoemo import models
    >>> [type(layer).__name__ for layer in models.alizadeh.deep()].count("MaxPool2d")
    4
    """
    return family(*deep_layers(hidden, dropout, dense_dropout, padding), num_classes, input_shape)


@register("alizadeh.conv5", replace(DEEP, source="section 5.1"))
def conv5(num_classes=7, input_shape=(48, 48, 1), hidden=(256, 512), dropout=0.25, dense_dropout=0.5, padding="same"):
    """`deep` with a fifth convolution, 3×3 512, which made it no better.

    The paper says of this network that it was trained, and nothing of its layers or settings. Our reading: the fifth is
    like the fourth, but without a pool, since four pools leave 3×3; settings are those of `deep`.

    >>> from nanoemo import models
    >>> models.alizadeh.conv5().num_parameters() - models.alizadeh.deep().num_parameters()      # weights, biases, batch norm
    2360832
    """
    return family(*deep_layers(hidden, dropout, dense_dropout, padding, more=1), num_classes, input_shape)


@register("alizadeh.conv6", replace(DEEP, source="section 5.1"))
def conv6(num_classes=7, input_shape=(48, 48, 1), hidden=(256, 512), dropout=0.25, dense_dropout=0.5, padding="same"):
    """`deep` with a fifth and a sixth convolution, 3×3 512, which made it no better; our reading is that of `conv5`.

    >>> from nanoemo import models
    >>> [type(layer).__name__ for layer in models.alizadeh.conv6()].count("Conv2d")
    6
    """
    return family(*deep_layers(hidden, dropout, dense_dropout, padding, more=2), num_classes, input_shape)


@register("alizadeh.hybrid_shallow", replace(SHALLOW, source="sections 3 and 5.1, figure 7", **HYBRID))
def hybrid_shallow(num_classes=7, input_shape=((48, 48, 1), (900,)), hidden=512, dropout=0.25, dense_dropout=0.5,
                   padding="same"):
    """`shallow` with HOG features before the dense layers; called as model(images, hog).

    The paper does not say how its HOG features are made (see `nanoemo.features.hog`) and which settings it trains
    the hybrids with (those of the network without HOG).

    >>> from nanoemo import models
    >>> models.alizadeh.hybrid_shallow().num_parameters() - models.alizadeh.shallow().num_parameters() == 900 * 512
    True
    """
    return hybrid(*shallow_layers(hidden, dropout, dense_dropout, padding), num_classes, input_shape)


@register("alizadeh.hybrid_deep", replace(DEEP, source="sections 3 and 5.1, figure 8", **HYBRID))
def hybrid_deep(num_classes=7, input_shape=((48, 48, 1), (900,)), hidden=(256, 512), dropout=0.25,
                dense_dropout=0.5, padding="same"):
    """`deep` with HOG features before the dense layers; called as model(images, hog). See `hybrid_shallow`.

    >>> from nanoemo import models
    >>> models.alizadeh.hybrid_deep().num_parameters() - models.alizadeh.deep().num_parameters() == 900 * 256
    True
    """
    return hybrid(*deep_layers(hidden, dropout, dense_dropout, padding), num_classes, input_shape)
