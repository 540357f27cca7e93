"""Audio files of nearly any rate, and of any width and number of channels, made into clips of one form: mono, 16 bits, at `RATE`.

A collection of thousands of recordings has a few that cannot be used: CREMA-D has a silent one. They are left out, and
counted by what is wrong with them, with their names; nothing is left out unsaid.
"""
import contextlib
import io
import os
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from nanoemo.data.clipset import RATE
from nanoemo.data.source import DataError, suffix_of

__all__ = ["CANCELLED", "CLIPPED", "CUT_SHORT", "NO_NUMBERS", "SILENT", "Recording", "Silent", "Unusable", "as_samples",
           "at_full_scale", "cancels", "is_recording", "is_silent", "mono", "opened_recording", "opened_sound", "read_recording",
           "read_recordings", "require_libraries", "say_left_out"]

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au"}
LOWEST_RATE = 2000                      # Hz: half of it, 1 kHz, is all it holds: pitch and first formant; a telephone has 8,000
LONGEST, SHORTEST = 60.0, 0.1           # seconds: an utterance is not longer; its features need a few frames
SILENT = 1e-4                           # of full scale: three steps of a 16-bit file
FULL_SCALE = 0.999
CLIPPED = 1e-3                          # share of samples at full scale from which on a clip counts as distorted
CUT_SHORT = "cut short: less in it than its header says"
CANCELLED = "silent once mixed, as its channels cancel out (one is the other upside down; keep one of them)"
NO_NUMBERS = "with samples that are no numbers (NaN or infinite)"
LENGTH_UNKNOWN = 0x7FFFF000             # or more: what programs put that do not know it, as when they write to a pipe
LFS_POINTER = b"version https://git-lfs"


class Unusable(DataError):
    """A recording that no features can be made of; the message says what is wrong, without its name."""


class Silent(Unusable):
    """A recording in which nothing is heard."""

    def __init__(self, message="silent"):
        super().__init__(message)


class Recording(NamedTuple):
    """samples: int16 (n,), mono at `RATE`; rate, channels: of the file; clipped: distorted; cut: only its beginning."""
    samples: np.ndarray
    rate: int
    channels: int
    clipped: bool
    cut: bool


def is_recording(name):
    """Whether a file's name is that of a recording."""
    return suffix_of(name) in SUFFIXES


@contextlib.contextmanager
def opened_recording(file):
    """A path or a binary file object, as a binary file that can be read again and again, for a `with` statement.

    What is Unusable of a path is said with the path; of a file object, which has no name, without. Raises OSError where a
    path cannot be opened.
    """
    if not isinstance(file, (str, os.PathLike)):
        yield file if file.seekable() else io.BytesIO(file.read())
        return
    with open(file, "rb") as content:
        try:
            yield content
        except Unusable as error:
            raise type(error)(f"{os.fspath(file)}: {error}") from error


def read_recording(sound):
    """The recording in an opened sound (`opened_sound`) as a `Recording`. Raises Unusable."""
    import soxr

    rate, channels, length = sound.samplerate, sound.channels, sound.frames
    wanted = min(length, int(LONGEST * rate))
    wave = sound.read(wanted, dtype="float32", always_2d=True)
    if len(wave) < wanted:
        raise Unusable(CUT_SHORT)
    if not np.isfinite(wave).all():
        raise Unusable(NO_NUMBERS)
    if len(wave) < SHORTEST * rate:
        raise Unusable(f"shorter than {SHORTEST} s")
    clipped = bool(at_full_scale(wave).mean() > CLIPPED)
    wave = mono(wave)
    if is_silent(wave):
        raise Silent()
    if rate != RATE:
        wave = soxr.resample(wave, rate, RATE)
    return Recording(as_samples(wave), rate, channels, clipped, cut=wanted < length)


def at_full_scale(wave):
    """Which samples of (samples, channels) are at full scale in a channel: what was louder there is lost."""
    return (np.abs(wave) > FULL_SCALE).any(axis=1)


def mono(wave):
    """The mean of the channels of (samples, channels). Raises Unusable where that is silent, but a channel is not nearly so.

    >>> mono(np.float32([[0.5, 0.0], [-0.5, 0.0]])).tolist()
    [0.25, -0.25]
    """
    mixed = wave.mean(axis=1)
    if cancels(wave, mixed):
        raise Unusable(CANCELLED)
    return mixed


def cancels(wave, mixed):
    """Whether the mean `mixed` of the channels of (samples, channels) is silent, but a channel is not nearly so."""
    return is_silent(mixed) and not all(is_silent(channel, 10 * SILENT) for channel in wave.T)


@contextlib.contextmanager
def opened_sound(file):
    """A seekable binary file as a `soundfile.SoundFile`, for a `with` statement; Unusable where it is, or proves to be, none, or
    its rate is below `LOWEST_RATE`: a damaged header may say 1 Hz, and a second of sound then become half a day."""
    import soundfile

    _check_file(file)
    try:
        with soundfile.SoundFile(_Sought(file)) as sound:
            if sound.samplerate < LOWEST_RATE:
                raise Unusable(f"recorded at {sound.samplerate:,} Hz, which holds no voice (expected {LOWEST_RATE:,} Hz or more)")
            yield sound
    except Unusable:
        raise
    except (soundfile.SoundFileError, ValueError) as error:
        raise Unusable("not readable as audio, or damaged; expected WAV, FLAC, OGG, MP3, AIFF or AU") from error


