"""Clips of voices: names in the published layouts, sets of them, combining, dividing; voices made by formula."""
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nanoemo import data
from nanoemo.data import changes, voices
from nanoemo.data.speech import SCHEMES, find_scheme
from sounds import tone, write


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path_factory.mktemp("cache")))


# ---- names ------------------------------------------------------------------------------------------------

NAMES = {      # layout as it is published -> (title, speaker, emotions told)
    "emodb": ("EMO-DB", {"03", "16"},
              {"wav/03a01Wa.wav": "angry", "wav/03a02Lb.wav": "boredom", "wav/03b03Ea.wav": "disgust",
               "wav/16a04Ab.wav": "fear", "wav/16b09Fc.wav": "happy", "wav/16b10Td.wav": "sad", "wav/16a05Nd.wav": "neutral"}),
    "savee": ("SAVEE", {"DC", "KL"},
              {"AudioData/DC/a01.wav": "angry", "AudioData/DC/d01.wav": "disgust", "AudioData/DC/f15.wav": "fear",
               "AudioData/KL/h01.wav": "happy", "AudioData/KL/n30.wav": "neutral", "AudioData/KL/sa01.wav": "sad",
               "AudioData/KL/su01.wav": "surprise"}),
    "savee-flat": ("SAVEE", {"JE", "JK"}, {"JE_a01.wav": "angry", "JE_sa02.wav": "sad", "JK_su03.wav": "surprise"}),
    "cremad": ("CREMA-D", {"1001", "1091"},
               {"AudioWAV/1001_DFA_ANG_XX.wav": "angry", "AudioWAV/1001_IEO_DIS_HI.wav": "disgust",
                "AudioWAV/1001_IEO_FEA_LO.wav": "fear", "AudioWAV/1091_IEO_HAP_MD.wav": "happy",
                "AudioWAV/1091_TIE_NEU_XX.wav": "neutral", "AudioWAV/1091_TIE_SAD_X.wav": "sad"}),
    "ravdess": ("RAVDESS", {"01", "24"},
                {"Actor_01/03-01-01-01-01-01-01.wav": "neutral", "Actor_01/03-01-02-01-01-01-01.wav": "calm",
                 "Actor_01/03-01-03-02-02-02-01.wav": "happy", "Actor_01/03-01-04-01-01-01-01.wav": "sad",
                 "Actor_24/03-01-05-01-01-01-24.wav": "angry", "Actor_24/03-01-06-01-01-01-24.wav": "fear",
                 "Actor_24/03-01-07-01-01-01-24.wav": "disgust", "Actor_24/03-01-08-01-01-01-24.wav": "surprise"}),
}


@pytest.mark.parametrize("layout", NAMES)
def test_published_layouts(layout, tmp_path):
    title, speakers, told = NAMES[layout]
    for name in told:
        write(tmp_path / layout / name)
    clips = data.read_clips(tmp_path / layout)
    assert clips.name == title and set(clips.groups["subject"]) == speakers
    assert Counter(clips.class_names[label] for label in clips.labels) == Counter(told.values())
    assert {entry.name: entry.emotion for entry in find_scheme(list(told))[1]} == told
    scheme, = (scheme for scheme in SCHEMES if scheme.title == title)
    assert set(clips.class_names) == set(scheme.emotions.values())


def test_names_that_do_not_parse_are_counted(tmp_path):
    for name in ("DC_a01.wav", "DC_sa01.wav", "DC_x01.wav", "XX_a01.wav", "notes.wav"):
        write(tmp_path / name)
    (tmp_path / "readme.txt").write_text("no recording: not spoken of")
    with pytest.warns(UserWarning, match=r"SAVEE: Left out 3 files: 3 with names unlike DC_a01.wav \(DC_x01.wav, XX_a01.wav"):
        clips = data.read_clips(tmp_path)
    assert clips.counts()["angry"] == clips.counts()["sad"] == 1 and "Left out 3" in clips.note


def test_one_recording_in_two_places_is_taken_once():
    names = ["AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_SAD_XX.wav"]
    scheme, entries, left_out = find_scheme(names)
    assert scheme.title == "CREMA-D" and [entry.name for entry in entries] == names[1:]
    assert left_out == {"further copies of one recording": names[:1]}
    assert not find_scheme(["03-02-06-01-02-01-12.wav"])[1]                  # RAVDESS: song
    assert find_scheme(["03-01-09-01-02-01-12.wav", "1001_DFA_ANG.wav", "AudioData/AB/a01.wav"])[0] is None


