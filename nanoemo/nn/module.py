"""Module: a thing with parameters that can be called.

A module's attributes are its registry. Whatever is assigned to `self` and is a `Parameter`, a `Buffer` or
another `Module` belongs to it, in the order of assignment, and is found by walking `vars(self)`. A name in
the state dictionary is the path of attributes that leads there: "0.weight", "encoder.lstm.bias".
"""
import numpy as np

from nanoemo import backend, live
from nanoemo.hints import type_of
from nanoemo.nn import trace
from nanoemo.nn.checks import misfit, must_be_state
from nanoemo.tensor import Tensor

__all__ = ["Module", "Parameter", "Buffer", "must_be_module"]


class Parameter(Tensor):
    """A tensor that is learned: `requires_grad` is set, and a module that holds it lists it.

    >>> from nanoemo import nn
    >>> nn.Parameter([1.0, 2.0])
    Tensor([1. 2.], requires_grad=True)
    """
    __slots__ = ()
    is_parameter = True

    def __init__(self, data, dtype=None, device=None):
        super().__init__(data, requires_grad=True, dtype=dtype, device=device)


class Buffer(Tensor):
    """A tensor that is saved with the module but not learned by gradient, such as a running mean.

    Its name in a module keeps standing for a Buffer: a tensor assigned to it later becomes one, outside the graph.

    >>> from nanoemo import nn
    >>> nn.Buffer([0.0])
    Tensor([0.])
    """
    __slots__ = ()


