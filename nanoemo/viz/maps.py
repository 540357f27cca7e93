"""What layers give and what they have learned, as mosaics: a small picture a channel, side by side."""
import math
from collections.abc import Mapping

import numpy as np

from nanoemo.hints import type_of
from nanoemo.nn import Module
from nanoemo.viz.style import TICK_SIZE, color_bar, largest, new_grid

__all__ = ["activation_maps", "filters"]

GAP = 1                             # pixels between two pictures of a mosaic


def activation_maps(maps, sparsity=None, channels=16, title="Activation maps"):
    """Figure with a row a layer and a column a moment of training: what some channels give for one image.

    maps: {layer: {moment: array (h, w, channels)}}, the same moments for each layer
    sparsity: {layer: {moment: share of zeros}}, over as many images as one likes, written below each mosaic
    channels: most channels to show: those with the most to say at the last moment, the same ones in all columns
    Each channel is drawn from 0 (black) to the largest value that it or another of its mosaic has (pale yellow); what is not
    finite is white.
    Raises ValueError where there is nothing to draw or a layer's maps have not three axes.

    >>> figure = activation_maps({"1": {"epoch 0": np.ones((6, 6, 4)), "epoch 8": np.ones((6, 6, 4))}},
    ...                          {"1": {"epoch 0": 0.5, "epoch 8": 0.875}})
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['50 % zeros', '88 % zeros']
    """
    if not isinstance(maps, Mapping) or not all(isinstance(moments, Mapping) for moments in maps.values()):
        raise ValueError("activation_maps: expected {layer: {moment: maps (h, w, channels)}}, with a title for each moment")
    if not maps or not all(map(len, maps.values())):
        raise ValueError("activation_maps: no layer, or no moment of one, to draw")
    moments = list(next(iter(maps.values())))
    if any(list(found) != moments for found in maps.values()):
        raise ValueError("activation_maps: expected the same moments of each layer, got "
                         + " and ".join(str(list(found)) for found in maps.values()))
    figure, grid = new_grid(len(maps), len(moments), title, cell=2.3, below=0.35)
    for line, (layer, found) in zip(grid, maps.items()):
        if any(np.ndim(array) != 3 for array in found.values()):
            raise ValueError(f"activation_maps: layer {layer} gives {np.shape(found[moments[-1]])}, not maps (h, w, channels)")
        chosen = np.sort(np.argsort(-np.asarray(found[moments[-1]]).mean(axis=(0, 1)), kind="stable")[:channels])
        line[0].set_ylabel(f"layer {layer}", fontsize=TICK_SIZE)
        for axes, moment in zip(line, moments):
            pictures = np.moveaxis(np.asarray(found[moment])[..., chosen], -1, 0)
            axes.imshow(mosaic(pictures), cmap="magma", vmin=0, vmax=largest(pictures), interpolation="nearest")
            axes.spines[:].set_visible(False)
            if sparsity is not None:
                axes.set_xlabel(f"{100 * sparsity[layer][moment]:.0f} % zeros", fontsize=TICK_SIZE)
    for axes, moment in zip(grid[0], moments):
        axes.set_title(moment, fontsize=TICK_SIZE)
    return figure


def filters(weights, title="Filters of the first layer"):
    """Figure of a convolution's weights (kh, kw, in, out): a picture a filter, and what its colours mean.

    With three input channels the pictures are in colour, 0 at middle gray; with another number each filter is a row of
    pictures, an input channel each. Raises ValueError for another number of axes, TypeError for a layer.

    >>> filters(np.zeros((3, 3, 1, 32))).axes[0].get_xlabel()
    '32 filters of 3×3'
    """
    if isinstance(weights, Module):
        raise TypeError(f"filters: expected weights (kh, kw, in, out), got {type_of(weights)}; its weights are .weight.numpy()")
    weights = np.asarray(weights, float)
    if weights.ndim != 4:
        raise ValueError(f"filters: expected weights (kh, kw, in, out) of a 2-D convolution, got shape {weights.shape}")
    height, width, inputs, count = weights.shape
    most = largest(abs(weights))
    figure, ((axes,),) = new_grid(1, 1, title, cell=6.5)
    if inputs == 3:
        picture = mosaic(np.moveaxis(weights, -1, 0) / (2 * most) + 0.5, empty=1.0)
        axes.imshow(np.clip(picture, 0, 1), interpolation="nearest")
    else:
        flat = weights.transpose(3, 2, 0, 1).reshape(count * inputs, height, width)
        image = axes.imshow(mosaic(flat, columns=inputs if inputs > 1 else None), cmap="RdBu_r", vmin=-most, vmax=most,
                            interpolation="nearest")
        color_bar(axes, image, "weight", fraction=0.045)
    each = f", a row each: their {inputs} inputs" if inputs not in (1, 3) else ""
    axes.set_xlabel(f"{count} filters of {height}×{width}{each}", fontsize=TICK_SIZE)
    axes.spines[:].set_visible(False)
    return figure


def mosaic(pictures, columns=None, empty=np.nan):
    """Pictures (K, h, w) or (K, h, w, 3) side by side in one array, as nearly square as can be; gaps hold `empty`.

    >>> mosaic(np.ones((3, 2, 2))).shape
    (5, 5)
    """
    count, height, width = pictures.shape[:3]
    columns = columns or math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    whole = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *pictures.shape[3:]), empty)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + GAP), number % columns * (width + GAP)
        whole[top:top + height, left:left + width] = picture
    return whole