def test_songs_are_called_songs(tmp_path):
    speech, song, other = "03-01-06-01-02-01-12.wav", "03-02-06-01-02-01-12.wav", "03-03-06-01-02-01-12.wav"
    for name in (speech, "03-01-05-01-02-01-12.wav", song, "03-02-05-01-02-01-12.wav", other):
        write(tmp_path / name)
    with pytest.warns(UserWarning, match=r"RAVDESS: Left out 3 files: 2 of song, not of speech \(03-02-05-.*, 03-02-06-.*\); "
                                         r"1 with names unlike 03-01-06-01-02-01-12.wav \(03-03-06-"):
        assert len(data.read_clips(tmp_path)) == 2
    assert find_scheme([speech, song])[2] == {"of song, not of speech": [song]}


def test_ones_own_clips_may_be_called_as_those_of_a_known_set():
    own = [f"{emotion}/{take}.wav" for emotion in ("angry", "sad") for take in ("1", "2", "03a01Fa")]
    assert find_scheme(own)[0] is None
    assert find_scheme([f"wav/{name.rpartition('/')[2]}" for name in own])[0].title == "EMO-DB"         # one folder tells nothing


@pytest.mark.parametrize("path", ["here+", "+here", "one++two"])
def test_a_plus_joins_two_paths(path):
    with pytest.raises(data.DataError, match="expected a path on both sides of each +"):
        data.load_clips(path)


def test_a_folder_for_each_class(tmp_path):
    for name in ("Anger/one.wav", "Anger/two.flac", "laughter/one.wav", "sadness/x.ogg"):
        write(tmp_path / "mine" / name)
    clips = data.read_clips(tmp_path / "mine")
    assert clips.name == "mine" and clips.counts() == {"angry": 2, "sad": 1, "laughter": 1} and not clips.groups


def test_a_class_without_a_usable_clip_is_said(tmp_path):
    for name in ("anger/one.wav", "sad/one.wav"):
        write(tmp_path / "mine" / name)
    write(tmp_path / "mine" / "joy" / "one.wav", np.zeros(8000))
    (tmp_path / "mine" / "calm").mkdir()
    for _ in range(2):                                           # the second time from the cache
        with pytest.warns(UserWarning, match="1 silent .*Class calm has no .*Class happy has no usable example and is left"):
            clips = data.read_clips(tmp_path / "mine")
        assert clips.class_names == ("angry", "sad") and "Class happy has no usable example" in clips.note
    shutil.rmtree(tmp_path / "mine" / "sad")
    with pytest.raises(data.DataError, match="one class only, 'angry', .* Class happy has no usable example"):
        data.read_clips(tmp_path / "mine")


def test_files_of_other_kinds_are_counted(tmp_path):
    for name in ("anger/one.wav", "sad/one.wav"):
        write(tmp_path / "mine" / name)
    for name in ("anger/two.m4a", "README.txt"):
        (tmp_path / "mine" / name).write_text("?")
    for _ in range(2):                                           # the second time from the cache
        with pytest.warns(UserWarning, match=r"Not read, as they are of other kinds: 1 file \(1 \.m4a\)\.$"):
            clips = data.read_clips(tmp_path / "mine")
        assert len(clips) == 2 and "(1 .m4a)" in clips.note


def test_a_class_without_a_clip_to_train_on_is_said(tmp_path):
    for speaker, codes in (("03", "WF"), ("08", "WF"), ("09", "WFT"), ("16", "WF")):
        for code in codes:
            write(tmp_path / "emodb" / f"{speaker}a01{code}a.wav")
    with pytest.warns(UserWarning, match="EMO-DB: the training part has no example of disgust, fear, sad, neutral, boredom"):
        data.load_clips(tmp_path / "emodb", split_by="subject=09")


