"""One training step in PyTorch, as its users write it, of a network given as plain data.

This file imports nothing of nanoemo: `nanoemo.bench.memory` runs it as a script, so that PyTorch is measured
in a process that has never seen us (`nanoemo.backend` changes how malloc keeps memory, for a whole process).
"""
import gc
import inspect
import json
import sys
import time

__all__ = ["TorchStep", "build"]

OPTIMIZERS = {"sgd": ("SGD", {}), "momentum": ("SGD", {"momentum": 0.9}),
              "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
              "rmsprop": ("RMSprop", {}), "adam": ("Adam", {}), "adamw": ("AdamW", {})}


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
    device: where network and batch are
    capturable: whether the optimiser is to keep its counts on the GPU, as those that count must for `record`
    """

    def __init__(self, torch, layers, examples, labels, optimizer, channels_last=False, device="cpu", capturable=False):
        self.torch, self.device = torch, device
        self.model = build(torch, layers).train().to(device)
        self.examples, self.labels = examples.to(device), labels.to(device)
        if channels_last:
            self.model.to(memory_format=torch.channels_last)
            self.examples = self.examples.to(memory_format=torch.channels_last)
        name, options = OPTIMIZERS[optimizer["name"]]
        kind = getattr(torch.optim, name)
        can_be_told = capturable and "capturable" in inspect.signature(kind).parameters
        self.optimizer = kind(self.model.parameters(), lr=optimizer["lr"], weight_decay=optimizer["weight_decay"],
                              **options, **({"capturable": True} if can_be_told else {}))
        self.graph = None

    def __call__(self):
        return self.learn().item()

    def learn(self):
        """One step; the loss as a tensor, which on the GPU need not have been computed yet."""
        loss = self.torch.nn.functional.cross_entropy(self.model(self.examples), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def record(self, warm_up=3):
        """Record `learn` as a CUDA graph, as PyTorch's manual says to: first some steps on a stream of their own."""
        cuda = self.torch.cuda
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            for _ in range(warm_up):
                self.learn()
        cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad()          # so that the gradients come to lie in the graph's own memory
        self.graph = cuda.CUDAGraph()
        gc.collect()                        # memory that went back to the card in the middle of the recording would spoil it
        with cuda.graph(self.graph):
            self.learn()
        return self

    def replay(self):
        """The recorded step."""
        self.graph.replay()

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
            scores = self.model.double()(self.torch.from_numpy(examples).to(self.device)).cpu().numpy()
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
