"""marrugat.model1 … model4: Marrugat, "Facial Expressions and CNN", section IV. FER2013.

    model   convolutions (5×5, same) and pools (2×2)       dense    accuracy in the paper
    1       conv 32, pool, conv 64, pool                    1024     0.3624
    2       conv 64, pool, conv 64, pool                    1024     0.3543
    3       conv 64, pool, conv 128, pool                   2048     0.3696
    4       conv 32, conv 64, pool, conv 128, conv 256, pool 1024    0.2660, after a third of the iterations

Each ends with ReLU and dropout 0.4 after the dense layer, where we place it, then one output a class: logits.

"Stride: it is in both cases 2" stands beside "padding so that the output has the size of the input": we
read the stride as the pools', and convolutions step by 1 (`conv_stride`). The paper states neither the
batch size (100) nor the optimiser (SGD, 0.001), which are those of the tutorial of that time, nor how
weights start (Glorot uniform). Its 10,000 iterations are 34.8 epochs of 28,709 images in batches of 100, and model
4 has a third of them.
"""
from dataclasses import replace

from nanoemo.models.registry import Recipe, register
from nanoemo.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, output_shape

__all__ = ["model1", "model2", "model3", "model4"]

RECIPE = Recipe(
    paper="Facial Expressions and CNN (Marrugat)",
    source="section IV.B", data="FER2013", input_shape=(48, 48, 1), num_classes=7,
    epochs=35, batch_size=100, optimizer="sgd", lr=1e-3)


def _network(stages, dense, num_classes, input_shape, conv_stride, dropout):
    """stages: for each pool, the numbers of filters of the convolutions before it."""
    features = Sequential()
    channels = input_shape[-1]
    for stage in stages:
        for filters in stage:
            features.append(Conv2d(channels, filters, 5, conv_stride, padding="same")).append(ReLU())
            channels = filters
        features.append(MaxPool2d(2))
    features.append(Flatten())
    size, = output_shape(features, input_shape)
    return Sequential(*features, Linear(size, dense), ReLU(), Dropout(dropout), Linear(dense, num_classes))


@register("marrugat.model1", RECIPE)
def model1(num_classes=7, input_shape=(48, 48, 1), conv_stride=1, dropout=0.4):
    """Section IV.B: 32 and 64 filters, 1024 dense units.

    >>> from nanoemo import models
    >>> models.marrugat.model1().num_parameters()
    9497479
    """
    return _network([[32], [64]], 1024, num_classes, input_shape, conv_stride, dropout)


@register("marrugat.model2", replace(RECIPE, source="section IV.C"))
def model2(num_classes=7, input_shape=(48, 48, 1), conv_stride=1, dropout=0.4):
    """Section IV.C: 64 and 64 filters, 1024 dense units."""
    return _network([[64], [64]], 1024, num_classes, input_shape, conv_stride, dropout)


@register("marrugat.model3", replace(RECIPE, source="section IV.D"))
def model3(num_classes=7, input_shape=(48, 48, 1), conv_stride=1, dropout=0.4):
    """Section IV.D: 64 and 128 filters, 2048 dense units."""
    return _network([[64], [128]], 2048, num_classes, input_shape, conv_stride, dropout)


@register("marrugat.model4", replace(RECIPE, source="section IV.E", epochs=12))
def model4(num_classes=7, input_shape=(48, 48, 1), conv_stride=1, dropout=0.4):
    """Section IV.E: 32 and 64 filters, pool, 128 and 256 filters, pool, 1024 dense units."""
    return _network([[32, 64], [128, 256]], 1024, num_classes, input_shape, conv_stride, dropout)
