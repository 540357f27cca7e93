"""Capturing a step in a CUDA graph.

The networks of the papers are small: a training step launches some hundred kernels, and to launch one from Python takes
longer than to run it. A step whose shapes do not change can be recorded once, as a graph of launches, and then be
launched as a whole. It is the same kernels with the same arguments in the same order, hence the same bits.
"""
import contextlib
import functools
import weakref

from nanoemo import backend, kernels, live
from nanoemo.graph_memory import graph_memory
from nanoemo.modes import anomalies_are_detected, is_grad_enabled
from nanoemo.tensor import Tensor

__all__ = ["capture", "uncaptured"]

_uncaptured = 0             # how many `with uncaptured()` blocks are open


@contextlib.contextmanager
def uncaptured():
    """Inside the `with` block captured steps run as they are, so that Python sees what happens in them."""
    global _uncaptured
    _uncaptured += 1
    try:
        yield
    finally:
        _uncaptured -= 1


class capture:
    """Make `step`, a function of tensors, run as a CUDA graph where its tensors are on the GPU.

    step: takes tensors and returns a tensor or a tuple of them. It may do whatever needs no answer from the card: models,
        losses, `backward`, optimisers. It may not read values back (`.item()`, printing a tensor, `if tensor`), nor make
        tensors on the card out of numbers of the host; it should call `zero_grad` itself. To capture a method write
        `self.step = capture(self.step)` in `__init__`
    depends_on: function without arguments that returns, as a hashable value, what else `step` goes by

    The first call runs `step` as it is: kernels are compiled, optimisers get their slots. The second call with the same
    shapes records it; that call and all later ones launch the recording. Arguments are copied in, results are copied out,
    without their graph of operations. Each combination of shapes, dtypes and `depends_on()` has a recording of its own, and
    so has a call under `no_grad`. On the CPU, while anomalies are being detected and while modules are watched (`nn.watch`),
    `step` is simply called.

    Learning rate, number of the step and dropout's seeds are worked out anew for each launch, as they would be without
    capturing, and each launch gives the parameters its gradients, valid until the next. Where a parameter or an optimiser
    on the card gets another array (`model.to`, `p.data = …`, `optimizer.load_state_dict`) everything is recorded anew. Nothing
    else in Python is looked at again: a layer frozen later, `eval()`, an `if` of your own are as they were in the second
    call; let `depends_on` return them.

    Raises RuntimeError where a step cannot be recorded, TypeError for arguments that are no tensors, ValueError for one that
    requires a gradient, which its copy would get.

    >>> import nanoemo
    >>> from nanoemo import Tensor
    >>> double = nanoemo.capture(lambda x: x * 2)
    >>> double(Tensor([1.0, 2.0]))
    Tensor([2. 4.])
    """

    def __init__(self, step, depends_on=tuple):
        functools.update_wrapper(self, step)
        self.step, self.depends_on = step, depends_on
        self.graphs = {}            # what a record is good for -> Graph, or None after the first call
        self.moves = live.moves()   # after how many moves of arrays they were recorded

    def __call__(self, *tensors):
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"capture: {getattr(self, '__name__', 'the step')} takes only tensors, got "
                                f"{type(tensor).__name__}; other values it can take from the scope around it")
            if tensor.requires_grad:
                raise ValueError(f"capture: {getattr(self, '__name__', 'the step')} was given a tensor that requires a gradient, "
                                 "but it works on a copy; give it x.detach(), and inside set x.requires_grad and return x.grad")
        on_card = bool(tensors) and all(tensor.device == "cuda" for tensor in tensors)
        if not on_card or _uncaptured or anomalies_are_detected():
            return self.step(*tensors)
        if self.moves != live.moves():
            self.graphs.clear()
            self.moves = live.moves()
        key = (tuple((tensor.shape, tensor.dtype) for tensor in tensors), kernels.overridden(), is_grad_enabled(),
               self.depends_on())
        if key not in self.graphs:
            self.graphs[key] = None
            return self.step(*tensors)
        if self.graphs[key] is None:
            self.graphs[key] = Graph(self.step, tensors)
        return self.graphs[key].launch(tensors)


class Graph:
    """One recorded step."""

    def __init__(self, step, examples):
        xp, memory = backend.array_module(examples[0].array), graph_memory()
        xp.get_default_memory_pool().free_all_blocks()      # what the step has used uncaptured would lie idle from now on
        memory.enter()              # now: the last other graph may be collected during the recording, and would empty the pool
        self.memory = memory
        self.inputs = [xp.empty_like(example.array) for example in examples]
        self.numbers = live.LiveNumbers(xp)
        with self.numbers, xp.cuda.using_allocator(memory.pool.malloc), memory.stream as stream:
            stream.begin_capture()
            try:
                outputs = step(*(Tensor(buffer) for buffer in self.inputs))
            except BaseException as error:              # Ctrl-C among them
                with contextlib.suppress(Exception):
                    stream.end_capture()                # it fails as well, but the stream can be used again
                if isinstance(error, MemoryError) or not isinstance(error, Exception):
                    raise
                name = getattr(step, "__name__", "the step")
                raise RuntimeError(
                    f"capture: {name} cannot be recorded: {error}. Inside it nothing may be read back from the card "
                    f"(.item(), print, if) and nothing sent there; without capture it runs as it is") from error
            finally:
                self.gradients = self._take_gradients()     # nothing is computed yet
            self.graph = stream.end_capture()
        self.is_tuple = isinstance(outputs, tuple)
        self.outputs = [output.array for output in (outputs if self.is_tuple else (outputs,))]     # not what they came from

    def _take_gradients(self):
        """Take the gradients of the record away from their tensors: a list of (tensor, its gradient, whether the step first
        forgets what it has)."""
        taken = []
        for leaf, forgets in self.numbers.leaves.values():
            taken.append((weakref.ref(leaf), leaf.grad, forgets))
            leaf.grad = None
        self.numbers.leaves.clear()
        return taken

    def __del__(self):
        self.graph = self.outputs = self.gradients = None       # before its memory
        if hasattr(self, "numbers"):
            self.numbers.wait()
        if hasattr(self, "memory"):
            self.memory.leave()

    def launch(self, tensors):
        gradients = [(leaf(), gradient, forgets) for leaf, gradient, forgets in self.gradients if leaf() is not None]
        if any(leaf.grad is not None and not forgets for leaf, _, forgets in gradients):
            raise RuntimeError(f"capture: {live.ADDS_UP}")
        stream = backend.array_module(self.inputs[0]).cuda.get_current_stream()
        for buffer, tensor in zip(self.inputs, tensors):
            buffer[...] = tensor.array
        self.numbers.refresh(stream)
        self.graph.launch(stream)
        for leaf, gradient, _ in gradients:
            leaf.grad = gradient
        results = tuple(Tensor(output.copy()) for output in self.outputs)
        return results if self.is_tuple else results[0]
