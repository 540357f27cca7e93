"""A strict stand-in for CuPy, over NumPy's memory, so that code for the GPU runs where there is no card.

It has only what nanoemo uses of CuPy, and only as CuPy has it: nothing becomes a NumPy array unasked, no NumPy array
is taken where an array on the card belongs, reductions give arrays () instead of numbers, matrix products by the
operator are refused (nanoemo calls cuBLAS itself, since CuPy cannot while a stream is captured). Kernels are compiled
for the host and run there. A stream that is captured records instead of computing, and whatever would wait for the
card is counted, and refused during a capture.
"""
import numbers
import sys

import numpy as np

from . import _device
from ._device import enqueue, wait_for_card

float32, float64, int32, int64, uint8, uint64, bool_ = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint64,
                                                        np.bool_)
newaxis, inf, nan = None, np.inf, np.nan
__version__ = "14.0.0+stand.in"


def _host(value):
    """The NumPy array behind a value that CuPy would take, or the value."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, (list, tuple)):
        return type(value)(_host(v) for v in value)
    return value


def _compute(function, *arguments, **options):
    """The result of a NumPy function as a new array on the card."""
    arguments, options = tuple(_host(a) for a in arguments), {k: _host(v) for k, v in options.items()}
    with np.errstate(all="ignore"):
        result = np.asarray(function(*arguments, **options))
    if not result.flags.owndata:
        result = result.copy()
    def again():
        with np.errstate(all="ignore"):
            np.copyto(result, function(*arguments, **options))
    if _device.capturing():
        _device.poison(result)
        enqueue(again)
    else:
        _device.count_launch()
    return ndarray(result)


def _index(key):
    keys = key if isinstance(key, tuple) else (key,)
    if any(isinstance(k, ndarray) and k.dtype == bool for k in keys):
        wait_for_card("a mask as an index")             # CuPy reads back how many are true
    keys = tuple(_host(k) for k in keys)
    return keys if isinstance(key, tuple) else keys[0]


class _Flags:
    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata


class _Memory:
    def __init__(self, array):
        self.ptr = array.ctypes.data


class ndarray:
    __array_ufunc__ = None
    __slots__ = ("_array", "__weakref__")

    def __init__(self, array):
        assert type(array) is np.ndarray
        self._array = array
        _device.allocate(array)
        _device.keep_for_capture(array)

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    dtype = property(lambda self: self._array.dtype)
    itemsize = property(lambda self: self._array.itemsize)
    nbytes = property(lambda self: self._array.nbytes)
    strides = property(lambda self: self._array.strides)
    T = property(lambda self: ndarray(self._array.T))
    flags = property(lambda self: _Flags(self._array.flags))
    data = property(lambda self: _Memory(self._array))
    base = property(lambda self: self._array.base)

    def __array__(self, *arguments, **options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy "
                        "array explicitly.")

    def __array_function__(self, function, *rest):
        raise TypeError(f"numpy.{function.__name__} was called with an array on the card")

    # ---- to the host: each of these waits for the card
    def get(self, stream=None, order="C", out=None, blocking=True):
        if blocking or _device.capturing():
            wait_for_card("get")
        if out is None:
            return self._array.copy()
        source = self._array
        enqueue(lambda: np.copyto(out, source))
        return out

    def item(self):
        wait_for_card("item")
        return self._array.item()

    def tolist(self):
        wait_for_card("tolist")
        return self._array.tolist()

    def __bool__(self):
        wait_for_card("bool")
        return bool(self._array)

    def __float__(self):
        wait_for_card("float")
        return float(self._array)

    def __int__(self):
        wait_for_card("int")
        return int(self._array)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"<on the card: {self._array!r}>"

    # ---- views and copies
    def reshape(self, *shape):
        view = self._array.reshape(*shape)
        return ndarray(view) if np.shares_memory(view, self._array) or not view.size else _compute(np.reshape, self, view.shape)

    def ravel(self):
        return self.reshape(-1)

    def transpose(self, *axes):
        return ndarray(self._array.transpose(*axes))

    def view(self, dtype=None):
        return ndarray(self._array.view() if dtype is None else self._array.view(dtype))

    def swapaxes(self, axis1, axis2):
        return ndarray(self._array.swapaxes(axis1, axis2))

    def nonzero(self):
        wait_for_card("nonzero")
        return tuple(ndarray(np.ascontiguousarray(part)) for part in self._array.nonzero())

    def squeeze(self, axis=None):
        return ndarray(self._array.squeeze(axis))

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return _compute(lambda a: a.astype(dtype), self)

    def copy(self):
        return _compute(np.copy, self)

    def fill(self, value):
        self[...] = value

    def set(self, arr, stream=None):
        if _device.capturing():
            raise RuntimeError("the current stream is capturing, so synchronous API calls are disallowed")
        source, target = np.array(arr), self._array
        enqueue(lambda: np.copyto(target, source))

    def __getitem__(self, key):
        picked = self._array[_index(key)]
        if isinstance(picked, np.ndarray) and np.may_share_memory(picked, self._array):
            return ndarray(picked)
        keys = key if isinstance(key, tuple) else (key,)
        if all(k is None or k is Ellipsis or isinstance(k, (numbers.Integral, slice)) for k in keys):
            # One element is a view (), where NumPy gives a number.
            return ndarray(self._array[keys if any(k is Ellipsis for k in keys) else (*keys, ...)])
        return _compute(lambda a: a[_index(key)], self)

    def __setitem__(self, key, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        key, value, target = _index(key), _host(value), self._array
        enqueue(lambda: target.__setitem__(key, value))

    # ---- reductions
    def _reduce(name, keepdims=True, dtype=False):
        def method(self, axis=None, **options):
            allowed = {"out"} | ({"keepdims"} if keepdims else set()) | ({"dtype"} if dtype else set())
            if set(options) - allowed:
                raise TypeError(f"{name}: unexpected {set(options) - allowed}")
            return _compute(lambda a: getattr(a, name)(axis=axis, **options), self)
        method.takes = ("out", *["keepdims"] * keepdims, *["dtype"] * dtype)
        return method

    sum, mean = _reduce("sum", dtype=True), _reduce("mean", dtype=True)
    max, min, all, any = _reduce("max"), _reduce("min"), _reduce("all"), _reduce("any")
    argmax, argmin = _reduce("argmax", keepdims=False), _reduce("argmin", keepdims=False)
    del _reduce

    def clip(self, min=None, max=None, out=None):
        return sys.modules[__name__].clip(self, min, max, out)

    # ---- operators
    def __matmul__(self, other):
        raise NotImplementedError("a product of matrices: call nanoemo.kernels.blas_cupy.matmul, which can be captured")

    __rmatmul__ = __matmul__


def _operator(name):
    def method(self, other):
        if not isinstance(other, (ndarray, numbers.Number, np.generic)):
            if isinstance(other, np.ndarray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            return NotImplemented
        return _compute(lambda a, b: getattr(a, f"__{name}__")(b), self, other)
    return method


def _in_place(name):
    def method(self, other):
        other, target = _host(other), self._array
        def compute():
            with np.errstate(all="ignore"):
                result = getattr(target, name)(other)
                assert result is target
        enqueue(compute)
        return self
    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
    setattr(ndarray, f"__{_name}__", _operator(_name))
    setattr(ndarray, f"__r{_name}__", _operator(f"r{_name}"))
    setattr(ndarray, f"__i{_name}__", _in_place(f"__i{_name}__"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _operator(_name))
for _name in ("neg", "abs", "invert"):
    setattr(ndarray, f"__{_name}__", lambda self, _name=_name: _compute(lambda a: getattr(a, f"__{_name}__")(), self))
ndarray.__hash__ = None


# ---- making arrays

def _check_source(value):
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) and v.ndim for v in value):
        raise TypeError("a list of NumPy arrays")


def asarray(a, dtype=None, order=None, *, blocking=False):
    if isinstance(a, ndarray) and dtype in (None, a.dtype):
        return a
    return array(a, dtype)


def array(obj, dtype=None, copy=True, order="K", *, blocking=False):
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype)
    _check_source(obj)
    if isinstance(obj, (list, tuple)) and any(isinstance(v, ndarray) for v in obj):
        return sys.modules[__name__].stack([asarray(v) for v in obj])
    if _device.capturing():
        raise RuntimeError("an upload from the host during a capture would be the same at every replay")
    return ndarray(np.array(obj, dtype, order="C"))


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a)


def _made(function):
    def make(*arguments, **options):
        options.pop("order", None)
        result = function(*(_host(a) for a in arguments), **options)
        if _device.capturing() and function not in (np.empty, np.empty_like):
            value = result.copy()
            enqueue(lambda: np.copyto(result, value))
        if function in (np.empty, np.empty_like):
            _device.poison(result)
        return ndarray(result)
    return make


def _c_ordered_like(function):
    """CuPy's …_like keeps an array's order as NumPy's does; strides of views are not kept by either."""
    return _made(function)


