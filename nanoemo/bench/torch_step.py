"""One training step in PyTorch, as its users write it, of a network given as plain data.

This file imports nothing of nanoemo: `nanoemo.bench.memory` runs it as a script, so that PyTorch is measured
in a process that has never seen us (`nanoemo.backend` changes how malloc keeps memory, for a whole process).
"""
import json
import sys
import time

__all__ = ["TorchStep", "build"]

OPTIMIZERS = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}


def build(torch, layers):
    """The network of `layers`, [(name of a class in torch.nn, its arguments), …], run one after the other."""
    class LayersInARow(torch.nn.Sequential):
        def forward(self, x):
            for layer in self:
                x = layer(x)
                x = x[0] if isinstance(x, tuple) else x      # an LSTM gives (sequence, last state)
            return x

    return LayersInARow(*(getattr(torch.nn, name)(**arguments) for name, arguments in layers))


class TorchStep:
    """A network, its optimiser and a batch; called, it makes one step and returns the loss.

    layers: as for `build`; examples, labels: tensors
    optimizer: {"name", "lr", "weight_decay"}; all else as PyTorch has it by default
    channels_last: whether images lie in memory as (N, H, W, C), which PyTorch can do too
    """

    def __init__(self, torch, layers, examples, labels, optimizer, channels_last=False):
        self.torch, self.labels = torch, labels
        self.model = build(torch, layers).train()
        self.examples = examples
        if channels_last:
            self.model.to(memory_format=torch.channels_last)
            self.examples = examples.to(memory_format=torch.channels_last)
        self.optimizer = getattr(torch.optim, OPTIMIZERS[optimizer["name"]])(
            self.model.parameters(), lr=optimizer["lr"], weight_decay=optimizer["weight_decay"])

    def __call__(self):
        loss = self.torch.nn.functional.cross_entropy(self.model(self.examples), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def load(self, state):
        """Take over weights, {name: array}. All must be there but batch norm's count of batches."""
        tensors = {name: self.torch.from_numpy(array) for name, array in state.items()}
        counts = {name: count for name, count in self.model.state_dict().items()
                  if name.endswith("num_batches_tracked")}
        self.model.load_state_dict({**tensors, **counts})

    def scores(self, examples):
        """Of a few examples, a float64 array, in training mode but without dropout."""
        for layer in self.model:
            layer.train(not isinstance(layer, self.torch.nn.Dropout))
        with self.torch.no_grad():
            scores = self.model.double()(self.torch.from_numpy(examples)).numpy()
        self.model.float().train()
        return scores


def main():
    """Import PyTorch, say "ready"; read a task, do it, say how long each step took; end when told."""
    import torch

    print("ready", flush=True)
    task = json.loads(sys.stdin.readline())
    torch.set_num_threads(task["threads"])
    examples = torch.rand(task["shape"])
    labels = torch.randint(task["classes"], (len(examples),))
    step = TorchStep(torch, task["layers"], examples, labels, task["optimizer"], task["channels_last"])
    seconds = []
    for _ in range(task["steps"]):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
