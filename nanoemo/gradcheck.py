"""Is a gradient right? Compare it with what the function itself says."""
import numpy as np

from nanoemo.tensor import Tensor, topological_order

__all__ = ["gradcheck"]


def gradcheck(fn, inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """Compare the gradients of `fn` with central differences, one input value after the other.

        ∂L/∂xᵢ ≈ (L(x + eps·eᵢ) − L(x − eps·eᵢ)) / 2 eps,   L = Σ fn(x) · r

    The fixed random weights r catch errors that a plain sum would let cancel.

    fn: function from tensors to a tensor; must give the same result each time (seed dropout inside it)
    inputs: a tensor or a sequence of them; those with requires_grad are checked, and must be float64
    Returns True. Raises AssertionError naming the input, the index and both values where they differ by more than
    atol + rtol · |numerical|; TypeError for inputs or a result that are no tensors, and for float32, whose rounding
    would hide the answer.

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
    checked = [i for i, x in enumerate(inputs) if x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: none of the inputs has requires_grad=True")
    for i in checked:
        if inputs[i].dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} is {inputs[i].dtype}; central differences need float64")
    arrays = [x.data.copy() for x in inputs]

    def run():
        return fn(*[Tensor(a.copy(), requires_grad=i in checked) for i, a in enumerate(arrays)])

    leaves = [Tensor(a.copy(), requires_grad=i in checked) for i, a in enumerate(arrays)]
    out = fn(*leaves)
    if not isinstance(out, Tensor):
        raise TypeError(f"gradcheck: fn must return a Tensor, and returned {type(out).__name__}")
    weights = Tensor(np.random.default_rng(0).uniform(0.5, 1.5, out.shape)).to(out.device)
    before = [(leaf, leaf.grad) for leaf in topological_order(out) if leaf.is_leaf]
    out.backward(weights)
    gradients = [leaf.grad for leaf in leaves]
    for leaf, gradient in before:       # a layer's weights have got one, too, which is nothing for an optimiser's next step
        leaf.grad = gradient
    for i in checked:
        analytic = np.zeros(arrays[i].shape) if gradients[i] is None else gradients[i].cpu().numpy()
        for index in np.ndindex(arrays[i].shape):
            numerical = _slope(run, arrays[i], index, eps, weights.array)
            _compare(i, index, float(analytic[index]), numerical, atol, rtol)
    return True


def _slope(run, array, index, eps, weights):
    original = array[index].item()
    values = []
    for step in (eps, -eps):
        array[index] = original + step
        values.append((run().array * weights).sum().item())
    array[index] = original
    return (values[0] - values[1]) / (2 * eps)


def _compare(i, index, analytic, numerical, atol, rtol):
    difference = abs(analytic - numerical)
    if not difference <= atol + rtol * abs(numerical):
        raise AssertionError(f"gradcheck: input {i}, index {index}: backward says {analytic:.8g}, central differences "
                             f"say {numerical:.8g} (difference {difference:.3g})")
