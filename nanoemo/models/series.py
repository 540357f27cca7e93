"""series.*: "Series connection of Convolutional Neural Network and Auto-Encoder", sections 3 and 4. JAFFE, EMO-DB.

Two convolutional networks, two auto-encoders, and three architectures made of parts of them:

    CNN            extractor (convolutions, pools)  →  classifier (dense layers)
    auto-encoder   encoder  →  decoder
    architecture   extractor of a CNN  →  encoder of an auto-encoder  →  classifier

Each is a `Parts`, so that the paper's procedure (section 4, nanoemo/training/stages.py) can take a trained part out,
freeze it and put it into the next model: `Parts(extractor=cnn.extractor.freeze(), encoder=ae.encoder, ...)`.
Classifiers end in logits.

All convolutions and pools pad "same", all activations but the last are ReLU. The paper does not state the size of the
images (48×48), optimiser and learning rate (Adam, 0.001), batch size (32), number of epochs (50) and how weights
start (Glorot uniform). Its output layer has 8 units, though JAFFE has 7 expressions.
"""
import math
from dataclasses import replace

from nanoemo.models.registry import Recipe, register
from nanoemo.nn import (
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Upsample2d,
    output_shape,
)

__all__ = ["Crop", "Parts", "architecture1", "architecture2", "cnn", "cnn1", "cnn2", "conv_ae", "dense_ae",
           "perceptron", "speech"]


class Parts(Module):
    """Modules that run one after the other, each under a name of its own.

    >>> from nanoemo import models
    >>> cnn = models.build("series.cnn1")
    >>> [name for name, _ in cnn.children()], cnn.extractor[0]
    (['extractor', 'classifier'], Conv2d(1, 16, (3, 3), stride=1, padding='same'))
    """

    def __init__(self, **parts):
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        for _, part in self.children():
            x = part(x)
        return x


class Crop(Module):
    """The first `height` rows and `width` columns of images (N, H, W, C).

    >>> import numpy as np
    >>> from nanoemo import Tensor
    >>> Crop(6, 6)(Tensor(np.zeros((1, 8, 8, 3), np.float32))).shape
    (1, 6, 6, 3)
    """

    def __init__(self, height, width):
        self.height = height
        self.width = width

    def forward(self, x):
        return x[:, :self.height, :self.width]

    def extra_repr(self):
        return f"{self.height}, {self.width}"


# ---- layers that come again and again ------------------------------------------------------------------------

def conv(in_channels, filters, kernel_size=3):
    return Conv2d(in_channels, filters, kernel_size, padding="same"), ReLU()


def pool(window=2):
    return MaxPool2d(window, padding="same")


def dense(in_features, *units_and_dropout):
    """Dense layers with ReLU: one for each pair (units, p), followed by dropout p unless that is 0."""
    layers = []
    for units, p in units_and_dropout:
        layers += [Linear(in_features, units), ReLU()] + ([Dropout(p)] if p else [])
        in_features = units
    return layers


def perceptron(input_shape, num_classes=8):
    """The classifier of CNN-1 and of all architectures, for inputs of `input_shape` (without the batch):

        dense 256;  dense 126, dropout 0.6;  dense N
    """
    size, = output_shape(Flatten(), input_shape)
    return Sequential(Flatten(), *dense(size, (256, 0), (126, 0.6)), Linear(126, num_classes))


# ---- convolutional networks ----------------------------------------------------------------------------------

IMAGE = Recipe(
    paper="Series connection of Convolutional Neural Network and Auto-Encoder",
    source="section 3", data="JAFFE", input_shape=(48, 48, 1), num_classes=8,
    epochs=50, batch_size=32, optimizer="adam", lr=1e-3)


def extractor1(input_shape):
    return Sequential(
        *conv(input_shape[-1], 16), pool(),
        *conv(16, 8), pool(),
        *conv(8, 8), pool())


def extractor2(input_shape):
    return Sequential(
        *conv(input_shape[-1], 8, 13), *conv(8, 8, 13), pool((2, 1)),
        *conv(8, 8, 13), *conv(8, 8, 3), pool((2, 1)))


def classifier2(input_shape, num_classes=8):
    size, = output_shape(Flatten(), input_shape)
    return Sequential(Flatten(), *dense(size, (64, 0.2)), Linear(64, num_classes))


EXTRACTORS = {"cnn1": extractor1, "cnn2": extractor2}
CLASSIFIERS = {"cnn1": perceptron, "cnn2": classifier2}


