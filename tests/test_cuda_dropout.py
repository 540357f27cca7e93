"""dropout_cupy.py and dropout.cu against dropout.py: from one seed, the same mask bit for bit."""
import numpy as np
import pytest

from nanoemo import backend, kernels
from nanoemo.kernels import cuda
from twins import Recorded, check_pair

# around 16 elements a draw, 512 a warp, 2048 a block
SHAPES = [(1,), (15,), (16,), (17,), (511,), (512,), (513,), (2048,), (4097,), (3, 5, 7), (0,), (2, 0)]
SEEDS = [0, 1, 2**63 - 1, 2**64 - 1]


def mask_on_card(count, p, seed):
    y, _ = kernels.find("dropout_forward", "cuda")(backend.to_device(np.ones(count, np.float32), "cuda"), p, seed)
    return backend.to_device(y, "cpu") != 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("p", [0.0, 0.25, 0.9])
def test_pair(card, rng, shape, p):
    check_pair("dropout", rng.normal(size=shape), p, 3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 15, 16, 17, 4097])
def test_mask_is_numpys(card, count, seed):
    wanted = np.random.Philox(key=np.array([seed, 0], np.uint64)).random_raw(-(-count // 4)).view(np.uint16)[:count]
    for p in (0.1, 0.5):
        np.testing.assert_array_equal(mask_on_card(count, p, seed), wanted >= round(65536 * p))


def test_mask_is_numpys_where_the_cpu_takes_several_blocks(card):
    count = 256 * 1024 + 40
    wanted, _ = kernels.find("dropout_forward")(np.ones(count, np.float32), 0.5, 7)
    np.testing.assert_array_equal(mask_on_card(count, 0.5, 7), wanted != 0)


@pytest.mark.parametrize("count", [0, 1, 2**31 - 1, 2**32 + 5, 2**63])
@pytest.mark.parametrize("seed", SEEDS)
def test_words_at_a_large_offset(card, tmp_path, count, seed):
    """Of the generator itself: no array in a test is long enough to count so far."""
    (tmp_path / "words.cu").write_text(f'#include "{cuda.FOLDER / "dropout.cu"}"\n'
                                       'extern "C" __global__ void words(uint64 count, LiveSeed seed, uint64* word)\n'
                                       '{ philox(count + 1, seed.get(), word); }\n')
    words = card.zeros(4, card.uint64)
    cuda.CudaFile(tmp_path / "words.cu").launch("words", ((1,), (1,)), count, seed, words)
    wanted = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=count).random_raw(4)
    np.testing.assert_array_equal(backend.to_device(words, "cpu"), wanted)


def test_a_seed_on_the_card_is_read_when_the_kernel_runs(card, rng):
    """As in a captured step: what the seed is at the launch counts, not what it was at the capture."""
    x = rng.normal(size=100)
    on_card, seed = backend.to_device(x, "cuda"), backend.to_device(np.array(5, np.uint64), "cuda")
    forward, backward = (kernels.find(f"dropout_{way}", "cuda") for way in ("forward", "backward"))

    def step():
        y, cache = forward(on_card, 0.5, seed)
        return y, backward(on_card, cache)

    recorded = Recorded(card, step)
    for value in (5, 2**64 - 2):
        seed.fill(value)
        wanted, _ = kernels.find("dropout_forward")(x, 0.5, value)
        for got in recorded.launch():                       # the backward of x is its forward
            np.testing.assert_allclose(got, wanted, rtol=1e-15)


def test_views_are_read_right(card, rng):
    x = rng.normal(size=(6, 8))
    y, _ = kernels.find("dropout_forward", "cuda")(backend.to_device(x, "cuda").T, 0.5, 1)
    wanted, _ = kernels.find("dropout_forward")(x.T, 0.5, 1)
    np.testing.assert_allclose(backend.to_device(y, "cpu"), wanted, rtol=1e-15)


def test_nothing_is_kept_but_the_seed(card):
    x = backend.to_device(np.ones(8), "cuda")
    assert kernels.find("dropout_forward", "cuda")(x, 0.5, 9)[1] == (0.5, 9)
    assert kernels.find("dropout_forward", "cuda")(x, 0.0, 9)[0] is x


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_p_outside_the_range(card, p):
    with pytest.raises(ValueError, match="dropout: p must be at least 0 and below 1"):
        kernels.find("dropout_forward", "cuda")(backend.to_device(np.ones(3), "cuda"), p, 0)
