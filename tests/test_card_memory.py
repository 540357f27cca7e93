"""Where the card is full, the error says what was asked for, who holds what, and what to try."""
import re

import numpy as np
import pytest

import nanoemo
from nanoemo import Tensor, nn, ops, optim
from nanoemo.card_memory import CardMemoryError, bytes_held, out_of_memory_explained
from nanoemo.cli import main
from nanoemo.data import DataLoader, ImageSet
from nanoemo.training import Trainer


@pytest.fixture
def limited(card):
    """A function that limits the pool of this test to what it uses now and so many bytes more.

    Not the default one: a piece that another test has left in it may be large enough for what is to be refused.
    """
    pool = card.cuda.MemoryPool()

    def limit(more):
        pool.free_all_blocks()
        pool.set_limit(size=pool.used_bytes() + more)

    with card.cuda.using_allocator(pool.malloc):
        yield limit


def images(count):
    faces = np.zeros((count, 8, 8, 1), np.uint8)
    return ImageSet(faces, np.arange(count) % 2, ("one", "other"))


def test_trainer_says_who_holds_what(limited, rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1 << 11), nn.ReLU(), nn.Linear(1 << 11, 2)).to("cuda")
    trainer = Trainer(model, optim.Adam(model.parameters()), ops.cross_entropy, DataLoader(images(60), batch_size=20))
    trainer.fit(1)
    trainer.train_loader = DataLoader(images(300), batch_size=300)
    limited(1 << 20)
    with pytest.raises(CardMemoryError) as caught:
        trainer.fit(2)
    message = str(caught.value)
    assert "Out of memory allocating 2,457,600 bytes" in message        # 300 × 2¹¹ numbers of four bytes
    assert re.search(r"in the pool of \d+ captured steps", message)      # other tests may have left some
    for owner, size in held(message).items():
        assert size == (1.0 if owner == "optimisers" else 0.5), owner     # 66·2¹¹ weights; Adam keeps two of each
    assert all(hint in message for hint in ("--batch-size", "nvidia-smi", "free_all_blocks"))


def held(message):
    """{owner: MiB} in the message."""
    words = message.replace(",", "").split()
    return {owner: float(words[words.index(owner) + 1]) for owner in ("parameters", "gradients", "optimisers")}


def test_while_a_step_is_captured(card, rng):
    x = Tensor(rng.normal(size=(64, 64)).astype(np.float32), device="cuda")

    def step(x):
        if nanoemo.live.capturing():
            raise card.cuda.memory.OutOfMemoryError(1 << 20, 0)
        return x.relu()

    captured = nanoemo.capture(step)
    captured(x)
    with pytest.raises(CardMemoryError, match="allocating 1,048,576 bytes"), out_of_memory_explained():
        captured(x)
    assert nanoemo.capture(lambda x: x.relu())(x).shape == x.shape        # the stream is no longer captured


def test_command_says_it_in_one_line(limited, capsys):
    limited(1 << 16)
    assert main(["bench", "chater.dcnn", "--device", "cuda", "--profile", "--batch-size", "2"]) == 2
    err = capsys.readouterr().err
    assert "the card is out of memory" in err and err.count("\n") == 1


def test_of_the_runtime(card):
    class CUDARuntimeError(RuntimeError):
        __module__ = "cupy_backends.cuda.api.runtime"

        def __init__(self, status):
            self.status = status

    with pytest.raises(CardMemoryError), out_of_memory_explained():
        raise CUDARuntimeError(2)
    with pytest.raises(CardMemoryError, match="See with nvidia-smi") as caught, out_of_memory_explained(batches=False):
        raise CUDARuntimeError(2)
    assert "--batch-size" not in str(caught.value)
    with pytest.raises(CUDARuntimeError), out_of_memory_explained():
        raise CUDARuntimeError(1)


def test_bytes_held_counts_captured_steps(card, rng):
    x = Tensor(rng.normal(size=(512, 512)).astype(np.float32), device="cuda")
    captured = nanoemo.capture(lambda x: x * 2 + 1)
    captured(x)
    card.get_default_memory_pool().free_all_blocks()        # as recording does, too
    before = bytes_held()
    captured(x)
    assert bytes_held() >= before + x.array.nbytes