def extractor_of(name, input_shape):
    """The extractor of CNN `name`, for images, or for the d numbers (d,) of a code, laid out as a square picture."""
    if name not in EXTRACTORS:
        raise ValueError(f"cnn is {name!r}; expected one of {', '.join(EXTRACTORS)}")
    if len(input_shape) == 3:
        return EXTRACTORS[name](input_shape)
    side = math.isqrt(*input_shape)
    return Sequential(Reshape(side, side, 1), *EXTRACTORS[name]((side, side, 1)))


def cnn(name, num_classes, input_shape):
    """Extractor and classifier of the CNN `name`, "cnn1" or "cnn2"."""
    extractor = extractor_of(name, input_shape)
    return Parts(extractor=extractor,
                 classifier=CLASSIFIERS[name](output_shape(extractor, input_shape), num_classes))


@register("series.cnn1", IMAGE)
def cnn1(num_classes=8, input_shape=(48, 48, 1)):
    """CNN-1.

        conv 3×3, 16      48, 48, 16      160        dense 256                256     73,984
        max pool 2×2      24, 24, 16                 dense 126, dropout 0.6   126     32,382
        conv 3×3, 8       24, 24,  8    1,160        dense 8                    8      1,016
        max pool 2×2      12, 12,  8
        conv 3×3, 8       12, 12,  8      584
        max pool 2×2       6,  6,  8

    >>> from nanoemo import models
    >>> models.series.cnn1().num_parameters()
    109286
    """
    return cnn("cnn1", num_classes, input_shape)


@register("series.cnn2", IMAGE)
def cnn2(num_classes=8, input_shape=(48, 48, 1)):
    """CNN-2: four convolutions of 8 filters, two pools over rows only, dense 64, dropout 0.2.

        conv 13×13, 8     48, 48, 8     1,360        conv 13×13, 8     24, 48, 8    10,824
        conv 13×13, 8     48, 48, 8    10,824        conv 3×3, 8       24, 48, 8       584
        max pool 2×1      24, 48, 8                  max pool 2×1      12, 48, 8
        dense 64, dropout 0.2    64   294,976        dense 8                   8       520

    The paper gives the layers of each kind but not their order; a pool after each two convolutions is our reading.

    >>> from nanoemo import models
    >>> models.series.cnn2().num_parameters()
    319088
    """
    return cnn("cnn2", num_classes, input_shape)


# ---- auto-encoders -------------------------------------------------------------------------------------------

AUTO_ENCODER = replace(IMAGE, num_classes=None)

ENCODER_UNITS = (512, 0.1), (256, 0.2), (128, 0.3), (64, 0.4), (32, 0.5), (16, 0)
DECODER_UNITS = (32, 0.4), (64, 0.3), (128, 0.2), (256, 0.1), (512, 0)


def dense_encoder(input_shape):
    size, = output_shape(Flatten(), input_shape)
    return Sequential(Flatten(), *dense(size, *ENCODER_UNITS))


def conv_encoder(input_shape):
    return extractor1(input_shape)          # the paper gives the two the same layers


@register("series.dense_ae", AUTO_ENCODER)
def dense_ae(input_shape=(48, 48, 1)):
    """The traditional auto-encoder; gives (N, *input_shape), in (0, 1).

        encoder: d → 512 (0.1), 256 (0.2), 128 (0.3), 64 (0.4), 32 (0.5), 16        dropout in brackets
        decoder: 16 → 32 (0.4), 64 (0.3), 128 (0.2), 256 (0.1), 512, d sigmoid

    input_shape: of images, or of what a CNN's extractor gives: any shape, d numbers

    >>> from nanoemo import models
    >>> ae = models.series.dense_ae(input_shape=(6, 6, 8))
    >>> ae.encoder[-2], ae.decoder[0], ae.decoder[-3]
    (Linear(32, 16), Linear(16, 32), Linear(512, 288))
    """
    size, = output_shape(Flatten(), input_shape)
    return Parts(
        encoder=dense_encoder(input_shape),
        decoder=Sequential(*dense(16, *DECODER_UNITS), Linear(512, size), Sigmoid(), Reshape(*input_shape)))


