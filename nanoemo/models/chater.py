"""chater.dcnn, chater.conv1d, chater.lstm: Chater, "Deep Learning for Emotion Recognition: Exploring Image
and Audio Modalities", figures 3, 8 and 11.

Images: CK+, 48×48 gray. Audio: CREMA-D and SAVEE together, 162 features a clip (by our reading means over frames),
read as a sequence of 162 steps.
"""
from dataclasses import replace

from nanoemo.models.registry import Recipe, register
from nanoemo.nn import (
    LSTM,
    Conv1d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool1d,
    MaxPool2d,
    ReLU,
    Sequential,
    output_shape,
)

__all__ = ["dcnn", "conv1d", "lstm"]

IMAGE = Recipe(
    paper="Deep Learning for Emotion Recognition: Exploring Image and Audio Modalities (Chater)",
    source="section 2.4, figure 3", data="CK+", input_shape=(48, 48, 1), num_classes=7,
    epochs=40, batch_size=64, optimizer="adam", lr=1e-3,
    augment="flip,rotate=10")

AUDIO = replace(IMAGE, source="section 3.4.1, figure 8", data="CREMA-D + SAVEE", input_shape=(162, 1),
                epochs=100, batch_size=32, augment="noise,shift,pitch,stretch", features="vector162")


@register("chater.dcnn", IMAGE)
def dcnn(num_classes=7, input_shape=(48, 48, 1), dropout=0.5):
    """The image network, figure 3: 1,274,887 parameters; ends in logits.

        conv 3×3, 32      46, 46,  32        320        dense 512, dropout     512    1,049,088
        max pool 2×2      23, 23,  32                   dense 256, dropout     256      131,328
        conv 3×3, 64      21, 21,  64     18,496        dense 7                  7        1,799
        max pool 2×2      10, 10,  64
        conv 3×3, 128      8,  8, 128     73,856
        max pool 2×2       4,  4, 128
        flatten                  2048

    The paper trains it without augmentation and with rotation and flip (section 2.4.2, the better one, our
    recipe). It does not state the rotation's angle (10 degrees), the dropout rate (0.5), the learning rate
    (0.001, Adam's default) and how weights start (Glorot uniform, Keras' default). The convolutions'
    activation is ReLU (section 2.3.2), the dense layers' by analogy.

    >>> from nanoemo import models
    >>> models.chater.dcnn().num_parameters()
    1274887
    """
    features = Sequential(
        Conv2d(input_shape[-1], 32, 3), ReLU(), MaxPool2d(2),
        Conv2d(32, 64, 3), ReLU(), MaxPool2d(2),
        Conv2d(64, 128, 3), ReLU(), MaxPool2d(2),
        Flatten())
    size, = output_shape(features, input_shape)
    return Sequential(
        *features,
        Linear(size, 512), ReLU(), Dropout(dropout),
        Linear(512, 256), ReLU(), Dropout(dropout),
        Linear(256, num_classes))


@register("chater.conv1d", AUDIO)
def conv1d(num_classes=7, input_shape=(162, 1), kernel_size=5, pool_size=5, dropout=0.2, dense_dropout=0.3):
    """The convolutional audio network, figure 8; ends in logits.

        conv 256          162, 256      1,536        dropout             21, 128
        max pool, 2        81, 256                   conv 64             21,  64     41,024
        conv 256           81, 256    327,936        max pool, 2         11,  64
        max pool, 2        41, 256                   flatten                 704
        conv 128           41, 128    163,968        dense 32, dropout        32     22,560
        max pool, 2        21, 128                   dense 7                   7        231

    Our recipe trains it with the copies of the paper's second experiment, the better one. The shapes force "same"
    convolutions and pools of stride 2 that round up. The paper does not state the window sizes (5 and 5: then there
    are 557,255 parameters), the dropout rates (0.2 and 0.3), optimiser and learning rate (Adam, 0.001) and how weights
    start (Glorot uniform).

    >>> from nanoemo import models
    >>> models.chater.conv1d().num_parameters()
    557255
    """
    def conv(in_channels, out_channels):
        return Conv1d(in_channels, out_channels, kernel_size, padding="same")

    def pool():
        return MaxPool1d(pool_size, stride=2, padding="same")

    features = Sequential(
        conv(input_shape[-1], 256), ReLU(), pool(),
        conv(256, 256), ReLU(), pool(),
        conv(256, 128), ReLU(), pool(), Dropout(dropout),
        conv(128, 64), ReLU(), pool(),
        Flatten())
    size, = output_shape(features, input_shape)
    return Sequential(
        *features,
        Linear(size, 32), ReLU(), Dropout(dense_dropout),
        Linear(32, num_classes))


@register("chater.lstm", replace(AUDIO, source="section 3.4.3, figure 11", epochs=10))
def lstm(num_classes=7, input_shape=(162, 1), dropout=0.2, dense_dropout=0.3):
    """The recurrent audio network, figure 11: 1,368,071 parameters; ends in logits.

        LSTM 256, dropout    162, 256    264,192        flatten               10368
        LSTM 256, dropout    162, 256    525,312        dense 32, dropout        32    331,808
        LSTM 128, dropout    162, 128    197,120        dense 7                   7        231
        LSTM 64, dropout     162,  64     49,408

    The paper does not state the dropout rates (0.2 after the LSTMs, 0.3 after the dense layer), the dense
    layer's activation (ReLU), optimiser and learning rate (Adam, 0.001) and how weights start (Keras'
    defaults: Glorot uniform, orthogonal for the recurrent ones, forget bias 1). It shows ten epochs.

    >>> from nanoemo import models
    >>> models.chater.lstm().num_parameters()
    1368071
    """
    steps, channels = input_shape
    return Sequential(
        LSTM(channels, 256), Dropout(dropout),
        LSTM(256, 256), Dropout(dropout),
        LSTM(256, 128), Dropout(dropout),
        LSTM(128, 64), Dropout(dropout),
        Flatten(),
        Linear(steps * 64, 32), ReLU(), Dropout(dense_dropout),
        Linear(32, num_classes))
