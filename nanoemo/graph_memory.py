"""The memory that captured steps work in.

The kernels of a CUDA graph know addresses, not arrays. What a step took while it was captured must therefore stay where it
is although Python has let go of it, for as long as the graph may be launched: it comes from a pool that nobody else takes
from, and nothing goes back to the card while there is a graph.

All graphs share the pool. They are launched one after the other, each begins with its inputs and has its results copied out,
so one may write where another one worked: a batch of another size takes hardly more memory than its gradients, which each
graph keeps.
"""
from nanoemo import backend

__all__ = ["NO_MEMORY", "GraphMemory", "graph_memory"]

NO_MEMORY = 2           # cudaErrorMemoryAllocation, and the driver's CUDA_ERROR_OUT_OF_MEMORY

_memory = None


def graph_memory():
    """The `GraphMemory` of this process; RuntimeError where there is no card."""
    global _memory
    if _memory is None:
        _memory = GraphMemory(backend.card_module())
    return _memory


class GraphMemory:
    """pool: CuPy's memory pool, to be used while a step is captured; stream: to capture on

    One stream for all, since a pool keeps apart what was freed on different ones.
    """

    def __init__(self, xp):
        self.cuda = xp.cuda
        self.pool = xp.cuda.MemoryPool(self._from_card)
        self.pool.set_limit(size=0)         # at a limit (CUPY_GPU_MEMORY_LIMIT) a pool gives blocks back by itself
        self.stream = xp.cuda.Stream(non_blocking=True)
        self.graphs = 0                     # how many there are

    def _from_card(self, size):
        """Memory for the pool. A pool that gets a CUDARuntimeError gives back its free blocks, and tries again."""
        try:
            return self.cuda.MemoryPointer(self.cuda.Memory(size), 0)
        except self.cuda.runtime.CUDARuntimeError as error:
            if error.status != NO_MEMORY:
                raise
            raise self.cuda.memory.OutOfMemoryError(size, self.pool.total_bytes()) from None

    def enter(self):
        """There is a graph more."""
        self.graphs += 1

    def leave(self):
        """There is a graph less. After the last one the card gets its memory back."""
        self.graphs -= 1
        if self.graphs == 0:
            self.pool.free_all_blocks()
