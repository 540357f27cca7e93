"""One test for a kernel's twin on the GPU: the same numbers as the plain definition in NumPy."""
import numpy as np

from nanoemo import backend, kernels

# Relative to the largest value of a result. float32: some hundred roundings; float64: 10 digits, and so no float32 inside.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-10}


def check_pair(name, *arguments, dys=1, seed=0, tolerance=TOLERANCE, **needs):
    """`<name>_forward(*arguments)` and its backward on the card, against `<name>_forward_plain` and `…_backward_plain`.

    arguments: NumPy arrays (floating ones are tried in both precisions), None, or other options
    dys: how many upstream gradients the backward takes, shaped like as many results of the forward
    """
    plain_forward, plain_backward = (kernels.find(f"{name}_{way}_plain") for way in ("forward", "backward"))
    forward, backward = (kernels.find(f"{name}_{way}", "cuda") for way in ("forward", "backward"))
    for dtype in TOLERANCE:
        rng = np.random.default_rng(seed)
        given = [_cast(argument, dtype) for argument in arguments]
        wanted, cache = _results(plain_forward(*[_copy(a) for a in given]))
        upstream = [rng.normal(size=np.shape(y)).astype(dtype) for y in wanted[:dys]]
        wanted += _tuple(plain_backward(*upstream, cache, **needs))

        def on_card():
            results, cache = _results(forward(*[_upload(a) for a in given]))
            return results + _tuple(backward(*map(_upload, upstream), cache, **needs))

        same_numbers(name, on_card, wanted, dtype, tolerance[dtype])


def same_numbers(name, on_card, wanted, dtype, tolerance):
    """on_card() gives results like `wanted`, of that dtype, and the same bits whatever the order of threads."""
    got = [_download(y) for y in on_card()]
    for i, (ours, theirs) in enumerate(zip(got, wanted, strict=True)):
        assert (ours is None) == (theirs is None), f"{name}: result {i} is {ours}, the definition's is {theirs}"
        if ours is not None:
            assert ours.dtype == dtype, f"{name}: result {i} is {ours.dtype}"
            scale = np.abs(theirs[np.isfinite(theirs)], dtype=np.float64).max(initial=1e-30)
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale, err_msg=f"{name}: result {i}")
    for ours, again in zip(got, threads_turned_round(on_card)):
        np.testing.assert_array_equal(ours, again, err_msg=f"{name}: other bits with the threads in another order")


class Recorded:
    """A step of kernels in a CUDA graph, without `nanoemo.capture`.

    step: function without arguments that returns a sequence of arrays on the card. It runs once as it is, so that its kernels
        are compiled
    """

    def __init__(self, card, step):
        step()
        # A pool of its own keeps what the step frees: in another one somebody else would get it.
        self.default, self.stream, self.pool = card.cuda.get_current_stream(), card.cuda.Stream(non_blocking=True), \
            card.cuda.MemoryPool()
        self.default.synchronize()              # what was uploaded there: the stream would not wait for it
        with card.cuda.using_allocator(self.pool.malloc), self.stream:
            self.stream.begin_capture()
            self.results = step()
            self.graph = self.stream.end_capture()

    def launch(self):
        """The results of one replay, as NumPy's arrays."""
        self.default.synchronize()
        self.graph.launch(self.stream)
        self.stream.synchronize()
        return [backend.to_device(result, "cpu") for result in self.results]


def threads_turned_round(on_card):
    """The results with the threads of each block in the opposite order, where the kernels run on the host."""
    import cupy
    emulated = getattr(cupy, "_device", None)
    if emulated is not None:
        emulated.turned = True
    try:
        return [_download(y) for y in on_card()]
    finally:
        if emulated is not None:
            emulated.turned = False


def _results(returned):
    """(list of the results, cache) of a forward kernel, which has one result or, as lstm, a tuple of them."""
    results, cache = returned
    return _tuple(results), cache


def _tuple(arrays):
    return list(arrays) if isinstance(arrays, (tuple, list)) else [arrays]


def _cast(argument, dtype):
    return argument.astype(dtype) if isinstance(argument, np.ndarray) and argument.dtype.kind == "f" else argument


def _copy(argument):
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def _upload(argument):
    return backend.to_device(argument.copy(), "cuda") if isinstance(argument, np.ndarray) else argument


def _download(result):
    return None if result is None else backend.to_device(result, "cpu")
