"""Features of voices: those of librosa in the paper's order, by formula where that is simple; kept and found again."""
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from nanoemo import data, features
from nanoemo.data.clipset import RATE, ClipSet
from nanoemo.features import extraction, speech

librosa = pytest.importorskip("librosa", reason="librosa is not installed: no features of voices")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def wave():
    return data.drawn_voices(1).wave(0)


def tone(hertz, seconds=1.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_of_a_librosa_that_takes_long_a_line_is_said(tmp_path):
    package = tmp_path / "librosa"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "effects.py").touch()
    (package / "feature.py").write_text("def __getattr__(name):\n    import time\n    time.sleep(0.5)\n")

    def told(patience):
        code = f"from nanoemo.features import extraction; extraction.PATIENCE = {patience}; extraction.require_librosa()"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
        return subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stderr

    assert told(0.1) == extraction.LOADING + "\n" and told(60) == ""


# ---- the numbers ------------------------------------------------------------------------------------------


def test_images_are_no_clips():
    with pytest.raises(TypeError, match="extract: expected a ClipSet, .* got ImageSet; of images .*hog_features"):
        features.extract(data.drawn_faces(2), "mfcc")



def test_the_vector_is_librosas_in_the_papers_order(wave):
    parts = [librosa.feature.zero_crossing_rate(wave), librosa.feature.chroma_stft(y=wave, sr=RATE),
             librosa.feature.mfcc(y=wave, sr=RATE, n_mfcc=20), librosa.feature.rms(y=wave),
             librosa.feature.melspectrogram(y=wave, sr=RATE)]
    assert [len(part) for part in parts] == list(speech.VECTOR_PARTS.values()) and sum(speech.VECTOR_PARTS.values()) == 162
    expected = np.concatenate([part.mean(axis=1) for part in parts])
    vector = features.vector162(wave)
    assert vector.dtype == np.float32 and vector.shape == (162, 1)
    np.testing.assert_allclose(vector[:, 0], expected, rtol=1e-5)