empty, zeros, ones, full, arange, eye = map(_made, (np.empty, np.zeros, np.ones, np.full, np.arange, np.eye))
empty_like, zeros_like, ones_like, full_like = map(_c_ordered_like, (np.empty_like, np.zeros_like, np.ones_like, np.full_like))


def ascontiguousarray(a, dtype=None):
    if not isinstance(a, ndarray):
        raise TypeError(f"ascontiguousarray: {type(a)} is no array on the card")
    if a.ndim == 0:                 # CuPy makes (1,) of ()
        return a.reshape(1) if dtype in (None, a.dtype) else a.astype(dtype).reshape(1)
    if a._array.flags.c_contiguous and dtype in (None, a.dtype):
        return a
    return _compute(lambda x: np.array(x, dtype, order="C"), a)


# ---- functions of arrays

def _function(name, *allowed):
    numpy_function = getattr(np, name)

    def function(*arguments, **options):
        if set(options) - set(allowed):
            raise TypeError(f"cupy.{name} does not take {sorted(set(options) - set(allowed))}")
        if not any(isinstance(a, ndarray) or isinstance(a, (list, tuple)) and any(isinstance(b, ndarray) for b in a)
                   for a in arguments):
            raise TypeError(f"cupy.{name}: no argument is an array on the card")
        out = options.pop("out", None)
        if out is None:
            return _compute(numpy_function, *arguments, **options)
        target, given = out._array, tuple(_host(a) for a in arguments)
        def compute():
            with np.errstate(all="ignore"):
                numpy_function(*given, out=target, **options)
        enqueue(compute)
        return out
    function.__name__, function.takes = name, allowed
    return function


