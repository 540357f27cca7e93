"""Tensor, the graph, and backward(): the whole of automatic differentiation.

A tensor that an operation made remembers its `node`: the operation's name, its inputs, and a function that turns
the gradient of the output into gradients of the inputs (the chain rule for that one operation). `backward` orders
the nodes so that each comes before those it was computed from, walks that list once, and adds up, for every
tensor, the gradients that arrive along all of its uses:

    ∂L/∂x = Σ over uses y of x of (∂y/∂x)ᵀ ∂L/∂y
"""
import operator

import numpy as np

from nanoemo import backend, live
from nanoemo.conversion import as_array, check_dtype
from nanoemo.hints import of_pytorch
from nanoemo.modes import anomalies_are_detected, call_site, check_finite, is_grad_enabled

__all__ = ["Tensor"]

FORWARD_UNSEEN = "a place not noted, since the forward pass ran outside detect_anomaly(); run it inside, too"


class _Guard:
    """What a tensor and its views share, to notice a change that would make a gradient wrong.

    `version` counts changes in place; `savers` counts the nodes waiting to use the values in their backward.
    """
    __slots__ = ("version", "savers")

    def __init__(self):
        self.version = 0
        self.savers = 0

    def __reduce__(self):
        return _Guard, ()       # no graph knows a copy, be it made by deepcopy or by pickle


class _Node:
    """One operation in the graph."""
    __slots__ = ("name", "inputs", "backward", "guards", "versions", "call_site")

    def __init__(self, name, inputs, backward, guards):
        self.name = name
        self.inputs = inputs
        self.backward = backward
        self.guards = guards
        self.versions = tuple(guard.version for guard in guards)
        self.call_site = call_site() if anomalies_are_detected() else None
        for guard in guards:
            guard.savers += 1

    def __reduce__(self):
        raise RuntimeError(f"copy: a tensor made by {self.name} belongs to a graph, which cannot be copied or pickled; "
                           f"use its .detach()")

    def check_saved_values(self):
        for guard, version in zip(self.guards, self.versions):
            if guard.version != version:
                raise RuntimeError(
                    f"backward: a value that {self.name} saved for its gradient was changed in place after the "
                    f"forward pass; change it after backward(), or change a copy of it")

    def release(self):
        """Let go of everything the backward pass needed."""
        for guard in self.guards:
            guard.savers -= 1
        self.inputs, self.backward, self.guards, self.versions = (), None, (), ()

    __del__ = release


