"""What a network's answer hangs on: the gradient of a class's score, at the image or at a layer.

In `eval` mode no image of a batch knows of the others, so the gradient of the sum of their scores holds for each image the
gradient of its own.
"""
import numpy as np

from nanoemo.interpret.layers import as_tensors, check_run, class_scores, constant, find_run, images_first, runs_of
from nanoemo.modes import is_grad_enabled, no_grad
from nanoemo.nn import watch
from nanoemo.tensor import Tensor

__all__ = ["grad_cam", "saliency"]


def saliency(model, inputs, targets):
    """How much each pixel moves the score s of a class (Simonyan et al. 2014, section 3), as an array (N, H, W):

        max over channels of |∂s / ∂x|

    inputs: images (N, H, W, C); or a tuple of images and further inputs, which are held as they are
    targets: int (N,), the class of each image that is asked about
    Raises ValueError for images of another shape, and where the model gives no scores, or knows no such class.
    """
    images, *others = as_tensors(model, images_first(inputs))
    images.requires_grad = True
    with constant(model):
        sum_of_scores(class_scores(model, [images, *others]), targets).backward()
    return np.abs(images.grad.cpu().numpy()).max(axis=-1)


def grad_cam(model, inputs, targets, layer):
    """Where in an image a layer finds what speaks for a class (Selvaraju et al. 2017, section 3), as an array (N, h, w):

        α_k = mean over places of ∂s / ∂A_k,        map = max(0, Σ_k α_k A_k)

    A_k (h, w) are the layer's maps. In units of the score times an area: only shares of its own largest value mean
    something.

    inputs, targets: as for `saliency`; layer: name of a layer that gives (N, h, w, channels), usually the last such
    Raises ValueError as `saliency` does, for an unknown layer, and for one that gives no maps or on which the scores do not
    depend.
    """
    images = as_tensors(model, images_first(inputs))
    with constant(model):
        module, run = _run_that_gives_maps(model, images, layer)
        maps, scores = _scores_from(module, run, model, images)
        if not scores.requires_grad:
            if not is_grad_enabled():
                raise RuntimeError("grad_cam needs gradients, which are switched off here; call it outside no_grad()")
            raise ValueError(f"the scores do not depend on layer {layer!r}")
        sum_of_scores(scores, targets).backward()
    maps, gradient = (tensor.cpu().numpy() for tensor in (maps.detach(), maps.grad))
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * maps).sum(axis=-1), 0)


def _run_that_gives_maps(model, images, layer):
    """The module that the name `layer` stands for, and which of its runs, from 0. ValueError where that gives no maps."""
    module, number = find_run(model, layer)
    with no_grad(), runs_of(module) as outputs:
        class_scores(model, images)
    run = check_run(layer, number, len(outputs))
    if outputs[run].ndim != 4:
        raise ValueError(f"layer {layer!r} gives {outputs[run].shape}; expected maps (N, h, w, channels)")
    return module, run


def _scores_from(module, run, model, images):
    """(output of that run of the module, scores), where the graph of the scores begins at the output.

    Nothing before the output requires a gradient (`constant`), so it is a leaf, and `backward` will fill in its `.grad`.
    """
    outputs = []

    def begin_graph(ran, output):
        if ran is module:
            outputs.append(output)
            if len(outputs) == run + 1:
                output.requires_grad = True

    with watch(begin_graph):
        scores = class_scores(model, images)
    return outputs[run], scores


def sum_of_scores(scores, targets):
    """The sum over the batch of the score of each image's target, as a tensor of one value."""
    targets = np.asarray(targets)
    if targets.dtype.kind not in "iu":
        raise ValueError(f"targets: expected the number of a class for each image, got {targets.dtype}")
    count, classes = scores.shape
    if targets.shape != (count,) or not ((0 <= targets) & (targets < classes)).all():
        raise ValueError(f"targets: expected {count} classes from 0 to {classes - 1}, got {targets.tolist()}")
    chosen = np.eye(classes, dtype=scores.dtype)[targets]
    return (scores * Tensor(chosen, device=scores.device)).sum()
