"""Batches of an image set, in an order that only the seed and the epoch decide, the next ones made ahead."""
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nanoemo.data.checks import require_whole
from nanoemo.data.clipset import ClipSet
from nanoemo.data.draws import must_be_called
from nanoemo.data.mixing import one_hot

__all__ = ["DataLoader"]


class DataLoader:
    """Iterate over `dataset` in batches of (float32 images (B, H, W, C), int64 labels (B,)).

    dataset: ImageSet, or FeatureSet, whose features then stand for the images
    batch_size: images a batch; the last batch of an epoch may hold fewer
    shuffle: a new order each epoch; else the order of the data set
    seed: of the order and of the random numbers of the transform and the mixing
    drop_last: leave out a last batch that is not full
    transform: function (images float32, np.random.Generator) -> images float32, such as a `Compose`; or to a tuple of
        arrays, the inputs of a model that takes several: a batch is then (input, input, ..., labels)
    mix: `MixUp`, `CutMix` or the like, after the transform; labels are then probabilities, float32 (B, K)
    prefetch: batches made ahead while the caller works on the last one, each in a thread of its own; 0 makes them on demand

    The order of an epoch is a function of (seed, epoch), the random numbers of a batch of (seed, epoch,
    step), so a run resumed with `epoch(3, start=17)` sees what an uninterrupted one would have seen. Every
    batch is a fresh array: what was handed out is never written again. Raises ValueError for bad arguments,
    TypeError for another kind of data set, transform or mixing.

    >>> from nanoemo.data import drawn_faces
    >>> loader = DataLoader(drawn_faces(10), batch_size=4, shuffle=True)
    >>> [len(labels) for images, labels in loader]
    [4, 4, 2]
    >>> images, labels = next(loader.epoch(0, start=2))
    >>> images.dtype, images.shape
    (dtype('float32'), (2, 48, 48, 1))
    """

    def __init__(self, dataset, batch_size, shuffle=False, seed=0, drop_last=False, transform=None,
                 mix=None, prefetch=1):
        if isinstance(dataset, ClipSet) or not hasattr(dataset, "labels"):
            raise TypeError(f"DataLoader: expected an ImageSet or a FeatureSet, got {type(dataset).__name__}; "
                            "ImageSet(images, labels, class_names) makes one of arrays, nanoemo.features.extract one of clips")
        for name, value, least in (("batch_size", batch_size, 1), ("prefetch", prefetch, 0), ("seed", seed, 0)):
            require_whole(f"DataLoader: {name}", value, least)
        if transform is not None:
            must_be_called("DataLoader: transform", transform)
        if mix is not None:
            must_be_called("DataLoader: mix", mix, "(inputs, labels, rng)", "MixUp(0.2)")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.transform = transform
        self.mix = mix
        self.prefetch = prefetch
        self.next_epoch = 0
        if len(self) == 0:
            raise ValueError(f"DataLoader: no batch to give: {len(dataset)} images, batch_size {batch_size}, "
                             f"drop_last {drop_last}")

    def __repr__(self):
        """
        >>> from nanoemo.data import drawn_faces
        >>> DataLoader(drawn_faces(10), batch_size=4)       # doctest: +ELLIPSIS
        DataLoader(ImageSet(drawn faces: 10 images (48, 48, 1), 7 classes), batch_size=4, shuffle=False, seed=0, ...)
        """
        names = ("batch_size", "shuffle", "seed", "drop_last", "transform", "mix", "prefetch")
        return f"DataLoader({self.dataset!r}, {', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def __len__(self):
        """Batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        """The batches of the next epoch: 0 at first, then 1, and so on."""
        self.next_epoch += 1
        return self.epoch(self.next_epoch - 1)

    def epoch(self, epoch, start=0):
        """Iterator over the batches of epoch number `epoch`, from batch number `start` on."""
        if epoch < 0 or not 0 <= start <= len(self):
            raise ValueError(f"DataLoader.epoch: epoch {epoch}, start {start}; expected an epoch of 0 or "
                             f"more and a start from 0 to {len(self)}, the batches in an epoch")
        order = np.arange(len(self.dataset))
        if self.shuffle:
            np.random.default_rng([self.seed, epoch, 0]).shuffle(order)
        steps = range(start, len(self))
        if self.prefetch == 0:
            return (self._batch(order, epoch, step) for step in steps)
        return self._made_ahead(order, epoch, steps)

    def _batch(self, order, epoch, step):
        chosen = order[step * self.batch_size:(step + 1) * self.batch_size]
        images, labels = self.dataset[chosen]
        rng = np.random.default_rng([self.seed, epoch, 1 + step])
        inputs = images.astype(np.float32)
        if self.transform is not None:
            inputs = self.transform(inputs, rng)
        if not isinstance(inputs, tuple):
            inputs = (inputs,)
        if self.transform is not None:
            _check_transformed(inputs, len(labels))
        if self.mix is not None:
            inputs, labels = self.mix(inputs, one_hot(labels, len(self.dataset.class_names)), rng)
        return *inputs, labels

    def _made_ahead(self, order, epoch, steps):
        """Yield the batches while threads make the next; leaving early, by any way, ends the threads."""
        steps = iter(steps)
        threads = ThreadPoolExecutor(self.prefetch, thread_name_prefix="nanoemo-loader")
        ahead = deque()

        def start_next():
            if (step := next(steps, None)) is not None:
                ahead.append(threads.submit(self._batch, order, epoch, step))

        try:
            for _ in range(self.prefetch):
                start_next()
            while ahead:
                batch = ahead.popleft().result()     # raises here what the transform raised there
                start_next()
                yield batch
        finally:
            threads.shutdown(cancel_futures=True)


def _check_transformed(inputs, count):
    """Raise TypeError or ValueError, with what to do, for what a transform should not have given."""
    for part in inputs:
        if not isinstance(part, np.ndarray):
            raise TypeError(f"DataLoader: the transform gave {type(part).__name__}; expected an array, or a tuple of them for a "
                            "model of several inputs (does it end with return?)")
        if part.dtype.kind != "f":
            raise TypeError(f"DataLoader: the transform gave {part.dtype}; end it with .astype(np.float32)")
        if len(part) != count:
            raise ValueError(f"DataLoader: the transform made {len(part)} of {count} images; the labels would not fit them")
