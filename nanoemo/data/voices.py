"""Voices made by formula: seven emotions spoken by nobody, for when no data set is at hand.

A voice is the sum of the harmonics k of a pitch f(t), each as loud as the throat and mouth let it through there:

    φ(t) = 2π ∫ f dt                        x(t) = e(t) Σₖ g(k f(t)) sin(k φ(t)) + breath

e is the loudness, which rises and falls with each syllable; g is the source's slope, k^-tilt, times resonances at the
vowel's formants. What an emotion does to pitch, tempo, loudness and timbre follows the table of Murray & Arnott, "Toward
the simulation of emotion in synthetic speech" (1993). The voices stand in for real ones in examples and tests: results
on them are to be labelled as made by formula.
"""
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from nanoemo.data.checks import require_whole
from nanoemo.data.clipset import RATE, ClipSet
from nanoemo.data.fer2013 import CLASS_NAMES
from nanoemo.data.made import labels_in_turn, made_splits

__all__ = ["EMOTIONS", "drawn_voice_splits", "drawn_voices"]

# A neutral voice, and how far each number strays by chance.
NEUTRAL = {
    "pitch": (0.0, 1.0),          # semitones above the speaker's own pitch
    "melody": (1.5, 0.4),         # semitones that the pitch swings with each syllable
    "fall": (-2.0, 0.8),          # semitones that it moves from beginning to end
    "tempo": (4.5, 0.4),          # syllables a second
    "loudness": (-18.0, 1.5),     # decibels, of full scale
    "tilt": (1.6, 0.15),          # how fast higher harmonics fade: low is a bright, tense voice
    "roughness": (0.004, 0.002),  # share by which the pitch trembles from one 10 ms to the next
    "breath": (-38.0, 2.0),       # decibels of noise below the voice
    "attack": (0.5, 0.08),        # how smoothly a syllable swells: small is abrupt
}
# What each emotion adds to it.
EMOTIONS = {
    "angry": dict(pitch=3.0, melody=1.5, tempo=0.8, loudness=9.0, tilt=-0.6, roughness=0.012, attack=-0.3),
    "disgust": dict(pitch=-3.0, melody=-0.3, fall=-3.0, tempo=-1.6, tilt=0.1, roughness=0.012, breath=6.0),
    "fear": dict(pitch=7.0, melody=-0.5, fall=2.5, tempo=2.0, loudness=-2.0, roughness=0.016, breath=10.0),
    "happy": dict(pitch=5.0, melody=3.5, fall=1.0, tempo=0.9, loudness=5.0, tilt=-0.2),
    "sad": dict(pitch=-2.0, melody=-1.2, fall=-2.0, tempo=-1.8, loudness=-8.0, tilt=0.6, breath=8.0, attack=0.2),
    "surprise": dict(pitch=6.0, melody=1.0, fall=11.0, tempo=-0.3, loudness=4.0, tilt=-0.2, attack=-0.1),
    "neutral": {},
}
STRENGTH = (0.7, 1.15)            # an emotion is shown weakly or strongly
SPEAKER = (95.0, 230.0)           # hertz: the speaker's own pitch
SECONDS = (1.2, 1.8)
HIGHEST = 5000.0                  # hertz: harmonics above it are left out
STEP = RATE // 100                # 10 ms: pitch and loudness are laid down this often, and joined by straight lines

# Formants of five vowels, in hertz (Peterson & Barney 1952, men, rounded): ah, eh, ee, aw, oo.
VOWELS = np.array([(730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240)], np.float32)
WIDTH = 120.0                     # hertz, of a formant


def drawn_voices(n, seed=0):
    """`n` clips of voices made by formula, in the seven emotions, in turn, as a ClipSet that is marked as drawn.

    Clip `i` is a function of (seed, i) alone, so a larger set begins with a smaller one. Raises ValueError for n below 1
    or seed below 0.

    >>> voices = drawn_voices(7)
    >>> len(voices), voices.drawn, voices.class_names[voices.labels[3]]
    (7, True, 'happy')
    """
    require_whole("drawn_voices: n", n, least=1)
    require_whole("drawn_voices: seed", seed, least=0)
    return _as_set(**_speak(n, seed))


