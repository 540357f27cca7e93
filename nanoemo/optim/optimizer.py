"""Optimisers: how a parameter changes, given its gradient. The rules themselves are in kernels/optim.py.

A call of `step()` gives the rule all parameters that have a gradient, as lists of arrays; it changes them
in place. What a rule remembers of a parameter (a velocity, a mean of squares) is a `slot`, made of zeros
when first needed.
"""
import functools
import math
import numbers
from collections.abc import Iterable

import numpy as np

from nanoemo import backend, live
from nanoemo.hints import suggest, type_of
from nanoemo.nn.checks import misfit, must_be_state
from nanoemo.tensor import Tensor

__all__ = ["BY_NAME", "Optimizer", "SGD", "RMSprop", "Adam", "AdamW", "build"]


class Optimizer:
    """Base of the optimisers.

    params: the parameters to change, `model.parameters()`
    lr: learning rate, how far a step goes; it may be assigned between steps, as schedules do
    Raises ValueError for an empty list, a parameter given twice, a tensor that an operation made and a
    hyper-parameter out of range, TypeError for what is no list of tensors.
    """
    slot_names = ()
    hyper_names = ()            # attributes that a step depends on, beside lr: numbers, pairs, choices; saved with the state

    def __init__(self, params, lr, **hyper):
        self.params = _checked_params(type(self).__name__, params)
        self.lr = lr
        for name, value in hyper.items():
            setattr(self, name, self.check(name, value))
        self.slots = {name: [None] * len(self.params) for name in self.slot_names}
        self.step_counts = [0] * len(self.params)      # each its own: one that is unfrozen later starts at 0

    @property
    def lr(self):
        return self._lr

    @lr.setter
    def lr(self, value):
        self._lr = self.check("lr", value)

    def __repr__(self):
        """
        >>> from nanoemo import nn, optim
        >>> optim.Adam(nn.Linear(3, 2).parameters(), lr=1e-4)
        Adam(8 numbers in 2 parameters, lr=0.0001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)
        """
        settings = "".join(f", {name}={getattr(self, name)!r}" for name in ("lr", *self.hyper_names))
        count = sum(parameter.size for parameter in self.params)
        return f"{type(self).__name__}({count} numbers in {len(self.params)} parameters{settings})"

    def check(self, name, value, below=math.inf):
        """`value`, if 0 <= value < below; ValueError otherwise."""
        return at_least_zero(self, name, value, below)

    def update(self, device, params, grads, slots, step, lr):
        """Call the kernel: lists of arrays, the lists of their slots, the number of this step, from 1, and the rate."""
        raise NotImplementedError

    def step(self):
        """Change every parameter that has a gradient; the others stay as they are."""
        for device, group in self._groups():
            params = [self.params[i].array for i in group]
            grads = [self.params[i].grad.array for i in group]
            slots = [[self._slot(name, i) for i in group] for name in self.slot_names]
            count = functools.partial(self._count_step, group)
            captured = live.capturing() is not None
            # A captured step asks for its number again at each launch, and that counts it.
            step = live.number(count) if captured else self.step_counts[group[0]] + 1
            self.update(device, params, grads, slots, step, live.number(lambda: self.lr))
            if not captured:            # only now: a step that failed is not counted
                count()
            for i in group:
                self.params[i].changed_in_place()

    def _groups(self):
        """Groups (device, indices) of parameters with a gradient and the same number of steps: one, unless some joined later."""
        groups = {}
        for i, parameter in enumerate(self.params):
            if parameter.grad is not None:
                groups.setdefault((parameter.device, self.step_counts[i]), []).append(i)
        return [(device, group) for (device, _), group in groups.items()]

    def _count_step(self, group):
        """One step more for each parameter of the group; their number of steps."""
        for i in group:
            self.step_counts[i] += 1
        return self.step_counts[group[0]]

    def _slot(self, name, i):
        """What the rule remembers of parameter i under this name, made of zeros when it is first asked for."""
        values, parameter = self.slots[name], self.params[i]
        if values[i] is None:
            if live.capturing():
                raise RuntimeError(f"{type(self).__name__}: parameter {i} has a gradient for the first time in a step that "
                                   f"is being captured; make one step without capture first")
            values[i] = backend.array_module(parameter.array).zeros_like(parameter.array)
        return values[i]

    def zero_grad(self):
        """Forget the gradients, before the next `backward`."""
        for parameter in self.params:
            parameter.zero_grad()

    def state_dict(self):
        """What the next steps depend on, as {name: number or NumPy array}; the arrays are copies.

        "lr" and the optimiser's other settings, such as "weight_decay"; "step_counts", an array with one number a
        parameter; "<slot>.<i>" for each slot of parameter i.
        """
        state = {"lr": self.lr, **{name: np.array(getattr(self, name), np.float64) for name in self.hyper_names},
                 "step_counts": np.array(self.step_counts)}
        for name, values in self.slots.items():
            for i, value in enumerate(values):
                if value is not None:
                    state[f"{name}.{i}"] = np.array(backend.to_device(value, "cpu"))
        return state

    def load_state_dict(self, state):
        """Go on from a `state_dict` of the same kind of optimiser over the same parameters, with its settings.

        Raises ValueError that lists every entry that is missing, unexpected, of a wrong shape or no array of
        numbers; then nothing has been changed.
        """
        must_be_state(state)
        if problems := self._problems(state):
            raise ValueError(f"load_state_dict: the state does not fit this {type(self).__name__} over "
                             f"{len(self.params)} parameters:\n" + "\n".join(problems))
        live.moved()
        self.lr = float(state["lr"])
        for name in self.hyper_names:
            value = np.asarray(state[name]).tolist()
            is_choice = isinstance(getattr(self, name), bool)
            setattr(self, name, bool(value) if is_choice else tuple(value) if isinstance(value, list) else value)
        self.step_counts = [int(count) for count in state["step_counts"]]
        for name, values in self.slots.items():
            for i, parameter in enumerate(self.params):
                value = state.get(f"{name}.{i}")
                if value is not None:
                    value = backend.to_device(np.array(value, parameter.dtype), parameter.device)
                values[i] = value

    def _problems(self, state):
        """Why `load_state_dict` cannot take this state, a line of text for each entry; an empty list where it can."""
        shapes = {f"{name}.{i}": self.params[i].shape for name in self.slots for i in range(len(self.params))}
        shapes |= {"step_counts": (len(self.params),), "lr": ()}
        shapes |= {name: np.shape(getattr(self, name)) for name in self.hyper_names}
        needed = ["lr", *self.hyper_names, "step_counts"]
        if not misfit(state.get("step_counts", 0), shapes["step_counts"]):
            needed += [f"{name}.{i}" for name in self.slots for i, count in enumerate(state["step_counts"]) if count]
        problems = [f"  {name}: unexpected" for name in state if name not in shapes]
        problems += [f"  {name}: missing" for name in needed if name not in state]
        problems += [f"  {name}: expected {problem}" for name, value in state.items()
                     if name in shapes and (problem := misfit(value, shapes[name]))]
        return problems or [f"  {name}: expected a finite number, at least 0, got {np.asarray(state[name]).tolist()!r}"
                            for name in ("lr", *self.hyper_names)
                            if not all(0 <= value < math.inf for value in np.ravel(state[name]))]