for _name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "exp", "log", "sqrt", "abs", "sign",
              "isfinite", "isnan", "negative", "square", "greater", "less", "equal", "tanh"):
    setattr(sys.modules[__name__], _name, _function(_name, "out"))
for _name, *_allowed in (("clip", "out"), ("where",), ("concatenate", "axis"), ("stack", "axis"),
                         ("sum", "axis", "keepdims", "dtype"), ("argmax", "axis"), ("sort",), ("flip", "axis"), ("tile",),
                         ("repeat", "axis"), ("pad", "mode", "constant_values")):
    setattr(sys.modules[__name__], _name, _function(_name, *_allowed))


_concatenate = concatenate     # noqa: F821


def concatenate(tup, axis=0):
    if _device.capturing() and len(tup) > 8:
        raise RuntimeError("an upload of the arrays' addresses during a capture")
    return _concatenate(tup, axis=axis)


class _Add:
    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments, **options):
        return self.function(*arguments, **options)

    def at(self, target, key, values):
        target, key, values = target._array, _index(key), _host(values)
        enqueue(lambda: np.add.at(target, key, values))


add = _Add(add)     # noqa: F821


def _views(name):
    def function(a, /, *arguments, **options):
        result = getattr(np, name)(a._array, *arguments, **options)
        return [ndarray(part) for part in result] if isinstance(result, list) else ndarray(result)
    return function


broadcast_to, moveaxis, transpose, expand_dims, squeeze, split, atleast_2d, reshape, ravel = map(_views, (
    "broadcast_to", "moveaxis", "transpose", "expand_dims", "squeeze", "split", "atleast_2d", "reshape", "ravel"))


def may_share_memory(a, b, max_work=None):
    return np.may_share_memory(a._array, b._array)


def shares_memory(a, b, max_work=None):
    return np.shares_memory(a._array, b._array)


def __getattr__(name):
    raise AttributeError(f"the stand-in for CuPy has no {name!r}; add it as CuPy has it, if nanoemo is to use it")


from . import cuda  # noqa: E402
from ._kernels import RawModule  # noqa: E402, F401


def get_default_memory_pool():
    return cuda._default_pool
