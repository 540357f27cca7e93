"""A recording of any length as the pieces that a network can be asked about, read little by little.

An utterance, up to `SHORT` seconds, is one piece, read as a clip of a data set is (`nanoemo.data.recordings`). Anything
longer says more than one thing: it is heard through a window of `WINDOW` seconds that moves on by `HOP`. Of the file no
more than a window and a block are held here at once, so a recording may be hours long.
"""
from typing import NamedTuple

import numpy as np

from nanoemo.data.clipset import RATE
from nanoemo.data.recordings import (
    CANCELLED, CLIPPED, CUT_SHORT, NO_NUMBERS, Unusable, as_samples, at_full_scale, cancels, is_silent, opened_sound,
    read_recording)

__all__ = ["HOP", "SHORT", "WINDOW", "Window", "seconds", "sliding", "windows"]

SHORT = 10.0                    # seconds: the longest utterance of EMO-DB has 9.0, of SAVEE 7.1
WINDOW, HOP = 3.0, 1.0          # seconds: about a sentence, and what the features mfcc and log_mel see of a clip
BLOCK = 1 << 16                 # samples of each channel that are read at once


class Window(NamedTuple):
    """A piece of a recording: where it begins and ends, in seconds, its samples, float32 (n,), -1 to 1, at `RATE`, and whether
    it was recorded too loud (`CLIPPED`)."""
    start: float
    end: float
    wave: np.ndarray
    clipped: bool


def windows(file):
    """The pieces of the recording in a seekable binary file object, in turn, as a generator of `Window`.

    Raises Unusable where nothing can be heard of the file; of a long one that ends too early or has samples that are no
    numbers, this is found when that place is reached, and at its end that its channels cancel out all along.
    """
    with opened_sound(file) as sound:
        if sound.frames > SHORT * sound.samplerate:
            yield from sliding(_blocks(sound))
        else:
            recording = read_recording(sound)
            wave = recording.samples / np.float32(32768)
            yield Window(0.0, len(wave) / RATE, wave, recording.clipped)


def seconds(file):
    """How long the recording in a seekable binary file is, as its header says. Raises Unusable."""
    with opened_sound(file) as sound:
        return sound.frames / sound.samplerate


def sliding(blocks):
    """A `Window` of `WINDOW` seconds every `HOP` of the waves in `blocks`, one that ends where they end included.

    blocks: of each its wave (n,) and which of its samples, (n,), are at full scale

    >>> second = np.zeros(RATE, np.float32), np.zeros(RATE, bool)
    >>> pieces = sliding([second] * 4 + [(second[0][:RATE // 2], second[1][:RATE // 2])])
    >>> [(piece.start, piece.end) for piece in pieces]
    [(0.0, 3.0), (1.0, 4.0), (1.5, 4.5)]
    """
    size, step = int(WINDOW * RATE), int(HOP * RATE)
    held, full, start = np.empty(0, np.float32), np.empty(0, bool), 0       # what of the recording is in memory; where it begins

    def window(place):
        piece = slice(place, place + size)
        end = start + min(place + size, len(held))
        return Window((start + place) / RATE, end / RATE, held[piece], bool(full[piece].mean() > CLIPPED))

    for wave, loud in blocks:
        held, full = np.concatenate([held, wave]), np.concatenate([full, loud])
        while len(held) >= size + step:                 # a step more than the window: the last window is kept
            yield window(0)
            held, full, start = held[step:], full[step:], start + step
    for place in sorted({0, max(0, len(held) - size)}):
        yield window(place)


def _blocks(sound):
    """The sound's channels averaged and brought to `RATE` and 16 bits, as float32 waves one after the other; with each, which of
    its samples were at full scale in the file: averaged and resampled they may not show it."""
    import soxr

    stream = soxr.ResampleStream(sound.samplerate, RATE, 1, dtype="float32")
    done, heard, cancelled = 0, False, False
    full, first = np.empty(0, bool), 0          # which samples of the file are at full scale, from sample `first` on
    made = 0                                    # samples given so far, at `RATE`
    while done < sound.frames:
        block = sound.read(BLOCK, dtype="float32", always_2d=True)
        done += len(block)
        if len(block) == 0:
            raise Unusable(CUT_SHORT)
        if not np.isfinite(block).all():
            raise Unusable(NO_NUMBERS)
        mixed = block.mean(axis=1)
        heard, cancelled = heard or not is_silent(mixed), cancelled or cancels(block, mixed)
        wave = as_samples(stream.resample_chunk(mixed, last=done >= sound.frames)) / np.float32(32768)
        full = np.concatenate([full, at_full_scale(block)])
        there = np.arange(made, made + len(wave) + 1) * sound.samplerate // RATE - first        # what lies where in the file
        yield wave, full[np.minimum(there[:-1], len(full) - 1)]
        full, first, made = full[there[-1]:], first + there[-1], made + len(wave)
    if cancelled and not heard:                         # a part of it alone is silence between others
        raise Unusable(CANCELLED)