def at_least_zero(owner, name, value, below=math.inf):
    """`value`, if 0 <= value < below; else ValueError that names the kind of `owner`."""
    if not isinstance(value, numbers.Real) or not 0 <= value < below:
        limit = "a finite number, at least 0" if below == math.inf else f"at least 0 and below {below}"
        raise ValueError(f"{type(owner).__name__}: {name} must be {limit}, got {value!r}")
    return value


def _checked_params(name, params):
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise TypeError(f"{name}: expected a list of parameters, got {type(params).__name__}; "
                        f"pass model.parameters() or [parameter]")
    params = list(params)
    if not params:
        raise ValueError(f"{name}: there are no parameters to change")
    seen = {}
    for i, parameter in enumerate(params):
        if not isinstance(parameter, Tensor):
            raise TypeError(f"{name}: parameter {i} must be a Tensor, got {type(parameter).__name__}; "
                            f"pass model.parameters()")
        if not parameter.is_leaf:
            raise ValueError(f"{name}: parameter {i} was made by {parameter.node.name}, so it gets no gradient "
                             f"of its own; pass the tensors it was computed from")
        if id(parameter) in seen:
            raise ValueError(f"{name}: parameters {seen[id(parameter)]} and {i} are the same tensor; "
                             f"it would be changed twice")
        seen[id(parameter)] = i
    return params


