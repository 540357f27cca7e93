"""Capturing a step in a CUDA graph.

The networks of the papers are small: a training step launches some hundred kernels, and to launch one from Python takes
longer than to run it. A step whose shapes do not change can be recorded once, as a graph of launches, and then be
launched as a whole. It is the same kernels with the same arguments in the same order, hence the same bits.
"""
import contextlib
import functools

from nanoemo import backend, kernels
from nanoemo.live import LiveNumbers
from nanoemo.tensor import Tensor, anomalies_are_detected

__all__ = ["capture"]


class capture:
    """Make `step`, a function of tensors, run as a CUDA graph where its tensors are on the GPU.

    step: takes tensors and returns a tensor or a tuple of them. It may do whatever leaves the card to itself: models,
        losses, `backward`, optimisers. It may not read values back (`.item()`, printing a tensor, `if tensor`), nor make
        tensors on the card out of numbers of the host; it should call `zero_grad` itself.

    The first call runs `step` as it is: kernels are compiled, optimisers get their slots. The second, of the same shapes,
    records it, and it and all later ones launch the record. Arguments are copied in, results are copied out. For each
    combination of shapes and dtypes there is a record of its own. On the CPU, and while anomalies are being detected,
    `step` is simply called.

    Learning rate, number of the step and dropout's seeds are worked out anew for each launch, as they would be without
    capturing. All else in Python is not: a layer frozen later, `eval()`, an `if` of your own are as they were in the
    second call; capture again after such a change. Raises RuntimeError where a step cannot be recorded.

    >>> import nanoemo
    >>> from nanoemo import Tensor
    >>> double = nanoemo.capture(lambda x: x * 2)
    >>> double(Tensor([1.0, 2.0]))
    Tensor([2. 4.])
    """

    def __init__(self, step):
        functools.update_wrapper(self, step)
        self.step = step
        self.graphs = {}            # shapes, dtypes and replaced kernels -> Graph, or None after the first call

    def __call__(self, *tensors):
        if any(tensor.device == "cpu" for tensor in tensors) or anomalies_are_detected():
            return self.step(*tensors)
        key = tuple((tensor.shape, tensor.dtype) for tensor in tensors), kernels.overridden()
        if key not in self.graphs:
            self.graphs[key] = None
            return self.step(*tensors)
        if self.graphs[key] is None:
            self.graphs[key] = Graph(self.step, tensors)
        return self.graphs[key].launch(tensors)


class Graph:
    """One recorded step, with the memory that it works in."""

    def __init__(self, step, examples):
        xp = backend.array_module(examples[0].array)
        # Memory that only this graph uses: what it needs within a step must not be given to anybody between two steps.
        self.pool = xp.cuda.MemoryPool()
        xp.get_default_memory_pool().free_all_blocks()      # what the step has used uncaptured would lie idle from now on
        self.inputs = [xp.empty_like(example.array) for example in examples]
        self.numbers = LiveNumbers(xp)
        self.stream = xp.cuda.Stream(non_blocking=True)
        with self.numbers, xp.cuda.using_allocator(self.pool.malloc), self.stream:
            self.stream.begin_capture()
            try:
                outputs = step(*(Tensor(buffer) for buffer in self.inputs))
            except Exception as error:
                with contextlib.suppress(Exception):
                    self.stream.end_capture()           # it fails as well, but the stream can be used again
                if isinstance(error, MemoryError):
                    raise
                name = getattr(step, "__name__", "the step")
                raise RuntimeError(
                    f"capture: {name} cannot be recorded: {error}. Inside it nothing may be read back from the card "
                    f"(.item(), print, if) and nothing sent there; without capture it runs as it is") from error
            self.graph = self.stream.end_capture()
        self.is_tuple = isinstance(outputs, tuple)
        self.outputs = outputs if self.is_tuple else (outputs,)

    def launch(self, tensors):
        stream = backend.array_module(self.inputs[0]).cuda.get_current_stream()
        for buffer, tensor in zip(self.inputs, tensors):
            buffer[...] = tensor.array
        self.numbers.refresh(stream)
        self.graph.launch(stream)
        results = tuple(Tensor(output.array.copy()) for output in self.outputs)
        return results if self.is_tuple else results[0]