def test_equations_4_and_5():
    """In the middle of a tone of 441 Hz: 882 sign changes a second, and 0.5 / √2."""
    rate, loudness = speech.zero_crossing_rate(tone(441)), speech.rms(tone(441))
    x = tone(441)[10 * speech.HOP - speech.FRAME // 2:][:speech.FRAME]           # the eleventh frame, by the equations
    equation_4 = np.abs(np.diff(np.signbit(x).astype(int) * -2 + 1)).sum() / (len(x) - 1)
    assert rate[10] == pytest.approx(882 / RATE, abs=2 / speech.FRAME)
    assert rate[10] == pytest.approx(equation_4 / 2, rel=0.02)
    assert loudness[10] == pytest.approx(np.sqrt(np.mean(x ** 2)), rel=1e-5) == pytest.approx(0.5 / np.sqrt(2), rel=1e-2)


def test_chroma_names_the_note_in_any_octave():
    for octave in (220, 440, 880):
        assert speech.chroma(speech.power_spectrum(tone(octave)))[:, 20].argmax() == 9          # A


def test_frames_are_those_of_a_clip_at_one_length(wave):
    expected = librosa.feature.mfcc(y=speech.fit_length(wave), sr=RATE, n_mfcc=40).T
    assert features.mfcc_frames(wave).shape == (128, 40, 1)
    np.testing.assert_allclose(features.mfcc_frames(wave)[:, :, 0], expected, rtol=1e-4, atol=1e-3)
    picture = features.log_mel(np.tile(wave, 4))
    assert picture.shape == (128, 128, 1) and picture.max() - picture.min() <= 80.001
    assert features.log_mel(wave).max() - features.log_mel(wave / 10).max() == pytest.approx(20, abs=0.1)    # decibels of power


@pytest.mark.parametrize("samples, first", [(1, 0), (65023, 0), (65024, 0), (65025, 0), (90001, 12488)])
def test_fit_length_keeps_the_middle(samples, first):
    fitted = speech.fit_length(np.arange(samples, dtype=np.float32) + 1)
    kept = fitted[fitted > 0]
    assert len(fitted) == 65024 and np.array_equal(kept, np.arange(first, first + len(kept)) + 1)
    assert len(kept) == min(samples, 65024) and abs(fitted.argmax() - (65024 + len(kept)) // 2) <= 1


@pytest.mark.parametrize("kind", features.OF_CLIPS)
def test_the_shortest_clip_that_is_read_has_features(kind):
    samples = (1000 * tone(220, seconds=0.1)).astype(np.int16)
    clips = ClipSet(samples, np.array([[0, len(samples)]]), np.array([0]), ("sad",))
    clips = data.with_copies(clips, data.parse_changes("noise,shift,stretch=0.5,pitch,stretch+pitch"))
    made = features.extract(clips, kind)
    assert made.features.shape == (6, *features.OF_CLIPS[kind].shape) and np.isfinite(made.features).all()


@pytest.mark.parametrize("make", [lambda clips: features.extract(clips, "vector162"),
                                  lambda clips: features.of_wave(clips.wave(0), "vector162")])
def test_librosa_does_not_warn_of_a_short_clip_and_whoever_calls_still_does(make):
    clips = ClipSet(np.zeros(2000, np.int16), np.array([[0, 2000]]), np.array([0]), ("sad",))
    with warnings.catch_warnings(action="error", category=UserWarning):
        filters = list(warnings.filters)
        make(data.with_copies(clips, data.parse_changes("stretch")))
        assert warnings.filters == filters


# ---- changes ----------------------------------------------------------------------------------------------


def change(wave, text, seed=0):
    return data.changes.changed(wave, text, np.random.default_rng(seed))


def pitch_of(wave):
    return np.median(librosa.yin(wave, fmin=100, fmax=1000, sr=RATE))


def test_noise_is_of_the_size_asked_for():
    added = change(tone(220), "noise=0.1") - tone(220)
    assert 0 < added.std() <= 0.05 and change(tone(220), "noise=0").tolist() == tone(220).tolist()


def test_noise_is_a_share_of_the_loudest_sample():
    spike = np.zeros(20000, np.float32)
    spike[7] = 0.5
    assert change(spike, "noise=0.1")[8:].std() == pytest.approx(change(2 * spike, "noise=0.1")[8:].std() / 2, rel=1e-3)
    loud = np.full(20000, 0.5, np.float32)
    assert change(spike, "noise=0.1")[8:].std() == pytest.approx(change(loud, "noise=0.1").std(), rel=0.02)


def test_shift_loses_nothing():
    moved = change(tone(220), "shift=0.5")
    assert not np.array_equal(moved, tone(220)) and np.array_equal(np.sort(moved), np.sort(tone(220)))


def test_stretch_keeps_the_pitch_and_pitch_the_length():
    stretched, raised = change(tone(220), "stretch=0.3", seed=3), change(tone(220), "pitch=6", seed=3)
    assert abs(len(stretched) / RATE - 1) > 0.02 and pitch_of(stretched) == pytest.approx(220, rel=0.01)
    assert len(raised) == RATE and abs(np.log2(pitch_of(raised) / 220)) > 0.02
    both = change(tone(220), "stretch=0.3+pitch=6", seed=3)
    assert len(both) == len(stretched) and both.dtype == np.float32


def test_changes_are_seeded():
    for text in data.parse_changes(data.changes.EXPERIMENT_2):
        assert np.array_equal(change(tone(220), text), change(tone(220), text))
        assert not np.array_equal(change(tone(220), text), change(tone(220), text, seed=1))


def test_a_change_named_twice_makes_two_copies():
    changes = data.parse_changes("noise,stretch+pitch,noise=0.035,noise")
    assert changes == ["noise=0.035", "stretch=0.2+pitch=2", "noise=0.035 #2", "noise=0.035 #3"]
    samples = np.arange(2000, dtype=np.int16)
    clips = data.with_copies(ClipSet(samples, np.array([[0, 2000]]), np.array([0]), ("sad",)), changes)
    made = features.extract(clips, "vector162", seed=3).features
    assert len(np.unique(made, axis=0)) == 5
    seeds = list(extraction._keys(clips, 3))            # others would change every run that was trained before
    assert seeds[:3] == ["2f1fdf2cfae38c47d4e9768bde82184f", "e51141c0a195570fc490f5529f032952",
                         "5f26fc4a5fe37b01712b1478b232b93c"]


@pytest.mark.parametrize("text, message", [
    ("flip", "unknown 'flip'; voices have noise"), ("noise=loud", "expected a number from 0 to 1 after =, as in noise=0.035"),
    ("stretch=1", "from 0 to 0.9"), ("pitch=-2", "from 0 to 24"), ("noise=nan", "from 0 to 1"), ("noise+", "unknown ''")])
def test_changes_that_there_are_not(text, message):
    with pytest.raises(ValueError, match=message):
        data.parse_changes(text)


# ---- a whole set ------------------------------------------------------------------------------------------


@pytest.fixture
def clips():
    return data.with_copies(data.drawn_voices(3), data.parse_changes("noise,pitch"))


def test_extraction_goes_on_where_it_was_broken_off(clips, monkeypatch):
    expected = features.extract(clips, "vector162").features
    made, make = [], extraction.OF_CLIPS["vector162"].make
    monkeypatch.setenv("NANOEMO_CACHE", str(extraction.cache_folder()) + "-anew")

    def broken(wave):
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(1)
        return make(wave)

    monkeypatch.setitem(extraction.OF_CLIPS, "vector162", extraction.OF_CLIPS["vector162"]._replace(make=broken))
    with pytest.raises(KeyboardInterrupt):
        features.extract(clips, "vector162")
    kept = len(list((extraction.cache_folder() / "features").iterdir()))
    assert 1 <= kept <= 4
    made.clear()
    counted = extraction.OF_CLIPS["vector162"]._replace(make=lambda wave: made.append(1) or make(wave))
    monkeypatch.setitem(extraction.OF_CLIPS, "vector162", counted)
    again = features.extract(clips, "vector162")
    assert np.array_equal(again.features, expected) and len(made) == 9 - kept
    assert again.labels.tolist() == clips.labels.tolist() and again.drawn


def test_features_depend_on_content_settings_and_seed_alone(clips):
    made = features.extract(clips, "vector162").features
    backwards = clips.subset(np.arange(9)[::-1])
    assert np.array_equal(features.extract(backwards, "vector162").features[::-1], made)
    other = features.extract(clips, "vector162", seed=1).features
    assert np.array_equal(other[:3], made[:3]) and not np.isclose(other[3:], made[3:]).all(axis=(1, 2)).any()


def test_damaged_files_are_made_anew(clips):
    made = features.extract(clips, "vector162").features
    files = sorted((extraction.cache_folder() / "features").iterdir())
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:100])
    files[2].write_bytes(np.full(162, np.nan, np.float32).tobytes())
    assert np.array_equal(features.extract(clips, "vector162").features, made)