@pytest.mark.parametrize("names, message", [
    ([], "no recordings in it: no files"),
    (["a/one.txt"], "no recordings in it: 1 files, such as a/one.txt"),
    (["one.wav"], "neither its name nor its folder tells the emotion; expected a folder for each class"),
    (["a/one.wav", "a/two.wav"], "one class only, 'a'"),
    (["a/one.wav", "b/c/two.wav"], "two.wav: neither its name nor its folder"),
])
def test_folders_without_a_data_set(names, message, tmp_path):
    (tmp_path / "set").mkdir()
    for name in names:
        path = tmp_path / "set" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"")
    with pytest.raises(data.DataError, match=message):
        data.read_clips(tmp_path / "set")


# ---- sets -------------------------------------------------------------------------------------------------


def test_a_clip_set_checks_what_it_is_given():
    good = dict(samples=np.zeros(10, np.int16), spans=np.array([[0, 5], [5, 10]]), labels=np.array([0, 1]),
                class_names=("a", "b"))
    for wrong, message in [({"samples": np.zeros(10)}, "samples of dtype int16"),
                           ({"spans": np.array([0, 5])}, r"spans of dtype int64 and shape \(N, 2\)"),
                           ({"spans": np.array([[0, 5], [5, 11]])}, "there are 10 samples"),
                           ({"labels": np.array([0, 2])}, "there are 2 classes"),
                           ({"labels": np.array([0])}, "one for each of the clips"),
                           ({"groups": {"subject": np.array(["x"])}}, "a subject for each of 2 clips")]:
        with pytest.raises(ValueError, match=message):
            data.ClipSet(**{**good, **wrong})


def test_a_zip_is_the_folder_it_holds(tmp_path):
    for name in ("DC_a01.wav", "DC_h02.wav"):
        write(tmp_path / "set" / name, np.random.default_rng(len(name)).normal(0, 0.1, 5000))
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "set").iterdir():
            archive.write(path, f"AudioData/{path.name}")
    folder, zipped = data.read_clips(tmp_path / "set"), data.read_clips(tmp_path / "set.zip")
    assert np.array_equal(folder.samples, zipped.samples) and np.array_equal(folder.labels, zipped.labels)


def test_the_cache_answers_without_the_files_being_decoded(tmp_path, monkeypatch):
    write(tmp_path / "set" / "DC_a01.wav")
    first = data.read_clips(tmp_path / "set")
    monkeypatch.setattr(data.clips, "read_recordings", lambda *_: pytest.fail("decoded again"))
    shutil.move(tmp_path / "set", tmp_path / "elsewhere")
    assert np.array_equal(data.read_clips(tmp_path / "elsewhere").samples, first.samples)


def two_sets():
    one = data.ClipSet(np.arange(60, dtype=np.int16), np.arange(6)[:, None] * 10 + [0, 10], np.array([0, 0, 1, 1, 2, 2]),
                       ("angry", "happy", "boredom"), name="one", groups={"subject": np.array(list("ABABAB"))})
    other = data.ClipSet(np.arange(100, 140, dtype=np.int16), np.arange(4)[:, None] * 10 + [0, 10], np.array([0, 1, 1, 2]),
                         ("happiness", "surprise", "calm"), name="other", groups={"subject": np.array(list("AACC"))})
    return one, other


def test_combining_brings_classes_to_common_names():
    both = data.combine(two_sets(), {"calm": "neutral", "boredom": None})
    assert both.class_names == ("angry", "happy", "surprise", "neutral")
    assert both.counts() == {"angry": 2, "happy": 3, "surprise": 2, "neutral": 1} and both.name == "one + other"
    assert both.groups["subject"].tolist() == ["one A", "one B", "one A", "one B", "other A", "other A", "other C", "other C"]
    assert (both.wave(5) * 32768).tolist() == list(range(110, 120))
    with pytest.raises(ValueError, match="no class calmness; there are angry"):
        data.combine(two_sets(), {"calmness": None})


def many(folder, count=12):
    for emotion in ("happy", "sad"):
        for number in range(count):
            write(folder / emotion / f"{number}.wav", tone(0.2 + 0.01 * number, pitch=200 + 10 * number))
    return folder


def lengths(clips):
    return clips.seconds.round(3).tolist()


