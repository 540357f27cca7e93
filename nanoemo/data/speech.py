"""Data sets of emotional speech, whose file names say who speaks and how.

EMO-DB   03a01Fa.wav: speaker 03, sentence a01, emotion F, version a. In German W is Wut (anger), L Langeweile
         (boredom), E Ekel (disgust), A Angst (fear), F Freude (happiness), T Trauer (sadness), N neutral.
SAVEE    DC_a01.wav or DC/a01.wav: speaker DC, emotion a, sentence 01. a anger, d disgust, f fear, h happiness,
         n neutral, sa sadness, su surprise.
CREMA-D  1001_DFA_ANG_XX.wav: actor 1001, sentence DFA, emotion ANG, strength XX (not told), LO, MD or HI. ANG anger,
         DIS disgust, FEA fear, HAP happiness, NEU neutral, SAD sadness.
RAVDESS  03-01-06-01-02-01-12.wav: audio only, speech (02: song, not taken), emotion 06, strength, sentence, repetition,
         actor 12. 01 neutral, 02 calm, 03 happy, 04 sad, 05 angry, 06 fearful, 07 disgust, 08 surprised.

Sources, each of which publishes its codes: Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, "A database of German
emotional speech", Interspeech 2005 (EMO-DB); Haq & Jackson, "Multimodal emotion recognition", in "Machine audition",
2010, and Jackson & Haq's page of SAVEE; Cao, Cooper, Keutmann, Gur, Nenkova & Verma, "CREMA-D: crowd-sourced emotional
multimodal actors dataset", IEEE Transactions on Affective Computing 5(4), 2014; Livingstone & Russo, "The Ryerson
audio-visual database of emotional speech and song (RAVDESS)", PLoS ONE 13(5), 2018.
"""
import re
from collections import defaultdict
from pathlib import PurePosixPath
from typing import NamedTuple

from nanoemo.data.classnames import common_name
from nanoemo.data.recordings import is_recording
from nanoemo.data.source import DataError

__all__ = ["SCHEMES", "Entry", "Scheme", "find_scheme", "label_by_folder", "recordings_in"]


class Entry(NamedTuple):
    """What a name tells of a clip; key is the same for two copies of one recording. subject is "" where it is not told."""
    name: str
    emotion: str
    subject: str
    key: str


class Scheme(NamedTuple):
    """How a data set names its files: the groups of `pattern` are subject, code (a key of `emotions`) and key."""
    name: str
    title: str
    example: str
    pattern: re.Pattern
    emotions: dict
    songs: re.Pattern | None = None         # names of its files that are sung, and so not taken

    def parse(self, name):
        """The `Entry` of a file, None where its name is of another form."""
        path = PurePosixPath(name)
        match = self.pattern.fullmatch(path.parent.name + "/" + path.stem)
        if match is None:
            return None
        emotion = self.emotions[match["code"].upper()]
        return Entry(name, emotion, match["subject"].upper(), match["key"].upper().replace("/", "_"))


def _scheme(name, title, example, pattern, emotions, songs=None):
    codes = "|".join(sorted(emotions, key=len, reverse=True))
    return Scheme(name, title, example, re.compile(pattern.format(codes=codes), re.IGNORECASE), emotions,
                  songs and re.compile(songs))


