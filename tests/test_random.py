"""The library's random numbers: one seed, and a state that can be saved."""
import pytest

import nanoemo


def test_manual_seed_starts_the_same_numbers_again():
    def draw():
        nanoemo.manual_seed(7)
        return nanoemo.random.generator().random(3).tolist(), nanoemo.random.next_seed()
    assert draw() == draw()


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_manual_seed_refuses_what_is_no_seed(seed):
    with pytest.raises(ValueError, match="manual_seed: expected a non-negative integer"):
        nanoemo.manual_seed(seed)


def test_the_random_state_survives_json():
    import json
    nanoemo.manual_seed(3)
    nanoemo.random.next_seed()
    state = json.loads(json.dumps(nanoemo.random.get_state()))
    expected = nanoemo.random.next_seed()
    nanoemo.random.set_state(state)
    assert nanoemo.random.next_seed() == expected
    with pytest.raises(ValueError, match="random.set_state"):
        nanoemo.random.set_state({"state": 1})