def test_the_seed_decides_on_drawing_dividing_and_keeping(tmp_path):
    path = many(tmp_path / "mine")
    drawn = [data.load_clips(limit=7, seed=seed)["train"] for seed in (0, 1)]
    assert not np.array_equal(drawn[0].wave(0), drawn[1].wave(0))
    divided = [lengths(data.load_clips(path, seed=seed)["test"]) for seed in (0, 1)]
    assert divided[0] != divided[1]
    with pytest.warns(UserWarning, match="on both sides"):
        copied = [lengths(data.load_clips(path, split_by="copies", changes=["noise"], seed=seed)["test"]) for seed in (0, 1)]
    assert copied[0] != copied[1]
    few = data.load_clips(path, limit=4, seed=1)["train"]
    assert lengths(few) == lengths(data.load_clips(path, seed=1)["train"].take(4, 1)) != lengths(
        data.load_clips(path, seed=1)["train"].take(4, 0))


def test_two_folders_of_one_name_are_two_sets(tmp_path):
    one, other = many(tmp_path / "a" / "mine", 2), many(tmp_path / "b" / "mine", 3)
    assert {name: len(clips) for name, clips in data.clips.read_sets(f"{one}+{other}").items()} == {str(one): 4, str(other): 6}


def test_the_folder_one_is_in_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(many(tmp_path / "mine", 1))
    assert data.read_clips(".").name == "mine"


def test_what_was_said_of_a_set_is_said_of_the_combination(tmp_path):
    write(tmp_path / "set" / "DC_a01.wav", tone(rate=8000), 8000)
    one = data.read_clips(tmp_path / "set")
    assert "SAVEE: 1 clips. Recorded at 8,000 Hz mono" in data.combine([one, two_sets()[0]]).note


def test_a_folder_may_have_a_plus_in_its_name_and_hold_other_files(tmp_path):
    folder = many(tmp_path / "mine+yours", 2)
    (folder / "notes.txt").write_text("none of them")
    assert list(data.clips.read_sets(folder)) == ["mine+yours"] and data.clips.holds_recordings(folder)


def test_where_one_set_does_not_tell_the_speakers_their_combination_does_not():
    one, other = two_sets()
    with pytest.warns(UserWarning, match=f"{one.name} tells who speaks, {other.name} does not.* the accuracy will be too good"):
        assert data.combine([one, replace(other, groups={})]).groups == {}


def test_copies_of_a_clip_stay_on_its_side():
    clips = data.with_copies(data.drawn_voices(70), data.parse_changes("noise,pitch"))
    splits = data.divide(clips, "sequence", seed=3)
    recordings = {name: set(part.groups["sequence"]) for name, part in splits.items()}
    assert all(recordings.values()) and not recordings["train"] & (recordings["validation"] | recordings["test"])
    assert all(len(part) == 3 * len(recordings[name]) for name, part in splits.items())


def test_copied_before_divided_a_clip_is_on_both_sides(tmp_path):
    """The mistake that `split_by="copies"` makes on purpose, and nothing else does."""
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: no recordings are read")
    for name in ("happy", "sad"):
        (tmp_path / name).mkdir()
        for number in range(15):
            wave = np.random.default_rng([number, name == "sad"]).normal(0, 0.1, 4000)
            soundfile.write(tmp_path / name / f"{number}.wav", wave, 8000)
    changes = data.parse_changes("noise,shift")
    with pytest.warns(UserWarning, match="puts clips of one sequence on both sides"):
        splits = data.load_clips(tmp_path, split_by="copies", changes=changes)
    assert sum(map(len, splits.values())) == 90 and "Copies of each clip, before the clips were divided" in splits["test"].note
    assert set(splits["test"].changes) == {"", *changes}
    assert set(splits["test"].groups["sequence"]) & set(splits["train"].groups["sequence"])
    splits = data.load_clips(tmp_path, split_by="random", changes=changes)
    assert len(splits["train"]) == 3 * (30 - len(splits["validation"]) - len(splits["test"]))
    with pytest.raises(ValueError, match="no copies are made; name some"):
        data.load_clips(tmp_path, split_by="copies")
    with pytest.raises(data.DataError, match="copies of clips would be tested on; leave one out first"):
        list(data.leave_one_out({name: replace(part, groups={**part.groups, "subject": np.repeat("A", len(part))})
                                 for name, part in splits.items()}))