SCHEMES = [
    _scheme("emodb", "EMO-DB", "03a01Fa.wav", r".*/(?P<key>(?P<subject>\d\d)[ab]\d\d(?P<code>{codes})[a-z]?)",
            {"W": "angry", "L": "boredom", "E": "disgust", "A": "fear", "F": "happy", "T": "sad", "N": "neutral"}),
    _scheme("savee", "SAVEE", "DC_a01.wav", r"(?:.*/)?(?P<key>(?P<subject>DC|JE|JK|KL)[/_](?P<code>{codes})\d\d)",
            {"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "SA": "sad", "SU": "surprise"}),
    _scheme("cremad", "CREMA-D", "1001_DFA_ANG_XX.wav",
            r".*/(?P<key>(?P<subject>\d{{4}})_[A-Z]{{3}}_(?P<code>{codes})_[A-Z]{{1,2}})",
            {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}),
    _scheme("ravdess", "RAVDESS", "03-01-06-01-02-01-12.wav",
            r".*/(?P<key>03-01-(?P<code>{codes})-\d\d-\d\d-\d\d-(?P<subject>\d\d))",
            {"01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fear", "07": "disgust",
             "08": "surprise"}, songs=r"03-02(-\d\d){5}"),
]


def find_scheme(names):
    """(Scheme, its entries, {reason: names left out}) for the scheme that most of the recordings `names` follow.

    (None, [], {}) where no name follows any, or few do by chance among clips in a folder for each class. Of two files
    of one recording, as CREMA-D comes both as WAV and as MP3 and RAVDESS in two folders, the first WAV file is taken.

    >>> scheme, entries, left_out = find_scheme(["wav/03a01Fa.wav", "wav/03a01Wa.wav", "wav/noise.wav"])
    >>> scheme.title, [(entry.subject, entry.emotion) for entry in entries]
    ('EMO-DB', [('03', 'happy'), ('03', 'angry')])
    >>> left_out
    {'with names unlike 03a01Fa.wav': ['wav/noise.wav']}
    """
    parsed = [[scheme.parse(name) for name in names] for scheme in SCHEMES]
    scheme, entries = max(zip(SCHEMES, parsed), key=lambda pair: len(names) - pair[1].count(None))
    follow = len(names) - entries.count(None)
    if not follow or 2 * follow < len(names) and _in_class_folders(names):
        return None, [], {}
    left_out = defaultdict(list)
    for name, entry in zip(names, entries):
        if entry is None:
            sung = scheme.songs and scheme.songs.fullmatch(PurePosixPath(name).stem)
            left_out["of song, not of speech" if sung else f"with names unlike {scheme.example}"].append(name)
    once = {}
    for entry in sorted(filter(None, entries), key=lambda entry: not entry.name.lower().endswith(".wav")):
        if once.setdefault(entry.key, entry) is not entry:
            left_out["further copies of one recording"].append(entry.name)
    return scheme, sorted(once.values()), dict(left_out)


def _in_class_folders(names):
    """Whether all lie in folders, of which there are several, side by side."""
    folders = {PurePosixPath(name).parent for name in names}
    return len(folders) > 1 and all(folder.name for folder in folders) and len({folder.parent for folder in folders}) == 1


def label_by_folder(source, names):
    """Entries of recordings that lie in a folder for each class. Raises DataError where they do not."""
    folders = [PurePosixPath(name).parent for name in names]
    expected = ("expected a folder for each class with its recordings in it, <class>/*.wav, or names as those of "
                + ", ".join(f"{scheme.title} ({scheme.example})" for scheme in SCHEMES))
    for name, folder in zip(names, folders):
        if not folder.name or folder.parent != folders[0].parent:
            raise DataError(f"{source.describe(name)}: neither its name nor its folder tells the emotion; {expected}")
    if len(set(folders)) < 2:
        raise DataError(f"{source.path}: one class only, {folders[0].name!r}, and nothing to tell it from; {expected}")
    return [Entry(name, common_name(folder.name), "", name) for name, folder in zip(names, folders)]


def recordings_in(source):
    """The names of all recordings in `source`. Raises DataError where there are none."""
    names = [name for name in source.names if is_recording(name)]
    if not names:
        some = ", ".join(source.names[:3])
        found = f"{len(source.names)} files, such as {some}" if some else "no files"
        raise DataError(f"{source.path}: no recordings in it: {found}. Expected clips of voices, as WAV or another format, "
                        f"of {', '.join(scheme.title for scheme in SCHEMES)}, or in a folder for each class")
    return names
