"""Is a gradient right? Compare it with what the function itself says."""
import numpy as np

from nanoemo.tensor import Tensor, topological_order

__all__ = ["gradcheck"]


def gradcheck(fn, inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """Compare the gradients of `fn` with central differences, one input value after the other.

        ∂L/∂xᵢ ≈ (L(x + eps·eᵢ) − L(x − eps·eᵢ)) / 2 eps,   L = Σ fn(x) · r

    The fixed random weights r catch errors that a plain sum would let cancel.

    fn: function from tensors to a tensor; must give the same result each time (seed dropout inside it) and leave its inputs alone
    inputs: a tensor or a sequence of them; those with requires_grad are checked, and must be float64. To check a module's
        weights: gradcheck(lambda *weights: model(x), model.parameters()), after model.to(dtype="float64")
    Returns True. Raises AssertionError naming the input, the index and both values where they differ by more than
    atol + rtol · |numerical|; TypeError for inputs or a result that are no tensors, and for float32, whose rounding
    would hide the answer; ValueError where fn gives another result when it is called again.

    >>> import numpy as np
    >>> from nanoemo import Tensor, gradcheck
    >>> x = Tensor(np.array([0.5, -2.0]), requires_grad=True)
    >>> gradcheck(lambda x: x * x, [x])
    True
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"gradcheck: input {i} must be a Tensor, got {type(x).__name__}; "
                            f"make it Tensor(x, requires_grad=True)")
    if not any(x.requires_grad for x in inputs):
        raise ValueError("gradcheck: none of the inputs has requires_grad=True")
    for i, x in enumerate(inputs):
        if x.requires_grad and x.dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} is {x.dtype}; central differences need float64: .to(dtype='float64')")
    inputs = [x if x.is_leaf else Tensor(x.data.copy(), requires_grad=True, device=x.device) for x in inputs]
    gradients, weights = _gradients(fn, inputs)
    for i, (x, gradient) in enumerate(zip(inputs, gradients)):
        if x.requires_grad:
            for index in np.ndindex(x.shape):
                numerical = _slope(lambda: (fn(*inputs).array * weights).sum().item(), x, index, eps)
                _compare(i, index, float(gradient[index]), numerical, atol, rtol)
    return True


def _gradients(fn, inputs):
    """What backward says: the gradient of L for each input, a NumPy array; and the weights r. All `.grad` stay as they were."""
    out = fn(*inputs)
    if not isinstance(out, Tensor):
        raise TypeError(f"gradcheck: fn must return a Tensor, and returned {type(out).__name__}")
    first, again = out.detach().cpu().numpy().copy(), fn(*inputs).detach().cpu().numpy()
    if not np.array_equal(first, again, equal_nan=True):
        raise ValueError("gradcheck: fn gives another result when it is called again; where it draws random numbers call "
                         "nanoemo.manual_seed inside it, and let it change none of its inputs")
    weights = Tensor(np.random.default_rng(0).uniform(0.5, 1.5, out.shape), device=out.device)
    leaves = {id(leaf): leaf for leaf in [*inputs, *topological_order(out)] if leaf.is_leaf}.values()
    before = [leaf.grad for leaf in leaves]
    try:
        for leaf in leaves:
            leaf.grad = None
        out.backward(weights)
        return [np.zeros(x.shape) if x.grad is None else x.grad.cpu().numpy() for x in inputs], weights.array
    finally:
        for leaf, gradient in zip(leaves, before):      # a layer's weights have got one, too
            leaf.grad = gradient


def _slope(loss, x, index, eps):
    """(L(x + eps) − L(x − eps)) / 2 eps for one value of x, which holds other values meanwhile: a module may have x as its
    parameter and not look at what `fn` is given."""
    original, values = x.array, []
    try:
        for step in (eps, -eps):
            x.array = original.copy()
            x.array[index] += step
            values.append(loss())
    finally:
        x.array = original
    return (values[0] - values[1]) / (2 * eps)


def _compare(i, index, analytic, numerical, atol, rtol):
    difference = abs(analytic - numerical)
    if not difference <= atol + rtol * abs(numerical):
        raise AssertionError(f"gradcheck: input {i}, index {index}: backward says {analytic:.8g}, central differences "
                             f"say {numerical:.8g} (difference {difference:.3g})")
