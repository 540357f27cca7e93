"""Looking into a trained network: what its layers give, what its answer hangs on, what it would like to see.

Everything here takes arrays and gives arrays; `nanoemo.viz` draws them, `nanoemo show` does both for a run. Weights are
constants, and the network is in `eval` mode, whatever mode it is left in.

>>> import numpy as np, nanoemo
>>> from nanoemo import interpret, models
>>> nanoemo.manual_seed(0)
>>> network = models.build("series.cnn1")
>>> faces = np.random.default_rng(0).random((2, 48, 48, 1), np.float32)
>>> interpret.map_layers(network, faces)
['extractor.1', 'extractor.4', 'extractor.7']
>>> interpret.saliency(network, faces, targets=[3, 0]).shape
(2, 48, 48)
"""
from nanoemo.interpret.dream import Goal, dream
from nanoemo.interpret.gradients import grad_cam, saliency
from nanoemo.interpret.layers import map_layers, outputs_of, probabilities, sparsity

__all__ = ["Goal", "dream", "grad_cam", "map_layers", "outputs_of", "probabilities", "saliency", "sparsity"]
