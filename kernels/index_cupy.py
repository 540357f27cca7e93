"""What `numpy.add.at` is for the CPU, on the GPU: always in one order, hence with the same bits (index.cu says how)."""
import cupy as cp

from nanoemo.kernels.cuda import CudaFile, each, in_order

__all__ = ["add_at"]

launch = CudaFile("index.cu").launch


def add_at(x, key, values):
    """x[key] += values, once for each time that a place is named. x lies in memory in order; values: as x[key] is."""
    places = cp.arange(x.size).reshape(x.shape)[key].ravel()
    count = places.size
    order = cp.sort(places * count + cp.arange(count))
    launch("add_in_turn", each(count), order, in_order(values), x, count)
