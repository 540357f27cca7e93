"""DeepDream: change an image so that a network sees more of something in it (Mordvintsev et al. 2015).

Gradient ascent on the pixels:

    x ← clip(x + rate · K g / rms(K g) - smoothness · ∂V/∂x),        g = ∂goal/∂x

V, half the sum of squared differences between neighbouring pixels, is the regulariser against noise. K blurs: each octave
uses half the blur of the one before, so that large shapes come first and details last. (The original changes the image's
size from octave to octave. The networks here end in dense layers, which fix it; and since K turns no wave round, but for
the cut-off ends of its bell, K g leads uphill as g does.) Jitter shifts the image before each step, so that nothing
clings to the grid of the pools.
"""
import numbers
from dataclasses import dataclass

import numpy as np

from nanoemo.interpret.layers import as_tensors, check_run, class_scores, constant, find_run, images_first, runs_of
from nanoemo.nn import undisturbed

MOST_OCTAVES = 10       # the blur of the first is 2⁸ pixels then

__all__ = ["Goal", "dream"]


@dataclass(frozen=True)
class Goal:
    """What a dream is to raise: the score of a class, the outputs of a layer, or those of one unit of a layer.

    label: number of the class
    layer: name of the layer, "act:1" for the first of several runs; alone, the mean square of its outputs counts, as in the
        original
    unit: number of the layer's channel (or unit, of a dense layer), whose mean output counts

    Raises ValueError unless it is either a label or a layer, with or without a unit.

    >>> Goal(layer="4", unit=3)
    Goal(label=None, layer='4', unit=3)
    """
    label: int | None = None
    layer: str | None = None
    unit: int | None = None

    def __post_init__(self):
        for name, number in (("label", self.label), ("unit", self.unit)):
            if not (number is None or isinstance(number, numbers.Integral)):
                raise ValueError(f"Goal: {name} must be a whole number, got {number!r}")
        if (self.label is None) == (self.layer is None) or self.unit is not None and self.layer is None:
            raise ValueError("a dream is of a class, of a layer, or of a unit of a layer; "
                             f"got label={self.label}, layer={self.layer!r}, unit={self.unit}")

    def of(self, model, inputs):
        """How far it is reached, for each image, as a tensor (N,). Raises ValueError where the model has no such thing."""
        if self.layer is None:
            return _column(class_scores(model, inputs), self.label, "class")
        module, number = find_run(model, self.layer)
        with runs_of(module) as outputs:
            model(*inputs)
        output = outputs[check_run(self.layer, number, len(outputs))]
        if self.unit is not None:
            output = _column(output, self.unit, f"unit of layer {self.layer!r}")
        squares = output * output if self.unit is None else output
        return squares.reshape(len(squares), -1).mean(axis=1)

    def values(self, model, inputs):
        """How far it is reached by `inputs` (an array, or a tuple of arrays), for each image, as an array (N,)."""
        with undisturbed(model):
            return self.of(model, as_tensors(model, inputs)).cpu().numpy()


def dream(model, inputs, goal, low=0.0, high=1.0, steps=40, octaves=3, rate=0.01, smoothness=0.005, jitter=2, seed=0):
    """Images (N, H, W, C) that the network sees more of `goal` in than in those of `inputs`.

    inputs: images (N, H, W, C) to start from; or a tuple of them and further inputs, which are held as they are
    goal: a `Goal`
    low, high: what pixels may be, numbers or arrays that go with an image
    steps: in all, shared among the octaves; octaves: how many blurs, each half of the one before, down to half a pixel
    rate: root mean square change of the pixels in a step, a share of high − low
    smoothness: weight of the regulariser, 0 to 0.25
    jitter: largest shift, in pixels; seed: of the shifts
    Raises ValueError for images of another shape or beyond low and high, for no octave, and for a smoothness with which the
    image would not settle.

    >>> import nanoemo
    >>> from nanoemo import models
    >>> nanoemo.manual_seed(0)
    >>> network = models.build("series.cnn1")
    >>> gray = np.full((1, 48, 48, 1), 0.5, np.float32)
    >>> happier = dream(network, gray, Goal(label=3), steps=6)
    >>> bool(Goal(label=3).values(network, happier) > Goal(label=3).values(network, gray))
    True
    """
    from scipy.ndimage import gaussian_filter

    if not isinstance(goal, Goal):
        raise TypeError(f"dream: expected a Goal, such as Goal(label=3), got {goal!r}")
    if not 0 <= smoothness <= 0.25:
        raise ValueError(f"dream: smoothness is {smoothness}; expected a number from 0 to 0.25")
    if not 1 <= octaves <= MOST_OCTAVES:
        raise ValueError(f"dream: octaves is {octaves}; expected a number from 1 to {MOST_OCTAVES}, each doubling the blur")
    first, *others = images_first(inputs)
    images = np.array(first, np.float32)
    _check_range(images, low, high)
    rng = np.random.default_rng(seed)
    rate = np.asarray(rate * np.subtract(high, low), np.float32)
    for step in range(steps):
        blur = 2.0 ** (octaves - 2 - step * octaves // steps)
        down, across = rng.integers(-jitter, jitter + 1, 2)
        shifted = np.roll(images, (down, across), axis=(1, 2))
        gradient = np.roll(_gradient(model, (shifted, *others), goal), (-down, -across), axis=(1, 2))
        uphill = gaussian_filter(gradient, (0, blur, blur, 0))
        size = np.sqrt(np.square(uphill).mean(axis=(1, 2, 3), keepdims=True))
        change = rate * uphill / np.maximum(size, np.finfo(np.float32).tiny) - smoothness * roughness_gradient(images)
        images = np.clip(images + change, low, high, dtype=np.float32)
    return images


def _check_range(images, low, high):
    """ValueError where pixels lie beyond low and high by more than rounding: they would be cut off, and the image lost."""
    rounding = 1e-3 * np.max(np.subtract(high, low))
    if (images < low - rounding).any() or (images > high + rounding).any():
        raise ValueError(f"dream: the images run from {images.min():g} to {images.max():g}, but pixels may be from "
                         f"{np.min(low):g} to {np.max(high):g}; give low and high as the network's images have them "
                         "(high=255 for bytes), or divide the images by 255 if it was trained on such")


def _gradient(model, inputs, goal):
    """∂goal/∂x of each image (N, H, W, C)."""
    images, *others = as_tensors(model, inputs)
    images.requires_grad = True
    with constant(model):
        goal.of(model, [images, *others]).sum().backward()
    return images.grad.cpu().numpy()


def roughness_gradient(images):
    """∂V/∂x for V = ½ Σ (x_p - x_q)² over neighbouring pixels p, q: four times a pixel less its neighbours.

    >>> roughness_gradient(np.array([1.0, 3.0, 3.0]).reshape(1, 1, 3, 1)).ravel()
    array([-2.,  2.,  0.])
    """
    from scipy.ndimage import correlate1d

    return sum(correlate1d(images, [-1, 2, -1], axis=axis, mode="nearest") for axis in (1, 2))


def _column(values, index, what):
    """values[..., index], checked."""
    if not 0 <= index < values.shape[-1]:
        raise ValueError(f"there is no {what} number {index}; they run from 0 to {values.shape[-1] - 1}")
    return values[..., index]
