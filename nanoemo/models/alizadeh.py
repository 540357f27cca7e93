"""alizadeh.shallow, alizadeh.deep: Alizadeh & Fazel, "Convolutional Neural Networks for Facial Expression
Recognition", sections 3 and 5.1, and the family they belong to. FER2013.

    [conv - (batch norm) - ReLU - (dropout) - (max pool)] × M  -
    [affine - (batch norm) - ReLU - (dropout)] × N  -  affine

What stands in brackets is chosen layer by layer: `ConvSpec` and `DenseSpec` describe one layer each.
"""
from dataclasses import dataclass, replace

from nanoemo.models.registry import Recipe, register
from nanoemo.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    init,
    output_shape,
)

__all__ = ["ConvSpec", "DenseSpec", "family", "shallow", "deep"]


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


def family(convs, denses, num_classes=7, input_shape=(48, 48, 1)):
    """M = len(convs) convolutional and N = len(denses) fully connected layers; ends in logits.

    convs: ConvSpec for each, the first one nearest to the image; denses: DenseSpec for each
    The paper does not say how weights start: Glorot uniform, but the last layer near 0 (standard deviation
    0.01), since the initial loss must be about 1.95 = ln 7 (section 5.1).

    >>> from nanoemo.models.alizadeh import ConvSpec, DenseSpec, family
    >>> model = family([ConvSpec(8, batch_norm=False, dropout=0)], [DenseSpec(16, dropout=0)])
    >>> [type(layer).__name__ for layer in model]
    ['Conv2d', 'ReLU', 'MaxPool2d', 'Flatten', 'Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    model = Sequential()
    channels = input_shape[-1]
    for spec in convs:
        for layer in conv_layer(channels, spec):
            model.append(layer)
        channels = spec.filters
    model.append(Flatten())
    features, = output_shape(model, input_shape)
    for spec in denses:
        for layer in dense_layer(features, spec):
            model.append(layer)
        features = spec.units
    scores = Linear(features, num_classes)
    scores.weight.data = init.normal(scores.weight.shape, std=0.01)
    return model.append(scores)


SHALLOW = Recipe(
    paper="Convolutional Neural Networks for Facial Expression Recognition (Alizadeh & Fazel)",
    source="section 5.1, table 1", data="FER2013", input_shape=(48, 48, 1), num_classes=7,
    epochs=30, batch_size=128, optimizer="adam", lr=1e-3, weight_decay=1e-6, augment="flip",
    subtract_mean=True)

DEEP = replace(SHALLOW, source="section 5.1, figure 2, table 2", epochs=35, lr=1e-2, weight_decay=1e-7)


@register("alizadeh.shallow", SHALLOW)
def shallow(num_classes=7, input_shape=(48, 48, 1), hidden=512, dropout=0.25, dense_dropout=0.5,
            padding="same"):
    """conv 3×3 32 (no pool), conv 3×3 64 with pool 2×2, both with batch norm and dropout; dense 512; dense 7.

    The paper does not say the dropout rates (0.25 after convolutions, 0.5 after the dense layer), the padding
    ("same"), the optimiser (Adam), how weights start (see `family`), and whether the dense layer has batch
    norm (none: it names batch norm for the convolutions only) or dropout (yes). Ends in logits.

    >>> from nanoemo import models
    >>> models.alizadeh.shallow(hidden=64).num_parameters()
    2378823
    """
    return family([ConvSpec(32, 3, padding=padding, dropout=dropout, pool=0),
                   ConvSpec(64, 3, padding=padding, dropout=dropout)],
                  [DenseSpec(hidden, batch_norm=False, dropout=dense_dropout)], num_classes, input_shape)


@register("alizadeh.deep", DEEP)
def deep(num_classes=7, input_shape=(48, 48, 1), hidden=(256, 512), dropout=0.25, dense_dropout=0.5,
         padding="same"):
    """conv 3×3 64, conv 5×5 128, conv 3×3 512, conv 3×3 512, dense 256, dense 512, dense 7.

    All but the last have batch norm and dropout, and the convolutions a pool 2×2.

    The paper does not say the dropout rates (0.25 and 0.5), the padding ("same"), the optimiser (Adam) and
    how weights start (see `family`). Ends in logits.

    >>> from nanoemo import models
    >>> [type(layer).__name__ for layer in models.alizadeh.deep()].count("MaxPool2d")
    4
    """
    return family([ConvSpec(64, 3, padding=padding, dropout=dropout),
                   ConvSpec(128, 5, padding=padding, dropout=dropout),
                   ConvSpec(512, 3, padding=padding, dropout=dropout),
                   ConvSpec(512, 3, padding=padding, dropout=dropout)],
                  [DenseSpec(units, dropout=dense_dropout) for units in hidden], num_classes, input_shape)