@register("series.conv_ae", AUTO_ENCODER)
def conv_ae(input_shape=(48, 48, 1)):
    """The convolutional auto-encoder; gives (N, *input_shape), in (0, 1).

        encoder                              decoder
        conv 3×3, 16     48, 48, 16     160        conv 3×3, 8       6,  6,  8      584
        max pool 2×2     24, 24, 16                up-sample 2×2    12, 12,  8
        conv 3×3, 8      24, 24,  8   1,160        conv 3×3, 8      12, 12,  8      584
        max pool 2×2     12, 12,  8                up-sample 2×2    24, 24,  8
        conv 3×3, 8      12, 12,  8     584        conv 3×3, 16     24, 24, 16    1,168
        max pool 2×2      6,  6,  8                up-sample 2×2    48, 48, 16
                                                   conv 3×3, 1      48, 48,  1      145    sigmoid

    The last convolution has as many filters as the input has channels (1 in the paper). Where height or width is no
    multiple of 8 the pools round up, so the decoder's picture is larger than the input, and cropped to it.

    >>> from nanoemo import models
    >>> models.series.conv_ae().num_parameters()
    4385
    >>> models.series.conv_ae(input_shape=(6, 6, 8)).decoder[-1]
    Crop(6, 6)
    """
    height, width, channels = input_shape
    encoder = conv_encoder(input_shape)
    decoder = Sequential(
        *conv(8, 8), Upsample2d(2),
        *conv(8, 8), Upsample2d(2),
        *conv(8, 16), Upsample2d(2),
        Conv2d(16, channels, 3, padding="same"), Sigmoid())
    if output_shape(Sequential(encoder, decoder), input_shape) != tuple(input_shape):
        decoder.append(Crop(height, width))
    return Parts(encoder=encoder, decoder=decoder)


# ---- the architectures: a CNN's extractor and an auto-encoder's encoder in series ----------------------------

ARCHITECTURE = replace(IMAGE, stages=True)


def in_series(cnn, make_encoder, num_classes, input_shape, reverse=False):
    """extractor of `cnn` ("cnn1" or "cnn2") → encoder → classifier; with `reverse`, encoder → extractor → classifier."""
    if not isinstance(reverse, bool):
        raise ValueError(f"reverse is {reverse!r}; expected True or False")
    makers = {"extractor": lambda shape: extractor_of(cnn, shape), "encoder": make_encoder,
              "classifier": lambda shape: perceptron(shape, num_classes)}
    parts, shape = {}, input_shape
    for name in ("encoder", "extractor", "classifier") if reverse else makers:
        parts[name] = makers[name](shape)
        shape = output_shape(parts[name], shape)
    return Parts(**parts)


@register("series.architecture1", replace(ARCHITECTURE, source="section 3.1.1"))
def architecture1(num_classes=8, input_shape=(48, 48, 1), cnn="cnn2", reverse=False):
    """Extractor of a CNN, encoder of the dense auto-encoder (16 numbers), classifier 256, 126, N.

    cnn: "cnn2", the one that section 4 names for this architecture, or "cnn1"
    reverse: the encoder first, which is said to do very poorly (section 2); the CNN then sees its 16 numbers as
        a picture 4×4, which is our reading

    >>> from nanoemo import models
    >>> [name for name, _ in models.series.architecture1().children()]
    ['extractor', 'encoder', 'classifier']
    """
    return in_series(cnn, dense_encoder, num_classes, input_shape, reverse)


@register("series.architecture2", replace(ARCHITECTURE, source="section 3.1.2"))
def architecture2(num_classes=8, input_shape=(48, 48, 1), cnn="cnn2", reverse=False):
    """Extractor of a CNN, encoder of the convolutional auto-encoder, classifier 256, 126, N.

    cnn: "cnn2", since section 4 says that all architectures are built like the first, or "cnn1"
    reverse: the encoder first

    >>> from nanoemo import models, nn
    >>> nn.output_shape(models.series.architecture2().encoder, (12, 48, 8))
    (2, 6, 8)
    """
    return in_series(cnn, conv_encoder, num_classes, input_shape, reverse)


@register("series.speech", replace(ARCHITECTURE, source="section 3.2.1", data="EMO-DB", input_shape=(128, 40, 1),
                                   features="mfcc"))
def speech(num_classes=8, input_shape=(128, 40, 1), cnn="cnn2", reverse=False):
    """Architecture 1 on speech: (frames, coefficients, 1) in place of (height, width, channels).

    The paper does not say which features it takes. Ours are mel-frequency cepstral coefficients, 40 of each of 128
    frames (3 s in steps of 23 ms): a pool 2×1 then halves time and keeps the coefficients, as CNN-2 seems made for.

    >>> from nanoemo import models, nn
    >>> nn.output_shape(models.series.speech().extractor, (128, 40, 1))
    (32, 40, 8)
    """
    return in_series(cnn, dense_encoder, num_classes, input_shape, reverse)