class SGD(Optimizer):
    """Stochastic gradient descent: p ← p − lr · g; with momentum v ← momentum · v + g, then p ← p − lr · v.

    nesterov: look ahead, g + momentum · v in place of v (Sutskever et al. 2013)
    weight_decay: L2, adds weight_decay · p to g

    >>> from nanoemo import nn, optim
    >>> p = nn.Parameter([1.0])
    >>> (p * p).backward()
    >>> optim.SGD([p], lr=0.25).step()
    >>> p
    Tensor([0.5], requires_grad=True)
    """

    hyper_names = ("momentum", "nesterov", "weight_decay")

    def __init__(self, params, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov looks ahead along the momentum; give momentum > 0")
        self.slot_names = ("velocity",) if momentum else ()
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay)
        self.nesterov = nesterov

    def update(self, device, params, grads, slots, step, lr):
        velocities = slots[0] if slots else [None] * len(params)
        backend.kernel("sgd_step", device)(params, grads, velocities, lr, self.momentum, self.nesterov,
                                           self.weight_decay)


class RMSprop(Optimizer):
    """Each number's gradient divided by the root of a running mean of its squares. Hinton 2012, lecture 6e.

    >>> from nanoemo import nn, optim
    >>> p = nn.Parameter([1.0])
    >>> (p * p).backward()
    >>> optim.RMSprop([p], lr=0.01).step()
    >>> round(p.item(), 4)
    0.9
    """
    slot_names = ("square",)
    hyper_names = ("alpha", "eps", "weight_decay")

    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, eps=eps, weight_decay=weight_decay)
        self.alpha = self.check("alpha", alpha, below=1)

    def update(self, device, params, grads, slots, step, lr):
        backend.kernel("rmsprop_step", device)(params, grads, *slots, lr, self.alpha, self.eps,
                                               self.weight_decay)


class Adam(Optimizer):
    """Running means of the gradient and of its square, corrected for their start at 0.

    Kingma & Ba 2015, algorithm 1. betas: how much of each mean a step keeps
    weight_decay: L2, adds weight_decay · p to the gradient

    >>> from nanoemo import nn, optim
    >>> p = nn.Parameter([1.0])
    >>> (p * p).backward()
    >>> optim.Adam([p], lr=0.1).step()
    >>> round(p.item(), 4)
    0.9
    """
    slot_names = ("mean", "square")
    hyper_names = ("betas", "eps", "weight_decay")
    kernel_name = "adam_step"

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, eps=eps, weight_decay=weight_decay)
        try:
            beta1, beta2 = betas
        except (TypeError, ValueError):
            raise ValueError(f"{type(self).__name__}: betas must be two numbers, such as (0.9, 0.999), got {betas!r}") from None
        self.betas = self.check("betas[0]", beta1, below=1), self.check("betas[1]", beta2, below=1)

    def update(self, device, params, grads, slots, step, lr):
        backend.kernel(self.kernel_name, device)(params, grads, *slots, step, lr, *self.betas, self.eps,
                                                 self.weight_decay)


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr · weight_decay · p, which does not go through the running means.

    Loshchilov & Hutter 2019, algorithm 2.

    >>> from nanoemo import nn, optim
    >>> p = nn.Parameter([1.0])
    >>> (p * p).backward()
    >>> optim.AdamW([p], lr=0.1, weight_decay=0.5).step()
    >>> round(p.item(), 4)
    0.85
    """
    kernel_name = "adamw_step"

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)


BY_NAME = {"sgd": SGD, "momentum": functools.partial(SGD, momentum=0.9),
           "nesterov": functools.partial(SGD, momentum=0.9, nesterov=True),
           "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def build(name, params, **options):
    """An optimiser by its name: "sgd", "momentum" or "nesterov" (SGD with 0.9), "rmsprop", "adam" or "adamw".

    options: its own arguments. ValueError for another name.

    >>> from nanoemo import nn, optim
    >>> type(optim.build("adam", [nn.Parameter([1.0])], lr=1e-4)).__name__
    'Adam'
    >>> optim.build("nesterov", [nn.Parameter([1.0])], lr=1e-2).momentum
    0.9
    """
    if not isinstance(name, str):
        raise TypeError(f"optim.build: expected a name, then the parameters; got {type_of(name)} first")
    if name not in BY_NAME:
        raise ValueError(f"optim: there is no optimiser called {name!r}; {suggest(name, BY_NAME)}")
    return BY_NAME[name](params, **options)
