"""Measuring: how long a training step takes, of what it consists, and how that compares with PyTorch.

    steps       one training step of a model of ours, ready to be called again and again
    calls       the kernels that a step calls: their times and shapes
    work        what they cost at least: multiplications, bytes
    breakdown   the table of those
    twin        the same network, weights included, said in PyTorch's words
    torch_step  one training step of that network in PyTorch
    timing      both in turn, on the same threads; the machine's own rate of multiplying
    memory      each in a process of its own
    compare     one model, measured on the CPU
    report      the table and the JSON file

and for the GPU

    on_card         one model: our step plain and captured, PyTorch's eager and captured
    torch_on_card   PyTorch's side of it
    ceilings        the card's own rates of multiplying and copying
    card_report     the table and the JSON file

Nothing here is imported by training.
"""
