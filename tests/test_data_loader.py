"""DataLoader: order from (seed, epoch), resuming within an epoch, and a thread that always ends."""
import threading
import time
import traceback

import numpy as np
import pytest

from nanoemo.data import Compose, DataLoader, ImageSet, drawn_voices, parse_augment


@pytest.fixture
def numbered():
    """25 images of one pixel that hold their own number."""
    pixels = np.arange(25, dtype=np.uint8)
    return ImageSet(pixels.reshape(25, 1, 1, 1), pixels.astype(np.int64) % 7, tuple("abcdefg"))


def seen(batches):
    return [images[:, 0, 0, 0].astype(int).tolist() for images, _ in batches]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("nanoemo-loader")]


def jitter(images, rng):
    return images + rng.random(images.shape, np.float32)


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_in_order_without_shuffling(numbered, prefetch):
    loader = DataLoader(numbered, 10, prefetch=prefetch)
    assert len(loader) == 3
    batches = list(loader)
    assert seen(batches) == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    for images, labels in batches:
        assert images.dtype == np.float32 and images.shape == (len(labels), 1, 1, 1)
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, images[:, 0, 0, 0] % 7)


def test_drop_last(numbered):
    loader = DataLoader(numbered, 10, drop_last=True)
    assert len(loader) == 2 and [len(labels) for _, labels in loader] == [10, 10]
    assert len(DataLoader(numbered, 5, drop_last=True)) == len(DataLoader(numbered, 5)) == 5


def test_order_is_a_function_of_seed_and_epoch(numbered):
    first, again = (DataLoader(numbered, 4, shuffle=True, seed=9, prefetch=p) for p in (0, 2))
    epochs = [seen(first) for _ in range(3)]
    assert [seen(again.epoch(epoch)) for epoch in (2, 0, 1)] == [epochs[2], epochs[0], epochs[1]]
    for batches in epochs:
        assert sorted(sum(batches, [])) == list(range(25))
    assert len(set(map(str, epochs))) == 3
    assert seen(DataLoader(numbered, 4, shuffle=True, seed=8)) not in epochs


@pytest.mark.parametrize("prefetch", [0, 1, 2])
@pytest.mark.parametrize("start", [0, 1, 4, 7])
def test_resumed_epoch_gives_the_rest_with_its_random_numbers(numbered, start, prefetch):
    options = dict(batch_size=4, shuffle=True, seed=2, transform=jitter)
    whole = list(DataLoader(numbered, **options).epoch(5))
    rest = list(DataLoader(numbered, **options, prefetch=prefetch).epoch(5, start=start))
    assert len(rest) == len(whole) - start
    for (images, labels), (wanted_images, wanted_labels) in zip(rest, whole[start:]):
        np.testing.assert_array_equal(images, wanted_images)
        np.testing.assert_array_equal(labels, wanted_labels)


def test_random_numbers_differ_between_batches_and_epochs():
    same = ImageSet(np.zeros((8, 2, 2, 1), np.uint8), np.zeros(8, np.int64), ("a",))
    loader = DataLoader(same, 4, transform=jitter)
    batches = [images.tobytes() for _ in range(2) for images, _ in loader]
    assert len(set(batches)) == 4


def test_order_is_not_drawn_with_the_numbers_of_a_batch(numbered):
    draws = []

    def note(images, rng):
        draws.append(rng.permutation(25))
        return images

    list(DataLoader(numbered, 25, shuffle=True, transform=note))
    order = sum(seen(DataLoader(numbered, 25, shuffle=True)), [])
    assert draws[0].tolist() != order


def test_batches_handed_out_are_never_written_again(numbered):
    batches = list(DataLoader(numbered, 4, transform=Compose(parse_augment("flip,shift")[0])))
    kept = [images.copy() for images, _ in batches]
    list(DataLoader(numbered, 4, transform=jitter))
    for (images, _), copy in zip(batches, kept):
        np.testing.assert_array_equal(images, copy)
    assert not any(np.shares_memory(a[0], b[0]) for a, b in zip(batches, batches[1:]))


def test_a_batch_may_be_written_to_even_where_the_data_set_gives_out_its_own_memory():
    class Whole:
        features, labels = np.zeros((4, 3), np.float32), np.zeros(4, np.int64)

        def __len__(self):
            return 4

        def __getitem__(self, rows):
            return self.features, self.labels

    for features, _ in DataLoader(Whole(), 4):
        features += 1
    assert not Whole.features.any()


