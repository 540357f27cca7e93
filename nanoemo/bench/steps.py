"""One training step of a model of ours, as its paper trains it."""
import numpy as np

import nanoemo
from nanoemo import Tensor, models, nn, no_grad, ops, optim

__all__ = ["TrainingStep", "measurable"]


def measurable(name):
    """Whether the model `name` is a classifier of one input; auto-encoders and hybrids are not measured."""
    recipe = models.recipe(name)
    return recipe.num_classes is not None and len(nn.shapes_of_inputs(recipe.input_shape)) == 1


class TrainingStep:
    """A model, its optimiser and a batch of random examples; called, it makes one step and returns the loss.

    The step is the trainer's: forward, loss, backward, the optimiser of the paper's recipe. The examples are
    numbers from [0, 1), so that no time is spent on reading data; the labels are random classes.

    name: a name of `models.names()` that is `measurable`; batch_size: the paper's unless given
    device: where the model and its batch are; `images` and `labels` are NumPy arrays in any case
    Raises ValueError for an unknown name.

    >>> step = TrainingStep("chater.dcnn", batch_size=2)
    >>> step.images.shape, 0 < step() < 10
    ((2, 48, 48, 1), True)
    """

    def __init__(self, name, batch_size=None, seed=0, device="cpu"):
        self.recipe = models.recipe(name)
        self.batch_size = self.recipe.batch_size if batch_size is None else batch_size
        nanoemo.manual_seed(seed)
        self.model = models.build(name).train().to(device)
        self.optimizer = optim.build(self.recipe.optimizer, self.model.parameters(), lr=self.recipe.lr,
                                     weight_decay=self.recipe.weight_decay)
        rng = np.random.default_rng(seed)
        self.images = rng.random((self.batch_size, *self.recipe.input_shape), np.float32)
        self.labels = rng.integers(self.recipe.num_classes, size=self.batch_size)
        self.device = device
        self.batch = Tensor(self.images, device=device), Tensor(self.labels, device=device)

    def __call__(self):
        return self.learn(*self.batch).item()

    def learn(self, images, labels):
        """One step; the loss as a tensor, which on the GPU need not have been computed yet."""
        loss = ops.cross_entropy(self.model(images), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def scores(self, examples):
        """Of a few examples, a float64 array, in training mode but without dropout."""
        for _, module in self.model.named_modules():
            module.training = not isinstance(module, nn.Dropout)
        with no_grad():
            scores = self.model.to(dtype=np.float64)(Tensor(examples, device=self.device)).cpu().numpy()
        self.model.to(dtype=np.float32).train()
        return scores
