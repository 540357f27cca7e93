"""Clips of voices: names in the published layouts, files of every form, what cannot be used, combining, dividing."""
import io
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from collections import Counter

import numpy as np
import pytest

from nanoemo import data
from nanoemo.data import changes, recordings
from nanoemo.data.speech import SCHEMES, find_scheme

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: clips cannot be read")
pytest.importorskip("soxr", reason="soxr is not installed: clips cannot be brought to one rate")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOEMO_CACHE", str(tmp_path / "cache"))


def tone(seconds=0.3, rate=16000, pitch=220.0, loudness=0.3):
    return (loudness * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path, wave=None, rate=16000, **form):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(rate=rate) if wave is None else wave, rate, **form)
    return path


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


# ---- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate, channels, form", [
    (8000, 1, {"subtype": "PCM_U8"}), (16000, 2, {"subtype": "PCM_16"}), (22050, 1, {"subtype": "PCM_16"}),
    (44100, 1, {"subtype": "PCM_24"}), (48000, 6, {"subtype": "FLOAT"}), (96000, 1, {"subtype": "DOUBLE"}),
    (22050, 1, {"subtype": "ULAW"})])
def test_any_rate_width_and_number_of_channels(rate, channels, form, tmp_path):
    wave = np.repeat(tone(1.0, rate)[:, None], channels, axis=1)
    write(tmp_path / "DC_a01.wav", wave, rate, **form)
    clips = data.read_clips(tmp_path)
    assert abs(clips.seconds[0] - 1) < 1e-3
    got, expected = clips.wave(0), tone(1.0, data.clipset.RATE)
    middle = slice(2000, 20000)                                   # resampling rings at the ends
    assert np.abs(got[middle] - expected[middle]).max() < (0.02 if form["subtype"] in ("PCM_U8", "ULAW") else 1e-3)
    assert (rate, channels) == (data.clipset.RATE, 1) or f"Recorded at {rate:,} Hz" in clips.note


def test_channels_are_averaged(tmp_path):
    write(tmp_path / "DC_a01.wav", np.stack([tone(), np.zeros_like(tone())], axis=1), data.clipset.RATE, subtype="FLOAT")
    assert data.read_clips(tmp_path).wave(0).max() == pytest.approx(0.15, abs=1e-3)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


UNUSABLE = {
    "empty": (lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
    "silent": (lambda path: write(path, np.zeros(8000, np.float32)), "silent"),
    "8-bit silence": (lambda path: write(path, np.full(8000, 0.5, np.float32), subtype="PCM_U8"), "silent"),
    "channels that cancel": (lambda path: write(path, np.stack([tone(), -tone()], axis=1)), "silent once mixed, as its channels"),
    "one sample": (lambda path: write(path, np.ones(1, np.float32)), "shorter than 0.1 s"),
    "no sample": (lambda path: write(path, np.ones(0, np.float32)), "shorter than 0.1 s"),
    "truncated": (lambda path: cut_in_half(write(path)), "cut short"),
    "header alone": (lambda path: path.write_bytes(write(path).read_bytes()[:30]), "cut short"),
    "no audio": (lambda path: path.write_bytes(b"<html>404</html>" * 99), "not readable as audio"),
    "LFS pointer": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), "Git LFS"),
    "NaN": (lambda path: write(path, np.full(8000, np.nan, np.float32), subtype="FLOAT"), "with samples that are no numbers"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_used_is_left_out_and_said(case, tmp_path):
    spoil, message = UNUSABLE[case]
    folder = tmp_path / "set"
    write(folder / "KL_h01.wav")
    spoil(folder / "KL_a01.wav")
    for _ in range(2):                                            # read, and from the cache: said each time
        with pytest.warns(UserWarning, match=rf"Left out 1 file: 1 {message}.*\(KL_a01.wav\)"):
            clips = data.read_clips(folder)
        assert clips.counts()["happy"] == len(clips) == 1
    (folder / "KL_h01.wav").unlink()
    with pytest.raises(data.DataError, match=f"no clip in it can be used. Left out 1 file: 1 {message}"):
        data.read_clips(folder)


FORMS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"),
         ".mp3": ("MP3", "MPEG_LAYER_III"), ".aif": ("AIFF", "PCM_16"), ".aiff": ("AIFF", "FLOAT"), ".au": ("AU", "PCM_16")}


