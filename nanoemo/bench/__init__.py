"""Measuring: how long a training step takes, of what it consists, and how that compares with PyTorch.

    steps       one training step of a model of ours, ready to be called again and again
    calls       the kernels that a step calls: their times, shapes and multiplications
    breakdown   the table of those
    twin        the same network, weights included, said in PyTorch's words
    torch_step  one training step of that network in PyTorch
    timing      both in turn, on the same threads; the machine's own rate of multiplying
    memory      each in a process of its own
    report      the table and the JSON file

Nothing here is imported by training.
"""