class Tensor:
    """An array with respect to which results can be differentiated.

    data: number, nested list, NumPy or CuPy array, or Tensor (copied unless it is an array or a Tensor of that dtype and device).
        Gradients do not flow back to a Tensor given here: see `.to` for another dtype, `ops.stack` for a list of them
    requires_grad: whether `backward` should fill in `.grad`
    dtype: Python floats and lists of them become float32 unless it says otherwise; arrays keep their own
    device: "cpu" or "cuda"; without it Tensors and CuPy arrays stay where they are, other data goes to the default device

    Raises TypeError for data that is not numeric and for requires_grad on integers, ValueError for rows of different lengths,
    RuntimeError for a list with a tensor in it that requires a gradient.

    >>> from nanoemo import Tensor
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2. 4. 6.])
    """
    __slots__ = ("array", "_grad", "_requires_grad", "node", "guard", "__weakref__")
    is_parameter = False        # of a model: see ops/inplace.py
    __array_ufunc__ = None      # so that `ndarray * tensor` asks the tensor

    def __init__(self, data, requires_grad=False, dtype=None, device=None):
        source = data if isinstance(data, Tensor) else None
        self.array = as_array(data, dtype, device) if source is None else as_array(source.array, dtype, device or source.device)
        self._grad = None
        self.node = None
        self.requires_grad = requires_grad
        shares_memory = source is not None and self.array is source.array
        self.guard = source.guard if shares_memory else _Guard()

    @classmethod
    def from_op(cls, name, array, inputs, backward, saved=None, saves_output=False, view_of=None):
        """The output of an operation.

        name: of the operation, for error messages
        array: the result
        inputs: the tensors it was computed from (None allowed, for an absent bias)
        backward: function from the output's gradient (array) to a tuple of the inputs' gradients, each an array of its
            input's shape, dtype and device (None for an input that requires no gradient). The array it is given may be
            another operation's as well, so it must not be changed; NumPy's is read-only
        saved: those inputs whose values `backward` uses; all of them unless given
        saves_output: whether `backward` uses the result's values, too
        view_of: the input whose memory the result shares, if any
        Raises TypeError where `array` is not an array but, say, a Tensor or a float, or `inputs` is not a tuple of Tensors.
        """
        if isinstance(inputs, Tensor) or not all(t is None or isinstance(t, Tensor) for t in inputs):
            got = type(inputs).__name__ if isinstance(inputs, Tensor) else ", ".join(type(t).__name__ for t in inputs)
            raise TypeError(f"from_op of {name}: the inputs must be a tuple of Tensors; got {got}")
        if not backend.is_array(array) and not isinstance(array, np.generic):
            raise TypeError(f"from_op of {name}: the result must be an array (tensor.array); got {type(array).__name__}")
        if anomalies_are_detected():
            check_finite(name, "the output", array)
        out = cls.__new__(cls)
        out.array = np.asarray(array) if isinstance(array, np.generic) else array      # NumPy gives scalars for 0-d
        out._grad = None
        out.node = None
        out.guard = _Guard() if view_of is None else view_of.guard
        out._requires_grad = is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
        if out._requires_grad:
            saved = (*(inputs if saved is None else saved), out if saves_output else None)
            out.node = _Node(name, inputs, backward, tuple(t.guard for t in saved if t is not None))
        return out

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def data(self):
        """The values, as NumPy's or CuPy's array.

        Read-only while an unfinished graph needs them, so that a change in place fails where it is made instead of
        giving a wrong gradient later; an array fetched before the graph was made is not protected in this way. After
        `backward`, or where everything ran under `no_grad`, it can be written to.
        """
        if self.guard.savers and isinstance(self.array, np.ndarray):
            view = self.array.view()
            view.flags.writeable = False
            return view
        return self.array

    @data.setter
    def data(self, value):
        value = value.array if isinstance(value, Tensor) else value
        if backend.is_array(value):
            value = backend.to_device(value, backend.device_beside(value, self.device))
        else:
            value = as_array(value, self.dtype, self.device)
        if self.grad is not None and value.shape != self.shape:
            raise ValueError(f"data: shape {value.shape} does not fit the gradient of shape {self.grad.shape}; "
                             f"call zero_grad() first")
        if value.dtype != self.dtype:
            raise TypeError(f"data: the tensor is {self.dtype}, the new values are {value.dtype}; convert them with "
                            f".astype('{self.dtype}')")
        if backend.device_of(value) != self.device:
            raise RuntimeError(f"data: the tensor is on '{self.device}', the new values are on "
                               f"'{backend.device_of(value)}'; move one of them first, with .to('cpu') or .to('cuda')")
        if self.guard.savers:
            self.changed_in_place()     # backward functions look the values up when they run
        if value is not self.array and self.device == "cuda":
            live.moved()
        self.array = value

    @property
    def grad(self):
        """What `backward` has added up here, a Tensor of the same shape, dtype and device; None before and after `zero_grad`."""
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}; nanoemo.Tensor(...) makes one")
            if (value.shape, value.dtype) != (self.shape, self.dtype):
                raise ValueError(f"grad: the tensor is {self.dtype} of shape {self.shape}, its gradient would be {value.dtype} "
                                 f"of shape {value.shape}; make them the same")
            if value.device != self.device:
                raise RuntimeError(f"grad: the tensor is on '{self.device}', its gradient would be on '{value.device}'; move it "
                                   f"first, with .to('{self.device}')")
        self._grad = value

    @property
    def requires_grad(self):
        """Whether `backward` gives this tensor a gradient, or passes one on through it."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted):
        if self.node is not None and not wanted:
            raise RuntimeError(f"requires_grad: this tensor was made by {self.node.name}, so it requires one as its inputs do; "
                               f"use its .detach()")
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"Tensor: only float tensors can require gradients, this one is {self.dtype}")
        if not isinstance(wanted, (bool, np.bool_)):
            raise TypeError(f"requires_grad must be True or False, got {wanted!r}; a dtype is named: dtype=...")
        self._requires_grad = bool(wanted)

    def changed_in_place(self):
        """Tell the graph that the values were overwritten; a backward that had saved them will refuse."""
        self.guard.version += 1

    @property
    def shape(self):
        return self.array.shape

    @property
    def ndim(self):
        return self.array.ndim

    @property
    def size(self):
        return self.array.size

    @property
    def dtype(self):
        return self.array.dtype

    @property
    def device(self):
        return backend.device_of(self.array)

    @property
    def is_leaf(self):
        """True where no recorded operation made it: `backward` fills `.grad` of leaves only."""
        return self.node is None

    def __getattr__(self, name):
        raise AttributeError(f"Tensor has no attribute {name!r}{of_pytorch(name)}", name=name, obj=self)

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a tensor with no axes")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"the truth value of a tensor of shape {self.shape} is ambiguous; use .numpy() and any() or all()")
        return bool(self.item())

    def __repr__(self):
        values = np.array2string(backend.to_device(self.array, "cpu"), separator=" ", threshold=20, prefix="Tensor(")
        extras = ["" if self.dtype == np.float32 else f", dtype={self.dtype}",
                  "" if self.device == "cpu" else f", device='{self.device}'",
                  ", requires_grad=True" if self.requires_grad and self.is_leaf else "",
                  f", op={self.node.name}" if self.node else ""]
        return f"Tensor({values}{''.join(extras)})"

    # ---- out of the graph -------------------------------------------------------------------------------------

    def detach(self):
        """The same values outside the graph (memory is shared)."""
        return Tensor(self)

    def numpy(self):
        """The values as a NumPy array (shared memory). TypeError for a tensor on the GPU: call .cpu() first."""
        if self.device != "cpu":
            raise TypeError("numpy(): this tensor is on 'cuda'; bring it over with .cpu().numpy()")
        return self.data

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and dtype != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def item(self):
        """The one value as a Python number; ValueError where there is not exactly one."""
        if self.size != 1:
            raise ValueError(f"item(): the tensor of shape {self.shape} has {self.size} values, not one")
        return self.array.item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return operator.index(self.item())      # names[scores.argmax()]; Python's TypeError for a float

    def __format__(self, spec):
        return format(self.item() if spec else str(self), spec)     # f"{loss:.4f}" as for a number

    def to(self, device=None, dtype=None):
        """This tensor on `device` and of `dtype`: itself if it is so already, else a copy, through which gradients flow back.

        Whole numbers take no gradient, so to one of their types it is a copy outside the graph.

        >>> x = Tensor([0.5, 1.5], requires_grad=True)
        >>> x.to(dtype="float64").sum().backward()
        >>> x.grad
        Tensor([1. 1.])
        """
        home, kind = self.device, self.dtype
        array = backend.to_device(self.array, home if device is None else backend.check_device(device))
        if dtype is not None:
            with backend.quiet():           # what is too large for float32 becomes infinite
                array = array.astype(check_dtype(dtype, given=True), copy=False)
        if array is self.array:
            return self
        inputs = (self,) if array.dtype.kind == "f" else ()
        return Tensor.from_op("to", array, inputs, lambda dy: (backend.to_device(dy, home).astype(kind, copy=False),), saved=())

    def cpu(self):
        return self.to("cpu")

    def cuda(self):
        return self.to("cuda")

    def zero_grad(self):
        live.touches_gradient(self, forgets=True)
        self._grad = None

    # ---- backward ---------------------------------------------------------------------------------------------

    def backward(self, grad=None):
        """Fill in `.grad` of every leaf that this tensor depends on, adding to what is there already.

        grad: gradient of the final result with respect to this tensor; 1 for a tensor of one value

        Each operation is freed as soon as its gradient has been used, so a graph can be walked only once.
        Raises RuntimeError where there is no graph, where it has been walked already, where `grad` is missing for a tensor
        of several values, where a saved value was changed in place, and where an operation gives a gradient whose shape, dtype
        or device is not its input's.
        """
        if not self.requires_grad:
            raise RuntimeError("backward: this tensor does not depend on any tensor with requires_grad=True "
                               "(or was made inside no_grad())")
        order = topological_order(self)
        gradients = {id(self): _first_gradient(self, grad)}
        with backend.quiet():
            while order:
                tensor = order.pop()
                dy = gradients.pop(id(tensor))
                if tensor.node is None:
                    tensor._accumulate(dy)
                    continue
                for parent, gradient in _run_node(tensor.node, dy):
                    known = gradients.get(id(parent))
                    gradients[id(parent)] = gradient if known is None else known + gradient
                tensor.node.release()

    def _accumulate(self, gradient):
        live.touches_gradient(self)
        total = gradient if self._grad is None else self._grad.array + gradient
        self._grad = Tensor(total, device=self.device)


def _first_gradient(tensor, grad):
    """The array that `backward` begins with: `grad`, checked and copied, or 1 where it is None."""
    if grad is None:
        if tensor.size != 1:
            raise RuntimeError(f"backward: a tensor of shape {tensor.shape} has no single gradient; reduce it to one "
                               f"value (.sum() or .mean()), or pass backward(grad) of that shape")
        return backend.array_module(tensor.array).ones_like(tensor.array)
    device = grad.device if isinstance(grad, Tensor) else backend.device_beside(grad, tensor.device)
    if device != tensor.device:
        raise RuntimeError(f"backward: the tensor is on '{tensor.device}', grad is on '{device}'; move it first, with "
                           f".to('{tensor.device}')")
    grad = as_array(grad.array if isinstance(grad, Tensor) else grad, tensor.dtype, tensor.device)
    if grad.shape != tensor.shape:
        raise RuntimeError(f"backward: grad has shape {grad.shape}, the tensor has {tensor.shape}")
    return grad.copy()


def topological_order(root):
    """Tensors that require gradients, each after all those it was computed from; iterative, for deep graphs."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        tensor, inputs_done = stack.pop()
        if inputs_done:
            order.append(tensor)
            continue
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        stack.append((tensor, True))
        if tensor.node is not None:
            if tensor.node.backward is None:
                raise RuntimeError(f"backward: the graph behind {tensor.node.name} has been used and freed by an earlier "
                                   f"backward(); run the forward pass again, or add the losses and call backward once")
            for parent in tensor.node.inputs:
                if parent is not None and parent.requires_grad and id(parent) not in seen:
                    stack.append((parent, False))
    return order