@pytest.fixture(params=sorted(recordings.SUFFIXES))
def whole(request, tmp_path):
    """A recording of 3 s of noise in each format."""
    form, subtype = FORMS[request.param]
    try:
        return write(tmp_path / f"KL_a01{request.param}", np.random.default_rng(0).normal(0, 0.1, 144_000), 48_000,
                     format=form, subtype=subtype)
    except (ValueError, soundfile.SoundFileError):
        pytest.skip(f"this libsndfile writes no {request.param}")


def read(path):
    with open(path, "rb") as file, recordings.opened_sound(file) as sound:
        return recordings.read_recording(sound)


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1])
def test_what_is_cut_short_is_told_from_what_is_whole(whole, share):
    assert len(read(whole).samples) == 3 * data.clipset.RATE
    content = whole.read_bytes()
    whole.write_bytes(content[:int(share * len(content))])
    with pytest.raises(recordings.Unusable, match="cut short|or damaged" if whole.suffix == ".flac" else "cut short"):
        read(whole)


@pytest.mark.parametrize("suffix, size", [(".wav", slice(4, 8)), (".aiff", slice(4, 8)), (".au", slice(8, 12))])
def test_who_wrote_it_did_not_know_how_long_it_would_be(suffix, size, tmp_path):
    path = write(tmp_path / f"a{suffix}")
    content = bytearray(path.read_bytes())
    content[size] = b"\xff" * 4
    path.write_bytes(content)
    assert len(read(path).samples) > 0.25 * data.clipset.RATE


def test_a_wave_written_to_a_pipe_by_sox(tmp_path):
    path = write(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    for place, length in ((4, 0x7FFFF024), (content.index(b"data") + 4, 0x7FFFF000)):
        content[place:place + 4] = length.to_bytes(4, "little")
    whole = read(path).samples
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path).samples, whole)


@pytest.mark.parametrize("opened", [lambda path: open(path, "rb"), lambda path: io.BytesIO(path.read_bytes())])
def test_a_damaged_header_prints_no_traceback(opened, tmp_path, monkeypatch):
    """libsndfile looks for what it says before the beginning of the file."""
    path = write(tmp_path / "a.aiff")
    path.write_bytes(path.read_bytes().replace(b"SSND", b"SSN\xcb"))
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    with opened(path) as file, pytest.raises(recordings.Unusable, match="not readable as audio"):
        with recordings.opened_sound(file):
            pass
    assert not printed


def test_clipped_and_very_long_recordings_are_used_and_said(tmp_path):
    write(tmp_path / "KL_a01.wav", np.clip(tone(loudness=3.0), -1, 1))
    path = tmp_path / "KL_h01.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:          # two hours
        for _ in range(120):
            file.write(tone(60, 8000))
    clips = data.read_clips(tmp_path)
    assert clips.seconds.max() == pytest.approx(60)
    assert "1 longer than 60 s: of those the first 60 s are used." in clips.note and "1 clipped" in clips.note


@pytest.mark.parametrize("rate", [8000, 96000])
def test_how_short_is_too_short_does_not_depend_on_the_rate(rate, tmp_path):
    read(write(tmp_path / "a.wav", tone(0.15, rate), rate))
    with pytest.raises(recordings.Unusable, match="shorter than 0.1 s"):
        read(write(tmp_path / "b.wav", tone(0.05, rate), rate))


def test_what_is_louder_than_full_scale_stays_there():
    assert recordings.as_samples(np.float32([1, 1.2, -1, -1.2])).tolist() == [32767, 32767, -32768, -32768]


def test_one_side_of_a_wave_may_be_clipped(tmp_path):
    assert read(write(tmp_path / "a.wav", np.clip(tone(loudness=3), -1, 0.5))).clipped
    assert not read(write(tmp_path / "a.wav", tone())).clipped


def test_channels_that_are_nearly_silent_are_silent(tmp_path):
    wave = tone(loudness=5e-4)
    with pytest.raises(recordings.Silent):
        read(write(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), subtype="FLOAT"))


def test_a_wave_of_a_big_endian_machine(tmp_path):
    assert len(read(write(tmp_path / "a.wav", tone(0.25), endian="BIG")).samples) > 0.24 * data.clipset.RATE


def test_every_form_is_known_by_its_suffix():
    assert recordings.SUFFIXES == set(FORMS) and recordings.is_recording("A.OPUS")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    write(tmp_path / "KL_a01.wav").chmod(0)
    with pytest.raises(data.DataError, match="KL_a01.wav: cannot be read"):
        data.read_clips(tmp_path)


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
