"""njoku.cnn: Njoku et al., "Facial Image Emotion Recognition and Detection Using Conv. ReLU Features
Extraction and ANN Classification Deep Learning Model", table 2. FER2013.

    layer                        output shape    params
    conv 3×3, 32, same, ReLU     48, 48,  32         320
    conv 3×3, 64, ReLU           46, 46,  64      18,496
    max pool 2×2, dropout        23, 23,  64
    conv 3×3, 128, ReLU          21, 21, 128      73,856
    max pool 2×2, dropout        10, 10, 128
    conv 3×3, 256, ReLU           8,  8, 256     295,168
    max pool 2×2, dropout         4,  4, 256
    flatten                           4096
    dense 512, ReLU, dropout           512     2,097,664
    dense 7                              7         3,591
                                     total     2,489,095
"""
from nanoemo.models.registry import Recipe, register
from nanoemo.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, output_shape

__all__ = ["cnn"]

RECIPE = Recipe(
    paper="Facial Image Emotion Recognition and Detection Using Conv. ReLU Features Extraction and ANN "
          "Classification Deep Learning Model (Njoku et al.)",
    source="table 2", data="FER2013", input_shape=(48, 48, 1), num_classes=7,
    epochs=100, batch_size=32, optimizer="adam", lr=1e-4, augment="flip,rotate=10,zoom=0.1")


@register("njoku.cnn", RECIPE)
def cnn(num_classes=7, input_shape=(48, 48, 1), dropout=0.1, dense_dropout=0.2):
    """The model of table 2; ends in logits.

    The paper gives dropout as "0.1 and 0.2" and does not say where: 0.1 after the pools and 0.2 after the
    dense layer is our reading. The paper does not say how weights start: Glorot uniform, the default of
    Keras, which it used.

    >>> from nanoemo import models
    >>> models.njoku.cnn().num_parameters()
    2489095
    """
    features = Sequential(
        Conv2d(input_shape[-1], 32, 3, padding="same"), ReLU(),
        Conv2d(32, 64, 3), ReLU(),
        MaxPool2d(2), Dropout(dropout),
        Conv2d(64, 128, 3), ReLU(),
        MaxPool2d(2), Dropout(dropout),
        Conv2d(128, 256, 3), ReLU(),
        MaxPool2d(2), Dropout(dropout),
        Flatten())
    size, = output_shape(features, input_shape)
    return Sequential(
        *features,
        Linear(size, 512), ReLU(), Dropout(dense_dropout),
        Linear(512, num_classes))