def test_where_nothing_can_be_kept_it_is_said(clips, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="features cannot be kept in .* set NANOEMO_CACHE"):
        assert len(features.extract(clips.subset([0]), "vector162")) == 1
    with pytest.raises(ValueError, match="kind is 'mffc'; expected one of vector162, mfcc, log_mel"):
        features.extract(clips, "mffc")


def test_standardised_with_the_training_sets_numbers(rng):
    train = rng.normal(3, 2, (50, 6, 4, 1)).astype(np.float32)
    train[:, :, 1] = 7                                            # constant
    each = data.Standardise.fit(train)
    assert each.mean.shape == (6, 4, 1)
    shared = data.Standardise.fit(train, (0, 1))
    z = shared(train, None)
    assert shared.mean.shape == (1, 4, 1) and z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=(0, 1))[:, 0], 0, atol=1e-5)
    np.testing.assert_allclose(z.std(axis=(0, 1))[:, 0], [1, 0, 1, 1], atol=1e-5)
    assert not np.allclose(shared(train[:5] + 1, None).mean(), 0, atol=0.1)


def test_features_keep_what_is_known_of_their_clips():
    clips = replace(data.drawn_voices(4), groups={"subject": np.array(["a", "b", "b", "a"])})
    made = features.extract(clips, "mfcc")
    assert made.groups["subject"].tolist() == ["a", "b", "b", "a"] and made.labels.tolist() == clips.labels.tolist()


def test_features_that_are_no_numbers_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path))
    clips = data.drawn_voices(3)
    kind = extraction.Kind(lambda wave: np.full((162, 1), np.nan if np.array_equal(wave, clips.wave(1)) else 0, np.float32),
                           (162, 1), (0,))
    monkeypatch.setitem(extraction.OF_CLIPS, "vector162", kind)
    with pytest.raises(ValueError, match="clip 1 has features that are not finite numbers"):
        features.extract(clips, "vector162")


def test_the_frames_of_a_clip_share_a_coefficients_mean_and_spread(rng):
    assert extraction.OF_CLIPS["mfcc"].axes == extraction.OF_CLIPS["log_mel"].axes == (0, 1)
    frames = rng.normal([[[0.0], [50.0]]], [[[1.0], [9.0]]], (20, 128, 2, 1)).astype(np.float32)
    z = data.Standardise.fit(frames, (0, 1))(frames, None)
    np.testing.assert_allclose(z.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=(0, 1)), 1, atol=1e-4)


def test_a_feature_that_does_not_change_in_training_is_not_blown_up_in_testing():
    train = np.full((5, 1), 3.0, np.float32)
    assert abs(data.Standardise.fit(train)(train + np.float32(0.01), None)).max() < 0.011
