"""Two checks before a training that may take hours (Alizadeh & Fazel, section 5.1).

1. The initial loss. A network that knows nothing gives each of K classes about the probability 1/K, so its
   cross-entropy is near ln K (ln 7 = 1.9459). A very different value speaks of bad initial weights, inputs
   that are not scaled, or labels that do not fit the output.
2. Over-fitting a handful of images. A network that cannot learn twenty images by heart will not learn
   28,709: the graph, the gradients or the learning rule are at fault. Dropout is off, as its purpose is to
   prevent just this.

Both are made on a copy, and the random state is put back: the training that follows does not notice them.
"""
import copy
import math

from nanoemo import Tensor, no_grad, optim, random
from nanoemo.files import read_json
from nanoemo.nn import Dropout
from nanoemo.nn.trace import module_device

__all__ = ["check", "describe", "read"]

OVERFIT_LEARNING_RATE = 1e-3      # for Adam; all the papers' networks learn 20 images by heart with it
CHECK_EVERY = 5


def check(model, batch, num_classes, loss_fn, *, handful=20, max_steps=200, stop=None):
    """Make both checks; returns their figures as a dictionary.

    batch: a sample of the training set as the loader gives it, (images (N, H, W, C), labels (N,)). The initial
    loss is measured on all of it, the first `handful` are learnt by heart with Adam, in at most `max_steps`
    steps. `stop` is looked at between steps.

    >>> import numpy as np, nanoemo
    >>> from nanoemo import nn, ops
    >>> nanoemo.manual_seed(0)
    >>> x = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    >>> model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
    >>> report = check(model, (x, np.arange(20) % 2), 2, ops.cross_entropy)
    >>> report["expected_loss"] == float(np.log(2)), report["overfit_accuracy"]
    (True, 1.0)
    """
    before = random.get_state()
    try:
        twin = copy.deepcopy(model)
        *inputs, labels = (Tensor(array, device=module_device(model)) for array in batch)
        initial = _initial_loss(twin, inputs, labels, loss_fn)
        if not math.isfinite(initial):
            raise ValueError(f"the loss of the untrained network is {initial}; look at its initial weights "
                             "and at the scale of the inputs")
        few = [x[:handful] for x in inputs]
        accuracy, steps = _overfit(twin, few, labels[:handful], loss_fn, max_steps, stop)
    finally:
        random.set_state(before)
    return {"initial_loss": initial, "expected_loss": math.log(num_classes), "num_classes": num_classes,
            "overfit_images": min(handful, len(labels)), "overfit_accuracy": accuracy, "overfit_steps": steps}


def describe(report):
    """The checks as lines of text, each with a verdict; none on an initial loss of which nothing was expected."""
    learnt = "ok" if report["overfit_accuracy"] == 1.0 else "SUSPICIOUS: the network may be unable to learn"
    overfit = (f"over-fitting {report['overfit_images']} examples: {100 * report['overfit_accuracy']:.0f} % after "
               f"{report['overfit_steps']} steps: {learnt}")
    if report["expected_loss"] is None:
        return [f"initial loss {report['initial_loss']:.4f}, with the weights of another run", overfit]
    difference = abs(report["initial_loss"] - report["expected_loss"])
    verdict = "ok" if difference < 0.5 else "SUSPICIOUS: look at initial weights and the inputs' scale"
    return [f"initial loss {report['initial_loss']:.4f}, ln({report['num_classes']}) = "
            f"{report['expected_loss']:.4f}: {verdict}", overfit]


def read(path):
    """The figures that `check` gave, from the file they were written to. ValueError where they are not in it."""
    try:
        report = read_json(path)
        describe(report)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: damaged, or not the checks of a run; remove this file, and the run goes on without "
                         "them") from None
    return report


def _initial_loss(model, inputs, labels, loss_fn):
    model.train()      # as the first step of training will see it: batch norm uses the batch's own statistics
    with no_grad():
        return loss_fn(model(*inputs), labels).item()


def _overfit(model, inputs, labels, loss_fn, max_steps, stop):
    """(accuracy in evaluation mode, steps made): stops at 100 %."""
    for _, module in model.named_modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    truth = labels.cpu().numpy()
    optimizer = optim.Adam(model.parameters(), lr=OVERFIT_LEARNING_RATE)
    accuracy, steps = 0.0, 0
    while steps < max_steps and not stop:
        model.train()
        optimizer.zero_grad()
        loss_fn(model(*inputs), labels).backward()
        optimizer.step()
        steps += 1
        if steps % CHECK_EVERY == 0 or steps == max_steps:
            model.eval()
            with no_grad():
                predicted = model(*inputs).cpu().numpy().argmax(axis=-1)
            accuracy = float((predicted == truth).mean())
            if accuracy == 1.0:
                break
    return accuracy, steps
