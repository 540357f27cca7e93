"""MixUp and CutMix against their definitions in plain loops; labels that follow the images."""
import numpy as np
import pytest

from nanoemo.data import Compose, CutMix, DataLoader, MixOneOf, MixUp, Scale, drawn_faces, one_hot, parse_augment

COUNT, CLASSES = 60, 5


@pytest.fixture
def batch(rng):
    """Images, features and labels."""
    images = rng.uniform(0, 255, (COUNT, 9, 12, 2)).astype(np.float32)
    features = rng.normal(size=(COUNT, 3)).astype(np.float32)
    return (images, features), one_hot(rng.integers(0, CLASSES, COUNT), CLASSES)


def draws(alpha):
    """Partners and λ as a mixing seeded with 7 draws them, and the generator after that."""
    rng = np.random.default_rng(7)
    return rng.permutation(COUNT), rng.beta(alpha, alpha, COUNT), rng


@pytest.mark.parametrize("alpha", [0.2, 1, 8])
def test_mix_up_by_definition(batch, alpha):
    inputs, labels = batch
    partner, share, _ = draws(alpha)
    mixed, mixed_labels = MixUp(alpha)(inputs, labels, np.random.default_rng(7))
    for before, after in zip([*inputs, labels], [*mixed, mixed_labels]):
        wanted = np.stack([share[b] * before[b].astype(float) + (1 - share[b]) * before[partner[b]] for b in range(COUNT)])
        np.testing.assert_allclose(after, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.3, 1])
def test_cut_mix_by_definition(batch, alpha):
    (images, features), labels = batch
    partner, share, rng = draws(alpha)
    rows, columns = rng.integers(0, 9, COUNT), rng.integers(0, 12, COUNT)
    wanted_images, wanted_labels, wanted_features = images.copy(), np.empty(labels.shape), np.empty(features.shape)
    for b in range(COUNT):
        tall, wide = round(9 * np.sqrt(1 - share[b])), round(12 * np.sqrt(1 - share[b]))
        own = 9 * 12
        for row in range(rows[b] - tall // 2, rows[b] - tall // 2 + tall):
            for column in range(columns[b] - wide // 2, columns[b] - wide // 2 + wide):
                if 0 <= row < 9 and 0 <= column < 12:
                    wanted_images[b, row, column] = images[partner[b], row, column]
                    own -= 1
        own /= 9 * 12
        wanted_labels[b] = own * labels[b] + (1 - own) * labels[partner[b]]
        wanted_features[b] = own * features[b] + (1 - own) * features[partner[b]]
    (mixed, mixed_features), mixed_labels = CutMix(alpha)((images, features), labels, np.random.default_rng(7))
    np.testing.assert_array_equal(mixed, wanted_images)
    np.testing.assert_allclose(mixed_labels, wanted_labels, atol=1e-6)
    np.testing.assert_allclose(mixed_features, wanted_features, atol=1e-5)


@pytest.mark.parametrize("mix", [MixUp(0.2), MixUp(0.01), CutMix(1), MixOneOf([MixUp(1), CutMix(1)])], ids=repr)
def test_float32_probabilities_and_input_untouched(batch, mix):
    inputs, labels = batch
    before = [array.copy() for array in (*inputs, labels)]
    mixed, mixed_labels = mix(inputs, labels, np.random.default_rng(7))
    assert {array.dtype for array in (*mixed, mixed_labels)} == {np.dtype(np.float32)}
    assert mixed_labels.min() >= 0
    np.testing.assert_allclose(mixed_labels.sum(axis=1), 1, atol=1e-6)
    for array, copy in zip((*inputs, labels), before):
        np.testing.assert_array_equal(array, copy)
    again, _ = mix(inputs, labels, np.random.default_rng(7))
    np.testing.assert_array_equal(mixed[0], again[0])


def test_alpha_says_how_much_is_mixed():
    """Beta(α, α) has the mean ½ and the variance 1 / (8α + 4)."""
    labels = one_hot(np.zeros(20_000, int), 1)
    own = np.arange(20_000, dtype=np.float32)[:, None]
    for alpha in (0.2, 1, 8):
        seeded = np.random.default_rng(3)
        partner = np.random.default_rng(3).permutation(20_000)
        (mixed,), _ = MixUp(alpha)((own,), labels, seeded)
        difference = own[:, 0] - partner
        apart = np.abs(difference) > 1000                           # where λ can be told from the result
        share = (mixed[:, 0] - partner)[apart] / difference[apart]
        assert share.mean() == pytest.approx(0.5, abs=0.01)
        assert share.var() == pytest.approx(1 / (8 * alpha + 4), rel=0.03)


def test_one_of_several_takes_each(batch):
    inputs, labels = batch
    mix = MixOneOf([lambda *parts: "first", lambda *parts: "second"])
    rng = np.random.default_rng(0)
    taken = [mix(inputs, labels, rng) for _ in range(200)]
    assert 70 < taken.count("first") < 130 and set(taken) == {"first", "second"}


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf")])
def test_alpha_must_be_positive(alpha):
    for mixing in (MixUp, CutMix):
        with pytest.raises(ValueError, match=f"{mixing.__name__}: alpha is {alpha}; expected a number from 0.01"):
            mixing(alpha)


# ---- in the loader --------------------------------------------------------------------------------------------


def loader(**options):
    transforms, mix = parse_augment("flip,rotate,noise,cutout,mixup,cutmix")
    return DataLoader(drawn_faces(50), 16, shuffle=True, seed=5, transform=Compose([*transforms, Scale()]), mix=mix,
                      **options)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_resumed_epoch_gives_the_rest_with_its_labels(start):
    whole = list(loader(prefetch=0).epoch(2))
    rest = list(loader().epoch(2, start))
    assert len(rest) == 4 - start
    for (images, labels), (wanted, wanted_labels) in zip(rest, whole[start:]):
        np.testing.assert_array_equal(images, wanted)
        np.testing.assert_array_equal(labels, wanted_labels)
        assert labels.shape == (len(images), 7) and labels.dtype == np.float32


def test_mixing_leaves_the_transforms_random_numbers_alone():
    """The numbers of the transforms are drawn first, so a run that does not mix is not changed by what mixing draws."""
    mixed, plain = loader(prefetch=0), loader(prefetch=0)
    plain.mix = None
    seen = []
    mixed.mix = lambda inputs, labels, rng: (seen.append(inputs[0]), (inputs, labels))[1]
    for (images, labels), (plain_images, plain_labels) in zip(mixed, plain, strict=True):
        np.testing.assert_array_equal(images, plain_images)
        np.testing.assert_array_equal(labels, one_hot(plain_labels, 7))
    assert len(seen) == 4


def test_a_last_batch_of_one_image_is_mixed_with_itself():
    images, labels = list(DataLoader(drawn_faces(5), 4, mix=MixUp(1)))[1]
    np.testing.assert_allclose(images[0], drawn_faces(5).images[4], atol=1e-4)
    np.testing.assert_allclose(labels.sum(), 1, atol=1e-6)