def test_made_voices_are_made_once(tmp_path, monkeypatch):
    """For each seed, also by the processes that follow, until the code that makes them is another."""
    made = []

    def voice(emotion, rng):
        made.append(emotion)
        return np.full(len(emotion), rng.random(), np.float32)

    monkeypatch.setattr(voices, "voice", voice)
    first, other, again = (data.load_clips(seed=seed) for seed in (0, 1, 0))
    assert len(made) == 2 * (350 + 105 + 105)
    for split, seed in (("train", 0), ("validation", 1), ("test", 2)):
        clips = again[split]
        anew = data.drawn_voices(len(clips), seed)
        assert clips.drawn and clips.note == anew.note and clips.labels.tolist() == anew.labels.tolist()
        assert np.array_equal(clips.samples, anew.samples) and np.array_equal(clips.spans, anew.spans)
        assert np.array_equal(clips.samples, first[split].samples) and not np.array_equal(clips.samples, other[split].samples)
    made.clear()
    (tmp_path / "voices.py").write_text(Path(voices.__file__).read_text() + "# changed\n")
    monkeypatch.setattr(voices, "__file__", str(tmp_path / "voices.py"))
    data.load_clips()
    data.load_clips()
    assert len(made) == 350 + 105 + 105


def test_made_voices_depend_on_seed_and_place_alone():
    few, more, other = data.drawn_voices(8), data.drawn_voices(14), data.drawn_voices(8, seed=1)
    assert few.drawn and set(more.counts().values()) == {2}
    assert all(np.array_equal(few.wave(i), more.wave(i)) for i in range(8))
    assert not np.array_equal(few.wave(0), other.wave(0))
    assert all(0.02 < np.abs(more.wave(i)).max() <= 1 and 1 < more.seconds[i] < 2 for i in range(14))


# ---- the real data ----------------------------------------------------------------------------------------


def real(data_dir, name):
    if not (data_dir / name).is_dir():
        pytest.skip(f"no folder {name} in NANOEMO_DATA")
    return data_dir / name


def test_emodb(data_dir):
    clips = data.read_clips(real(data_dir, "emodb"))
    assert clips.counts() == {"angry": 127, "disgust": 46, "fear": 69, "happy": 71, "sad": 62, "neutral": 79, "boredom": 81}
    assert len(set(clips.groups["subject"])) == 10


def test_savee_and_both(data_dir):
    clips = data.read_clips(real(data_dir, "savee"))
    assert clips.counts() == {"angry": 60, "disgust": 60, "fear": 60, "happy": 60, "sad": 60, "surprise": 60, "neutral": 120}
    splits = data.load_clips(f"{data_dir / 'savee'}+{real(data_dir, 'emodb')}")
    assert sum(map(len, splits.values())) == 480 + 535
    speakers = [set(part.groups["subject"]) for part in splits.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 14


# ---- changes, each to both sides of where it was


def impulse(length=1000):
    wave = np.zeros(length, np.float32)
    wave[length // 2] = 1
    return wave


def test_a_shift_goes_either_way_and_no_farther(rng):
    moved = [int(changes.shift(impulse(), 0.2, rng).argmax()) - 500 for _ in range(200)]
    assert -200 <= min(moved) < -100 and 100 < max(moved) <= 200


def test_stretch_and_pitch_go_either_way_at_the_clips_rate(rng, monkeypatch):
    effects = pytest.importorskip("librosa.effects", reason="librosa is not installed: no changes of voices")
    rates, steps = [], []
    monkeypatch.setattr(effects, "time_stretch", lambda wave, rate: rates.append(rate) or wave)
    monkeypatch.setattr(effects, "pitch_shift", lambda wave, sr, n_steps: steps.append((sr, n_steps)) or wave)
    for _ in range(200):
        changes.changed(impulse(), "stretch=0.2+pitch=3", rng)          # both of them, one after the other
    assert 0.8 <= min(rates) < 0.9 and 1.1 < max(rates) <= 1.2
    sizes = [size for _, size in steps]
    assert -3 <= min(sizes) < -1.5 and 1.5 < max(sizes) <= 3 and {rate for rate, _ in steps} == {data.clipset.RATE}


def test_copies_stay_in_the_sequence_that_a_clip_is_of():
    clips = data.drawn_voices(4)
    clips = replace(clips, groups={**clips.groups, "sequence": np.array(["a", "a", "b", "b"])})
    assert data.with_copies(clips, ["noise=0.1"]).groups["sequence"].tolist() == ["a", "a", "b", "b"] * 2
