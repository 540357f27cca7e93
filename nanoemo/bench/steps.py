"""One training step of a model of ours, as its paper trains it."""
import numpy as np

import nanoemo
from nanoemo import Tensor, models, nn, no_grad, ops, optim

__all__ = ["TrainingStep"]


class TrainingStep:
    """A model, its optimiser and a batch of random examples; called, it makes one step and returns the loss.

    The step is the trainer's: forward, loss, backward, the optimiser of the paper's recipe. The inputs are
    numbers from [0, 1), so that no time is spent on reading data; the labels are random classes. An auto-encoder's
    target is its input.

    name: a name of `models.names()`; batch_size: the paper's unless given
    device: where the model and its batch are; `inputs`, a list, and `target` are NumPy arrays in any case
    Raises ValueError for an unknown name.

    >>> step = TrainingStep("chater.dcnn", batch_size=2)
    >>> step.inputs[0].shape, step.target.shape, 0 < step() < 10
    ((2, 48, 48, 1), (2,), True)
    """

    def __init__(self, name, batch_size=None, device="cpu"):
        self.recipe = models.recipe(name)
        self.batch_size = self.recipe.batch_size if batch_size is None else batch_size
        nanoemo.manual_seed(0)
        self.model = models.build(name).train().to(device)
        self.optimizer = optim.build(self.recipe.optimizer, self.model.parameters(), lr=self.recipe.lr,
                                     weight_decay=self.recipe.weight_decay)
        rng = np.random.default_rng(0)
        self.inputs = [rng.random((self.batch_size, *shape), np.float32)
                       for shape in nn.shapes_of_inputs(self.recipe.input_shape)]
        classes = self.recipe.num_classes
        self.loss, self.target = ((ops.binary_cross_entropy, self.inputs[0]) if classes is None else
                                  (ops.cross_entropy, rng.integers(classes, size=self.batch_size)))
        self.device = device
        self.batch = [Tensor(array, device=device) for array in (*self.inputs, self.target)]

    def __call__(self):
        return self.learn(*self.batch).item()

    def learn(self, *batch):
        """One step; the loss as a tensor, which on the GPU need not have been computed yet."""
        *inputs, target = batch
        loss = self.loss(self.model(*inputs), target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def scores(self, inputs):
        """Of a few examples, a list of float64 arrays, in training mode but without dropout."""
        for _, module in self.model.named_modules():
            module.training = not isinstance(module, nn.Dropout)
        with no_grad():
            scores = self.model.to(dtype=np.float64)(*(Tensor(array, device=self.device) for array in inputs)).cpu().numpy()
        self.model.to(dtype=np.float32).train()
        return scores
