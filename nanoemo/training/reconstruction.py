"""Training an auto-encoder, alone or after other parts. Labels play no role: what is to be reconstructed is computed.

    x → front → features → encoder → code → decoder → reconstruction         target = (features − low) / (high − low)

An auto-encoder of images reproduces its input. After a CNN's extractor its input is features, which have no upper
bound, but its decoder ends in a sigmoid, so it gives numbers in (0, 1). The series paper does not say how it brings the
two together. Here the target is the features, each channel scaled by its least and greatest value on the training set.
The encoder sees the features as they are, so that nothing stands between extractor and encoder later, when the decoder
has been taken off.

While the front is frozen, target and input come from the same pass. Where the front learns as well (fine-tuning), the
target is made by a copy of it from before: otherwise the features would chase themselves, and a front that gives 0 for
every picture would be perfectly reconstructed.
"""
import copy

import numpy as np

from nanoemo import Tensor, backend
from nanoemo.models.series import Parts
from nanoemo.nn import Buffer, undisturbed
from nanoemo.nn.trace import module_device
from nanoemo.training.trainer import Trainer
from nanoemo.training.transfer import on_device

__all__ = ["Cascade", "Reconstructor"]


class Cascade(Parts):
    """Parts of which the last two are `encoder` and `decoder`; it keeps the range of what comes before them.

    channels: of the features, their last axis

    >>> from nanoemo import models
    >>> auto_encoder = models.build("series.conv_ae")
    >>> cascade = Cascade(channels=1, encoder=auto_encoder.encoder, decoder=auto_encoder.decoder)
    >>> cascade.target(Tensor(np.full((1, 2, 2, 1), 0.25, np.float32))).numpy().max()       # 0 … 1 until measured
    np.float32(0.25)
    """

    def __init__(self, channels, **parts):
        super().__init__(**parts)
        self.low = Buffer(np.zeros(channels, np.float32))
        self.high = Buffer(np.ones(channels, np.float32))

    def front(self):
        """The parts before the encoder, sharing their weights; without any, it gives its input."""
        *front, _, _ = self.children()
        return Parts(**dict(front))

    def target(self, features):
        """What the decoder is to give for `features`: numbers in 0 … 1, outside the graph."""
        xp, low, high = backend.array_module(features.array), self.low.array, self.high.array
        return Tensor(xp.clip((features.array - low) / (high - low), 0, 1), device=features.device)

    def measure_range(self, loader, *, stop=None):
        """Set the range to the least and greatest value of each channel over all images of `loader`.

        A channel that is the same everywhere, such as one of dead ReLUs, has the range (value, value + 1).
        stop: looked at between batches; where it is true the range stays what it was
        """
        lows, highs = [], []
        with undisturbed(self):
            for images, *_ in on_device(iter(loader), module_device(self)):
                if stop:
                    return
                features = self.front()(images).array
                places = tuple(range(features.ndim - 1))
                lows.append(features.min(axis=places))
                highs.append(features.max(axis=places))
        xp = backend.array_module(self.low.array)
        low, high = xp.stack(lows).min(axis=0), xp.stack(highs).max(axis=0)
        for buffer, value in (self.low, low), (self.high, xp.where(high > low, high, low + 1)):
            buffer.array[...] = value
            buffer.changed_in_place()


class Reconstructor(Trainer):
    """Trains a `Cascade`. Arguments as for `Trainer`, but `loss_fn` is (reconstruction, target) -> scalar Tensor.

    The copy of a front that learns is made here, so make the trainer before the front has learnt.

    >>> from nanoemo import data, models, ops, optim
    >>> auto_encoder = models.build("series.conv_ae")
    >>> cascade = Cascade(channels=1, encoder=auto_encoder.encoder, decoder=auto_encoder.decoder)
    >>> faces = data.DataLoader(data.drawn_faces(16), batch_size=8, transform=data.Scale())
    >>> trainer = Reconstructor(cascade, optim.Adam(cascade.parameters()), ops.binary_cross_entropy, faces)
    >>> row, = trainer.fit(epochs=1)
    >>> row["accuracy"] is None, row["loss"] < 1
    (True, True)
    """
    classifies = False

    def __init__(self, model, *args, **kwargs):
        super().__init__(model, *args, **kwargs)
        learns = any(parameter.requires_grad for parameter in model.front().parameters())
        self.reference = copy.deepcopy(model.front()).freeze() if learns else None

    def measure(self, images, *_):
        """Of one batch: (loss, 0), as there are no right answers."""
        target, reconstruction = self.reconstruct(images)
        return self.loss_fn(reconstruction, target), Tensor(backend.array_module(images.array).zeros(()), device=images.device)

    def reconstruct(self, images):
        """(target, reconstruction) of a batch, both of the features' shape."""
        features = self.model.front()(images)
        known = features if self.reference is None else self.reference(images)
        return self.model.target(known), self.model.decoder(self.model.encoder(features))