class _Sought:
    """A binary file for libsndfile, whose `seek` stays where it is when a damaged header leads before the beginning.

    An exception could not pass through libsndfile: it would be printed, with its traceback, and forgotten.
    """

    def __init__(self, file):
        self.file, self.read, self.readinto, self.tell = file, file.read, file.readinto, file.tell

    def seek(self, offset, whence=os.SEEK_SET):
        with contextlib.suppress(OSError, ValueError):
            self.file.seek(offset, whence)
        return self.tell()


def is_silent(wave, quiet=SILENT):
    """Whether a wave (samples,), -1 to 1, stays within `quiet` of its mean, be that beside 0.

    >>> is_silent(np.full(100, 0.2, np.float32)), is_silent(np.float32([0, 0.01]))
    (True, False)
    """
    return bool(np.abs(wave - wave.mean()).max() < quiet)


def as_samples(wave):
    """A wave, -1 to 1, in the 16 bits that clips are kept in."""
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)


def _check_file(file):
    """Raise Unusable for what libsndfile would not notice, or not explain. Leaves `file` at its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(24)
    file.seek(0)
    if size == 0:
        raise Unusable("empty (0 bytes)")
    if start.startswith(LFS_POINTER):
        raise Unusable("Git LFS pointers in place of audio (run `git lfs pull` where they come from)")
    if size < _declared_size(start) or start.startswith(b"OggS") and not _ends_with_a_page(file, size):
        raise Unusable(CUT_SHORT)


def _declared_size(start):
    """How many bytes a file that begins like this says it has, at least; 0 where it does not say."""
    if start[:4] in (b"RIFF", b"RIFX", b"FORM"):                   # WAV, WAV of big-endian machines, AIFF
        before, length = 8, int.from_bytes(start[4:8], "little" if start.startswith(b"RIFF") else "big")
    elif start.startswith(b".snd"):                                # AU: where its samples begin, and how many bytes they are
        before, length = int.from_bytes(start[4:8], "big"), int.from_bytes(start[8:12], "big")
    else:
        return 0
    return before + length if 0 < length < LENGTH_UNKNOWN else 0


def _ends_with_a_page(file, size):
    """Whether the last page of an Ogg file (RFC 3533) is there whole. Leaves `file` at its beginning."""
    file.seek(max(0, size - 65_536))                               # a page has up to 65,307 bytes
    page = file.read()
    page = page[page.rfind(b"OggS"):]
    file.seek(0)
    return len(page) > 26 and 27 + page[26] + sum(page[27:27 + page[26]]) <= len(page)     # head, sizes of the parts, parts


def read_recordings(source, names):
    """All that can be used of `names`: (recordings, a dict by name; what was left out, {reason: names}; a note)."""
    require_libraries()

    def read(name):
        try:
            with source.open(name) as file, opened_recording(file) as content, opened_sound(content) as sound:
                return read_recording(sound)
        except Unusable as error:
            return str(error)

    with ThreadPoolExecutor() as pool:                             # decoding and resampling let other threads run
        results = dict(zip(names, pool.map(read, names)))
    left_out = defaultdict(list)
    for name, result in results.items():
        if isinstance(result, str):
            left_out[result].append(name)
    recordings = {name: result for name, result in results.items() if not isinstance(result, str)}
    return recordings, dict(left_out), _note(recordings.values())


def require_libraries():
    """Raise ImportError, which says what to install, where recordings cannot be read."""
    try:
        import soundfile  # noqa: F401
        import soxr  # noqa: F401
    except ImportError as error:
        raise ImportError(f"recordings are read by soundfile and soxr ({error}); pip install 'nanoemo[speech]'") from error


def say_left_out(left_out):
    """What was left out and why, in one sentence; "" for nothing.

    >>> say_left_out({"silent": ["a.wav", "b.wav"], "empty (0 bytes)": ["c.wav"]})
    'Left out 3 files: 2 silent (a.wav, b.wav); 1 empty (0 bytes) (c.wav).'
    """
    if not left_out:
        return ""
    parts = (f"{len(names)} {reason} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
             for reason, names in left_out.items())
    total = sum(map(len, left_out.values()))
    return f"Left out {total} file{'s' if total > 1 else ''}: {'; '.join(parts)}."


def _note(recordings):
    """What was done to the recordings to bring them to one form; "" where they had it already."""
    forms = Counter((recording.rate, recording.channels) for recording in recordings)
    parts = []
    if set(forms) - {(RATE, 1)}:
        found = ", ".join(f"{rate:,} Hz {_channels(channels)}" for (rate, channels), _ in forms.most_common(4))
        parts.append(f"Recorded at {found}{' and others' if len(forms) > 4 else ''}; brought to {RATE:,} Hz mono.")
    cut = sum(recording.cut for recording in recordings)
    if cut:
        parts.append(f"{cut} longer than {LONGEST:.0f} s: of those the first {LONGEST:.0f} s are used.")
    clipped = sum(recording.clipped for recording in recordings)
    if clipped:
        parts.append(f"{clipped} clipped (more than one sample in {1 / CLIPPED:.0f} at full scale), used all the same.")
    return " ".join(parts)


def _channels(number):
    return {1: "mono", 2: "stereo"}.get(number, f"with {number} channels")
