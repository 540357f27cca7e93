"""Nothing moves between devices unasked: each family of operations refuses tensors of two devices, and says so."""
import numpy as np
import pytest

from nanoemo import Tensor, nn, ops


def tensor(device, *shape, requires_grad=False):
    return Tensor(np.ones(shape, np.float32), device=device, requires_grad=requires_grad)


HERE, THERE = "cuda", "cpu"
IMAGE, ROWS, VECTOR = (2, 4, 4, 3), (2, 3), (3,)

CALLS = {      # name in the message -> a call with tensors on both devices
    "add": lambda: tensor(HERE, 3) + tensor(THERE, 3),
    "div": lambda: tensor(THERE, 3) / tensor(HERE, 3),
    "maximum": lambda: ops.maximum(tensor(HERE, 3), tensor(THERE, 3)),
    "gt": lambda: tensor(HERE, 3) > tensor(THERE, 3),
    "matmul": lambda: tensor(HERE, 2, 3) @ tensor(THERE, 3, 2),
    "concat": lambda: ops.concat([tensor(HERE, *ROWS), tensor(THERE, *ROWS)]),
    "stack": lambda: ops.stack([tensor(HERE, *ROWS), tensor(THERE, *ROWS)]),
    "getitem": lambda: tensor(HERE, 3)[Tensor([0, 1], device=THERE)],
    "x[...] = value": lambda: tensor(HERE, 3).__setitem__(0, tensor(THERE)),
    "linear": lambda: ops.linear(tensor(HERE, *ROWS), tensor(THERE, 3, 2)),
    "conv2d": lambda: ops.conv2d(tensor(HERE, *IMAGE), tensor(HERE, 3, 3, 3, 2), tensor(THERE, 2)),
    "conv1d": lambda: ops.conv1d(tensor(THERE, 2, 5, 3), tensor(HERE, 3, 3, 2)),
    "conv2d_relu_max_pool2d": lambda: ops.conv2d_relu_max_pool2d(tensor(HERE, *IMAGE), tensor(THERE, 1, 1, 3, 2)),
    "batch_norm": lambda: ops.batch_norm(*(tensor(HERE if k else THERE, *(VECTOR if k else ROWS)) for k in range(5)), True),
    "lstm": lambda: ops.lstm(tensor(HERE, 2, 5, 3), tensor(HERE, 3, 8), tensor(THERE, 2, 8), tensor(HERE, 8)),
    "cross_entropy": lambda: ops.cross_entropy(tensor(HERE, *ROWS), Tensor([0, 1], device=THERE)),
    "mse_loss": lambda: ops.mse_loss(tensor(HERE, 3), tensor(THERE, 3)),
    "binary_cross_entropy": lambda: ops.binary_cross_entropy(tensor(THERE, 3), tensor(HERE, 3)),
    "backward": lambda: (tensor(HERE, 3, requires_grad=True) * 2).backward(tensor(THERE, 3)),
    "data": lambda: setattr(tensor(HERE, 3), "data", np.ones(3, np.float32)),
    "grad": lambda: setattr(nn.Parameter([1.0], device=HERE), "grad", tensor(THERE, 1)),
    "Linear": lambda: nn.Linear(3, 2).to(HERE)(tensor(THERE, *ROWS)),
}


@pytest.mark.parametrize("name", CALLS)
def test_two_devices_are_refused(card, name):
    with pytest.raises(RuntimeError) as caught:
        CALLS[name]()
    message = str(caught.value)
    assert message.startswith({"Linear": "linear"}.get(name, name) + ":")
    assert "'cuda'" in message and "'cpu'" in message and ".to('" in message


def test_what_stays_on_the_device(card):
    x = tensor(HERE, 2, 3, requires_grad=True)
    y = ops.softmax((x * 2 + 1).relu()).sum()
    y.backward()
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).to(HERE)
    assert {y.device, x.grad.device, model(x).device, *(p.device for p in [*model.parameters(), *model.buffers()])} == {HERE}
