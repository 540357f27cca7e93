"""One training step in PyTorch, as its users write it, of a network given as plain data.

This file imports nothing of nanoemo: `nanoemo.bench.memory` runs it as a script, so that PyTorch is measured
in a process that has never seen us (`nanoemo.backend` changes how malloc keeps memory, for a whole process).
"""
import gc
import inspect
import json
import sys
import time

__all__ = ["TorchStep", "build", "random_batch"]

OPTIMIZERS = {"sgd": ("SGD", {}), "momentum": ("SGD", {"momentum": 0.9}),
              "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
              "rmsprop": ("RMSprop", {}), "adam": ("Adam", {}), "adamw": ("AdamW", {})}


def build(torch, layers):
    """The network of `layers`, [(name of a class in torch.nn, its arguments), …], run one after the other.

    "Join" is where further inputs join what the first has become, (N, F) each.
    """
    class Join(torch.nn.Module):
        def forward(self, *several):
            return torch.cat(several, dim=1)

    class LayersInARow(torch.nn.Sequential):
        def forward(self, x, *others):
            for layer in self:
                x = layer(x, *others) if isinstance(layer, Join) else layer(x)
                x = x[0] if isinstance(x, tuple) else x      # an LSTM gives (sequence, last state)
            return x

    def made(name, arguments):
        arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}   # of JSON
        return Join() if name == "Join" else getattr(torch.nn, name)(**arguments)

    return LayersInARow(*(made(name, arguments) for name, arguments in layers))


def random_batch(torch, task):
    """(inputs, target) for a task as `nanoemo.bench.compare.torch_steps` gives it: numbers from [0, 1), random classes."""
    inputs = [torch.rand(shape) for shape in task["shapes"]]
    return inputs, inputs[0] if task["classes"] is None else torch.randint(task["classes"], (len(inputs[0]),))


class TorchStep:
    """A network, its optimiser and a batch; called, it makes one step and returns the loss.

    layers: as for `build`; inputs: a list of tensors; target: classes (N,), or numbers like what the network gives
    optimizer: {"name", "lr", "weight_decay"}; all else as PyTorch has it by default
    channels_last: whether images lie in memory as (N, H, W, C), which PyTorch can do too
    device: where network and batch are
    capturable: whether the optimiser is to keep its counts on the GPU, as those that count must for `record`
    """

    def __init__(self, torch, layers, inputs, target, optimizer, channels_last=False, device="cpu", capturable=False):
        self.torch, self.device = torch, device
        self.model = build(torch, layers).train().to(device)
        self.inputs, self.target = [each.to(device) for each in inputs], target.to(device)
        if channels_last:
            self.model.to(memory_format=torch.channels_last)
            self.inputs, self.target = [self._channels_last(each) for each in self.inputs], self._channels_last(self.target)
        functional = torch.nn.functional
        self.loss = functional.binary_cross_entropy if target.is_floating_point() else functional.cross_entropy
        name, options = OPTIMIZERS[optimizer["name"]]
        kind = getattr(torch.optim, name)
        can_be_told = capturable and "capturable" in inspect.signature(kind).parameters
        self.optimizer = kind(self.model.parameters(), lr=optimizer["lr"], weight_decay=optimizer["weight_decay"],
                              **options, **({"capturable": True} if can_be_told else {}))
        self.graph = None

    def _channels_last(self, tensor):
        return tensor.to(memory_format=self.torch.channels_last) if tensor.ndim == 4 else tensor

    def __call__(self):
        return self.learn().item()

    def learn(self):
        """One step; the loss as a tensor, which on the GPU need not have been computed yet."""
        loss = self.loss(self.model(*self.inputs), self.target)
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

    def scores(self, inputs):
        """Of a few examples, a list of float64 arrays, in training mode but without dropout."""
        for layer in self.model:
            layer.train(not isinstance(layer, self.torch.nn.Dropout))
        with self.torch.no_grad():
            scores = self.model.double()(*(self.torch.from_numpy(each).to(self.device) for each in inputs)).cpu().numpy()
        self.model.float().train()
        return scores


def main():
    """Import PyTorch, say "ready"; read a task, do it, say how long each step took; end when told."""
    import torch

    print("ready", flush=True)
    task = json.loads(sys.stdin.readline())
    torch.set_num_threads(task["threads"])
    step = TorchStep(torch, task["layers"], *random_batch(torch, task), task["optimizer"], task["channels_last"])
    seconds = []
    for _ in range(task["steps"]):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
