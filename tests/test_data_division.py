"""Dividing: what belongs together stays together, every class is shared out, and who asks for less is warned."""
import warnings

import numpy as np
import pytest

from nanoemo import data
from nanoemo.data import DataError, ImageSet
from nanoemo.data.division import held_out


@pytest.fixture
def films(rng):
    """900 images: 60 people, five films of each, three frames of each; every pixel value is the frame's number."""
    frames = np.arange(900)
    images = np.broadcast_to((frames % 256).astype(np.uint8)[:, None, None, None], (900, 2, 2, 1))
    labels = np.repeat(rng.integers(0, 5, 300), 3)
    names = {"subject": np.array([f"S{n // 15:02}" for n in frames]), "sequence": np.array([f"F{n // 3}" for n in frames])}
    return ImageSet(images, labels, tuple("abcde"), name="films", groups=names)


@pytest.mark.parametrize("how, kept", [("", ("subject", "sequence")), ("subject", ("subject", "sequence")),
                                       ("sequence", ("sequence",))])
def test_a_group_stays_on_one_side(films, how, kept):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = data.divide(films, how)
    for group in kept:
        for other in ("validation", "test"):
            assert data.unseen(splits["train"], splits[other])[group].all()
        assert not set(splits["validation"].groups[group]) & set(splits["test"].groups[group])


@pytest.mark.filterwarnings("ignore:the random division")
@pytest.mark.parametrize("how", ["random", "sequence", "subject"])
def test_every_image_once_and_every_class_shared_out(films, how):
    splits = data.divide(films, how)
    names = np.concatenate([part.groups["sequence"] for part in splits.values()])
    assert sorted(names) == sorted(films.groups["sequence"])
    total = np.array(list(films.counts().values()))
    for split, share in {"train": 0.70, "validation": 0.15, "test": 0.15}.items():
        np.testing.assert_allclose(list(splits[split].counts().values()) / total, share, atol=0.04, err_msg=split)


@pytest.mark.parametrize("how", ["sequence", "subject"])
def test_the_seed_alone_decides(films, how):
    one, again, other = (data.divide(films, how, seed)["test"].groups["sequence"].tolist() for seed in (0, 0, 1))
    assert one == again != other


def test_at_random_films_are_torn_apart_and_that_is_said(films):
    with pytest.warns(UserWarning, match="images of one sequence on both sides.*dividing by subject does not"):
        splits = data.divide(films, "random")
    known = (~data.unseen(splits["train"], splits["test"])["sequence"]).sum()
    assert f"Of {len(splits['test'])} test images {known} are of a sequence that is also trained on" in splits["test"].note


def test_at_random_equal_images_stay_together():
    pixels = np.arange(40, dtype=np.uint8).repeat(3)[np.random.default_rng(0).permutation(120)]
    images = data.ImageSet(pixels.reshape(-1, 1, 1, 1), pixels.astype(np.int64) % 2, ("even", "odd"))
    splits = [set(split.images.ravel().tolist()) for split in data.divide(images, "random").values()]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 40 and all(splits)


def test_at_random_without_groups_there_is_nothing_to_say(films):
    bare = ImageSet(films.images, films.labels, films.class_names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = data.divide(bare)
    assert splits["train"].note == "Divided at random (seed 0)."
    assert data.unseen(splits["train"], splits["test"]) == {}


@pytest.mark.parametrize("how, error, message", [
    ("subjects", ValueError, "split_by is 'subjects'; expected random, subject, sequence, or one group"),
    ("random=3", ValueError, "split_by is 'random=3'"),
    ("subject=", ValueError, "split_by is 'subject='"),
    ("subject=S99", DataError, "there is no subject 'S99'; there are 60, such as S00, S01"),
])
def test_bad_ways_to_divide(films, how, error, message):
    with pytest.raises(error, match=message):
        data.divide(films, how)


def test_the_note_is_of_what_the_limit_leaves(films):
    with pytest.warns(UserWarning, match="on both sides"):
        splits = data.divide(films, "random", limit=150)
    test = splits["test"]
    known = len(test) - int(data.unseen(splits["train"], test)["sequence"].sum())
    assert len(splits["train"]) == 150 and 0 < known < len(test) <= 150
    assert f"Of {len(test)} test images {known} are of a sequence that is also trained on" in test.note


def test_too_little_to_divide(films):
    with pytest.raises(DataError, match="2 subjects cannot be divided .* none would be left for test; .*: --split-by random"):
        data.divide(films.subset(slice(30)))
    with pytest.raises(DataError, match="^1 subject cannot be divided"):
        data.divide(films.subset(slice(15)))
    bare = ImageSet(films.images[:2], films.labels[:2], films.class_names)
    with pytest.raises(DataError, match="2 images cannot be divided"):
        data.divide(bare)
    with pytest.raises(DataError, match="nothing tells the subject of the images.*expected random"):
        data.divide(bare, "subject")
    with pytest.raises(DataError, match="nothing tells the subject of the images, so none can be left out"):
        next(data.leave_one_out({"train": bare}))


def test_held_out_is_a_tenth_of_each_class_and_always_the_same():
    labels = np.repeat([0, 1, 2, 3], [200, 30, 2, 1])
    chosen = held_out(labels)
    assert np.bincount(labels[chosen], minlength=4).tolist() == [20, 3, 1, 0]
    np.testing.assert_array_equal(chosen, held_out(labels))
    assert not held_out(labels[:0]).any()


def test_leaving_one_out_divides_the_others_by_the_seed():
    images = ImageSet(np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1) * np.ones((1, 8, 8, 1), np.uint8), np.arange(60) % 2,
                      ("a", "b"), groups={"subject": np.repeat(list("uvwxyz"), 10)})

    def validated(seed):
        return [splits["validation"][:][0][:, 0, 0, 0].tolist() for _, splits in data.leave_one_out({"all": images}, seed=seed)]

    assert validated(0) == validated(0)
    assert len({str(validated(seed)) for seed in range(5)}) > 1


def test_the_seed_also_chooses_what_a_limit_leaves(films, monkeypatch):
    asked, take = [], ImageSet.take
    monkeypatch.setattr(ImageSet, "take", lambda images, n, seed=0: asked.append((n, seed)) or take(images, n, seed))
    data.divide(films, seed=3, limit=5)
    assert asked == [(5, 3)] * 3


@pytest.mark.parametrize("images, held", [(16, 2), (14, 1), (2, 1), (1, 0)])
def test_the_share_that_is_held_out_is_rounded(images, held):
    assert held_out(np.zeros(images, int)).sum() == held