def test_next_batch_is_made_while_this_one_is_used(numbered):
    second_made = threading.Event()
    calls = []

    def note(images, rng):
        calls.append(threading.current_thread().name)
        if len(calls) == 2:
            second_made.set()
        return images

    batches = iter(DataLoader(numbered, 10, transform=note))
    next(batches)
    assert second_made.wait(10), "the second batch was not made ahead"
    time.sleep(0.05)
    assert len(calls) == 2, "more than prefetch=1 batches were made ahead"
    assert all(name.startswith("nanoemo-loader") for name in calls)
    batches.close()


def test_thread_ends_with_the_epoch_and_on_break(numbered):
    list(DataLoader(numbered, 4))
    assert not loader_threads()
    for _ in DataLoader(numbered, 4):
        assert loader_threads()
        break
    assert not loader_threads()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_thread_ends_when_the_consumer_fails(numbered, error):
    with pytest.raises(error):
        batches = DataLoader(numbered, 4).epoch(0)
        for _ in batches:
            raise error
    batches.close()
    assert not loader_threads()


def test_no_thread_before_the_first_batch(numbered):
    batches = iter(DataLoader(numbered, 4))
    assert not loader_threads()
    del batches


@pytest.mark.parametrize("prefetch", [0, 1, 2])
def test_error_in_a_transform_reaches_the_consumer_with_its_traceback(numbered, prefetch):
    def fails_on_the_third(images, rng):
        if images[0, 0, 0, 0] == 8:
            raise ZeroDivisionError("in the third batch")
        return images

    received = []
    with pytest.raises(ZeroDivisionError, match="in the third batch") as error:
        for batch in DataLoader(numbered, 4, transform=fails_on_the_third, prefetch=prefetch):
            received.append(batch)
    assert len(received) == 2
    assert "fails_on_the_third" in [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
    assert not loader_threads()


@pytest.mark.parametrize("transform, error, message", [
    (lambda images, rng: images.astype(np.uint8), TypeError, r"gave uint8; end it with .astype\(np.float32\)"),
    (lambda images, rng: None, TypeError, r"gave NoneType; expected an array, .* \(does it end with return\?\)"),
    (lambda images, rng: [images, images], TypeError, "gave list; expected an array"),
    (lambda images, rng: np.repeat(images, 2, axis=0), ValueError, "made 8 of 4 images"),
])
def test_what_a_transform_must_give(numbered, transform, error, message):
    with pytest.raises(error, match=f"DataLoader: the transform {message}"):
        next(iter(DataLoader(numbered, 4, transform=transform)))


def test_memory_mapped_images_are_not_read_as_a_whole(tmp_path):
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (64, 4, 4, 1))
    faces = ImageSet(images, np.zeros(64, np.int64), ("a",))
    gathered = []

    class Counting:
        labels, images = faces.labels, faces.images

        def __len__(self):
            return 64

        def __getitem__(self, chosen):
            gathered.append(len(chosen))
            return faces[chosen]

    list(DataLoader(Counting(), 16, shuffle=True))
    assert gathered == [16] * 4


@pytest.mark.parametrize("arguments, message", [
    (dict(batch_size=0), "batch_size is 0; expected a whole number of at least 1"),
    (dict(batch_size=4, prefetch=-1), "prefetch is -1"),
    (dict(batch_size=4, seed=-1), "seed is -1"),
    (dict(batch_size=26, drop_last=True), "no batch to give: 25 images, batch_size 26, drop_last True"),
])
def test_bad_arguments(numbered, arguments, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(numbered, **arguments)


def test_another_kind_of_data_set():
    for dataset in ([1, 2, 3], np.zeros((3, 4, 4, 1), np.uint8), drawn_voices(2)):
        with pytest.raises(TypeError, match=f"expected an ImageSet or a FeatureSet, got {type(dataset).__name__}; ImageSet"):
            DataLoader(dataset, 2)


@pytest.mark.parametrize("epoch, start", [(-1, 0), (0, -1), (0, 8)])
def test_bad_place_is_told_at_once(numbered, epoch, start):
    with pytest.raises(ValueError, match=f"epoch {epoch}, start {start}; expected .* from 0 to 7"):
        DataLoader(numbered, 4).epoch(epoch, start)


def test_what_a_transform_draws_hangs_on_the_seed():
    images = ImageSet(np.zeros((8, 4, 4, 1), np.uint8), np.arange(8) % 2, ("a", "b"))

    def drawn(seed, epoch):
        loader = DataLoader(images, 4, seed=seed, transform=lambda x, rng: x + np.float32(rng.random()))
        return [float(batch[0, 0, 0, 0]) for batch, _ in loader.epoch(epoch)]

    assert drawn(0, 0) == drawn(0, 0)
    assert len({*drawn(0, 0), *drawn(1, 0), *drawn(0, 1)}) == 6         # each seed, epoch and step draws for itself