def _run_node(node, dy):
    """Pairs (input, its gradient) of one operation."""
    node.check_saved_values()
    gradients = node.backward(_read_only(dy))
    if not isinstance(gradients, (tuple, list)) or len(gradients) != len(node.inputs):
        got = len(gradients) if isinstance(gradients, (tuple, list)) else type(gradients).__name__
        raise RuntimeError(f"backward of {node.name}: expected a tuple of {len(node.inputs)}, a gradient for each input; "
                           f"got {got}")
    pairs, handed_out = [], [dy]
    for parent, gradient in zip(node.inputs, gradients):
        if parent is None or not parent.requires_grad:
            continue
        _check_gradient(node.name, gradient, parent)
        if anomalies_are_detected():
            check_finite(f"backward of {node.name}", "the gradient", gradient, node.call_site or FORWARD_UNSEEN)
        if parent.is_leaf and (_shares_memory(gradient, handed_out) or not _can_be_changed(gradient)):
            gradient = gradient.copy()      # two leaves must not share one .grad, and an optimiser may clip it in place
        handed_out.append(gradient)
        pairs.append((parent, gradient))
    return pairs


def _check_gradient(name, gradient, parent):
    """Raise RuntimeError unless a backward function gave an array like that of the input `parent`."""
    wanted = parent.shape, parent.dtype, parent.device
    is_array = backend.is_array(gradient)
    if not is_array or (gradient.shape, gradient.dtype, backend.device_of(gradient)) != wanted:
        got = (f"a gradient of shape {gradient.shape}, {gradient.dtype} on '{backend.device_of(gradient)}'," if is_array
               else f"{type(gradient).__name__} instead of an array" if gradient is not None else "no gradient")
        raise RuntimeError(f"backward of {name}: {got} for an input of shape {wanted[0]}, {wanted[1]} on '{wanted[2]}'")


def _read_only(array):
    """A view that cannot be written to, where the library has such (CuPy has none)."""
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    return array


def _can_be_changed(array):
    """Whether each value of an array has a place of its own, and may be written to."""
    return 0 not in array.strides and (not isinstance(array, np.ndarray) or array.flags.writeable)


def _shares_memory(array, others):
    xp, device = backend.array_module(array), backend.device_of(array)
    return any(backend.device_of(other) == device and xp.may_share_memory(array, other) for other in others)