def _speak(n, seed):
    """{"samples": …, "spans": …} of a ClipSet."""
    waves = [voice(CLASS_NAMES[label], np.random.default_rng([seed, index])) for index, label in enumerate(labels_in_turn(n))]
    ends = np.cumsum([0, *map(len, waves)], dtype=np.int64)
    samples = np.rint(np.concatenate(waves) * 32767).astype(np.int16)
    return {"samples": samples, "spans": np.stack([ends[:-1], ends[1:]], axis=1)}


def _as_set(samples, spans):
    return ClipSet(samples, spans, labels_in_turn(len(spans)), CLASS_NAMES, name="made voices", drawn=True,
                   note="Voices made by formula: they are nobody's, and say nothing about real ones.")


def voice(emotion, rng):
    """One utterance in `emotion`: float32 (samples,) at `RATE`, within -1 to 1."""
    v = _numbers(emotion, rng)
    steps = int(rng.uniform(*SECONDS) * RATE / STEP)
    time = np.linspace(0, 1, steps)
    beat = v.tempo * steps * STEP / RATE * time                     # which syllable, and how far into it
    place = beat % 1
    semitones = v.pitch + v.melody * np.sin(2 * np.pi * beat) + v.fall * time
    pitch = rng.uniform(*SPEAKER) * 2 ** (semitones / 12) * (1 + v.roughness * rng.standard_normal(steps))
    loudness = np.minimum(1, np.minimum(place, 1 - place) / (0.5 * v.attack)) * np.minimum(1, 12 * (1 - time))
    vowels = VOWELS[rng.integers(len(VOWELS), size=int(beat[-1]) + 1)][beat.astype(int)]

    turn = np.exp(2j * np.pi * np.cumsum(_smooth(pitch), dtype=np.float64) / RATE).astype(np.complex64)
    harmonic, wave = turn, np.zeros(steps * STEP, np.float32)
    for k in range(1, int(HIGHEST / pitch.max()) + 1):
        wave += _smooth(k ** -v.tilt * _resonance(k * pitch, vowels)) * harmonic.imag        # sin(k φ)
        harmonic = harmonic * turn
    wave *= _smooth(loudness)
    wave /= np.sqrt(np.square(wave).mean())
    wave += np.float32(10 ** (v.breath / 20)) * rng.standard_normal(len(wave), np.float32)
    return np.clip(wave * np.float32(10 ** (v.loudness / 20)), -1, 1)


def _numbers(emotion, rng):
    strength = rng.uniform(*STRENGTH)
    added = EMOTIONS[emotion]
    drawn = {name: mean + spread * rng.standard_normal() + strength * added.get(name, 0)
             for name, (mean, spread) in NEUTRAL.items()}
    drawn["roughness"], drawn["attack"] = max(0, drawn["roughness"]), np.clip(drawn["attack"], 0.05, 1)
    return SimpleNamespace(**drawn)


def _smooth(values):
    """A value for each sample from one for each step, along straight lines: float32 (steps * STEP,)."""
    values = values.astype(np.float32)
    rise = np.diff(values, append=values[-1:])
    return (values[:, None] + rise[:, None] * (np.arange(STEP, dtype=np.float32) / STEP)).ravel()


def _resonance(frequency, formants):
    """How loud the mouth lets through each frequency (steps,), with its formants then (steps, 3): peaks of height 1."""
    peaks = 1 / (1 + np.square((frequency[:, None] - formants) / WIDTH))
    return 0.05 + peaks.sum(axis=1)


def drawn_voice_splits(seed=0):
    """The made data set: 350 clips to train on, 105 for validation, 105 for testing, of three seeds.

    Making them takes seconds, so they are cached as data from files are, 37 MB a seed, and made anew when the code changes.
    """
    sizes = {"train": 350, "validation": 105, "test": 105}
    splits = made_splits("made-voices", _speak, sizes, seed, [Path(__file__)])
    return {split: _as_set(**arrays) for split, arrays in splits.items()}