class Module:
    """Base of all layers and models: assign parameters and modules to attributes, write `forward`.

    >>> import numpy as np
    >>> from nanoemo import Tensor, nn
    >>> class Scale(nn.Module):
    ...     def __init__(self, channels):
    ...         self.factor = nn.Parameter(np.full(channels, 2.0, np.float32))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale(2)
    >>> scale(Tensor([1.0, 5.0])).numpy()
    array([ 2., 10.], dtype=float32)
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """
    training = True
    frozen = False

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} defines no forward(); write what it computes there")

    def __call__(self, *inputs, **options):
        output = self.forward(*inputs, **options)
        trace.report(self, output)
        return output

    def __setattr__(self, name, value):
        held = type(vars(self).get(name))
        if held is Buffer and type(value) is Tensor:
            value = Buffer(value)
        if held in (Parameter, Buffer) and not isinstance(value, (held, Parameter, type(None))):
            raise TypeError(f"{type(self).__name__}.{name} is a {held.__name__}; assigning {type(value).__name__} "
                            f"would take it out of the module. Assign nn.{held.__name__}(...), or set .{name}.data")
        self._refuse_hidden(name, value)
        if isinstance(value, Module) and any(part is self for _, part in value.named_modules()):
            raise ValueError(f"{type(self).__name__}.{name}: {type(value).__name__} holds this module already, and two modules "
                             "cannot hold each other; give forward() what it needs of the outer one")
        super().__setattr__(name, value)

    def _refuse_hidden(self, name, value):
        if _holds_modules(value):
            raise TypeError(f"{type(self).__name__}.{name}: modules and parameters inside a {type(value).__name__} "
                            f"are not found by parameters(); use nn.Sequential, or give each its own attribute")

    # ---- what it holds -------------------------------------------------------------------------------

    def children(self):
        """The modules assigned to this one, as (name, module), in order."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def named_modules(self, prefix=""):
        """This module (its path is `prefix`) and all below it, as (path, module), parents first.

        TypeError where a list, a tuple or a dict holds one, which would not be found.
        """
        yield prefix, self
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield from value.named_modules(f"{prefix}.{name}" if prefix else name)
            else:
                self._refuse_hidden(name, value)        # what was put there after it was assigned

    def _named_tensors(self, kind):
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, kind):
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self):
        """(path, Parameter) for all that is learned, in order; one that two modules share comes once."""
        return _each_once(self._named_tensors(Parameter))

    def parameters(self):
        """The parameters without their names, as a list: what an optimiser wants."""
        return [parameter for _, parameter in self.named_parameters()]

    def buffers(self):
        """What is saved but not learned, as a list."""
        return [buffer for _, buffer in _each_once(self._named_tensors(Buffer))]

    def num_parameters(self):
        """How many numbers are learned, frozen ones included.

        >>> from nanoemo import nn
        >>> nn.Linear(4096, 512).num_parameters()
        2097664
        """
        return sum(parameter.size for parameter in self.parameters())

    # ---- saving and loading --------------------------------------------------------------------------

    def state_dict(self):
        """Parameters and buffers as {path: NumPy array}. The arrays are copies and know no device.

        >>> from nanoemo import nn
        >>> {name: array.shape for name, array in nn.Linear(3, 2).state_dict().items()}
        {'weight': (3, 2), 'bias': (2,)}
        """
        return {name: np.array(backend.to_device(tensor.array, "cpu"))
                for name, tensor in self._named_tensors((Parameter, Buffer))}

    def load_state_dict(self, state, strict=True):
        """Write the arrays of `state` into the parameters and buffers, in place, each on its own device.

        strict: every name must be there and no other; with False the names that both have are loaded, for transfer
        from another model, and the others returned as (missing, unexpected); leave arrays of other shapes out of `state`
        Raises ValueError that lists every name that is missing, unexpected, of a wrong shape or no array of
        numbers; then nothing has been written.
        """
        must_be_state(state)
        own = dict(self._named_tensors((Parameter, Buffer)))
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        problems = [f"  {name}: expected {problem}" for name, value in state.items()
                    if name in own and (problem := misfit(value, own[name].shape))]
        if strict:
            problems += [f"  {name}: missing" for name in missing]
            problems += [f"  {name}: unexpected" for name in unexpected]
        if problems:
            title = f"load_state_dict: the state does not fit this {type(self).__name__}:"
            raise ValueError("\n".join([title, *problems]))
        for name, value in state.items():
            if name in own:
                own[name].array[...] = backend.to_device(np.asarray(value), own[name].device)
                own[name].changed_in_place()
        return missing, unexpected

    def to(self, device=None, dtype=None):
        """Move parameters, buffers and gradients to `device`, and convert those that hold floats to `dtype`; returns self.

        Raises TypeError for a dtype that is neither float32 nor float64.
        """
        if dtype is not None and not _is_float(dtype):
            raise TypeError(f"{type(self).__name__}.to: dtype {dtype} is not supported; expected float32 or float64")
        for _, tensor in self._named_tensors((Parameter, Buffer)):
            for part in (tensor, tensor.grad):
                if part is not None:
                    array = backend.to_device(part.array, device or part.device)
                    array = array if dtype is None or array.dtype.kind != "f" else array.astype(dtype, copy=False)
                    if array is not part.array:
                        live.moved()
                        part.array = array
                        part.changed_in_place()
        return self

    # ---- modes; each of these methods returns self --------------------------------------------------

    def train(self, mode=True):
        """Training mode: dropout drops, batch norm uses the batch; what is frozen stays in `eval`."""
        for _, module in self.named_modules():
            module.training = bool(mode) and not module.frozen
        return self

    def eval(self):
        """The mode for using the model: no dropout, batch norm uses running statistics."""
        return self.train(False)

    def freeze(self):
        """Stop learning: no gradients, and `eval` mode even where `train()` is called on a parent.

        >>> from nanoemo import nn
        >>> model = nn.Sequential(nn.Linear(4, 3).freeze(), nn.Dropout(0.5), nn.Linear(3, 2)).train()
        >>> [(layer.training, [p.requires_grad for p in layer.parameters()]) for layer in model]
        [(False, [False, False]), (True, []), (True, [True, True])]
        """
        return self._set_frozen(True)

    def unfreeze(self):
        """Learn again. The mode stays `eval` until the next `train()`."""
        return self._set_frozen(False)

    def _set_frozen(self, frozen):
        for _, module in self.named_modules():
            module.frozen = frozen
        for parameter in self.parameters():
            parameter.requires_grad = not frozen
            if frozen:
                parameter.zero_grad()
        return self.eval() if frozen else self

    def zero_grad(self):
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # ---- how it looks --------------------------------------------------------------------------------

    def extra_repr(self):
        """The arguments that `repr` shows; layers say theirs here."""
        return ""

    def __repr__(self):
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()]
        inside = self.extra_repr() + ("\n" + "\n".join(lines) + "\n" if lines else "")
        return f"{type(self).__name__}({inside})"


def must_be_module(where, model):
    """Raise TypeError where `model` is no Module.

    >>> from nanoemo.nn.module import must_be_module
    >>> must_be_module("summary", "njoku.cnn")
    Traceback (most recent call last):
    ...
    TypeError: summary: expected a Module, got str; models.build makes one of a name
    """
    if not isinstance(model, Module):
        hint = "; models.build makes one of a name" if isinstance(model, str) else ""
        raise TypeError(f"{where}: expected a Module, got {type_of(model)}{hint}")


def _holds_modules(value):
    """Whether a list, tuple or dict holds modules or parameters, at whatever depth."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(isinstance(item, (Module, Parameter)) or _holds_modules(item) for item in items)


def _is_float(dtype):
    try:
        return np.dtype(dtype) in (np.float32, np.float64)
    except TypeError:               # no dtype at all
        return False


def _each_once(named_tensors):
    seen = {}
    for name, tensor in named_tensors:
        if seen.setdefault(id(tensor), name) == name:
            yield name, tensor
