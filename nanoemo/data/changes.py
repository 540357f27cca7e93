"""Changes made to recordings of voices, so that a network hears more of them: noise, shift, stretch, pitch.

Unlike those of images they are made before training, each giving a further copy of every clip that is trained on, as
the chater paper does (section 3.3.1). Its first experiment has two copies, "noise" and "stretch+pitch" together, its
second four: "noise", "shift", "pitch" and "stretch", and so, by our reading, its third. How much, it does not say.
"""
from dataclasses import replace

import numpy as np

from nanoemo.data.clipset import RATE
from nanoemo.hints import suggest

__all__ = ["EXPERIMENT_1", "EXPERIMENT_2", "changed", "parse_changes", "with_copies"]

EXPERIMENT_1 = "noise,stretch+pitch"
EXPERIMENT_2 = "noise,shift,pitch,stretch"


def noise(wave, amount, rng):
    """Add white noise, of a standard deviation up to `amount` of the wave's peak."""
    spread = rng.uniform(0, amount) * np.abs(wave).max()
    return wave + np.float32(spread) * rng.standard_normal(len(wave), np.float32)


def shift(wave, amount, rng):
    """Move the wave in time by up to ± `amount` of its length; what leaves at one end comes in at the other."""
    return np.roll(wave, round(rng.uniform(-amount, amount) * len(wave)))


def stretch(wave, amount, rng):
    """Speak faster or slower, by a factor from 1 - amount to 1 + amount, at the same pitch."""
    import librosa

    return librosa.effects.time_stretch(wave, rate=rng.uniform(1 - amount, 1 + amount))


def pitch(wave, amount, rng):
    """Raise or lower the pitch by up to ± `amount` semitones, at the same speed."""
    import librosa

    return librosa.effects.pitch_shift(wave, sr=RATE, n_steps=rng.uniform(-amount, amount))


CHANGES = {"noise": noise, "shift": shift, "stretch": stretch, "pitch": pitch}
USUAL = {"noise": 0.035, "shift": 0.2, "stretch": 0.2, "pitch": 2}
MOST = {"noise": 1, "shift": 1, "stretch": 0.9, "pitch": 24}


def parse_changes(text):
    """The copies that a text names, as a list: separated by commas, "+" between changes made to one copy.

    A name alone stands for its usual amount: noise=0.035 (share of the peak), shift=0.2 (share of the length),
    stretch=0.2 (share of the speed), pitch=2 (semitones). A copy that was named before is numbered, and so another one:
    its random numbers depend on its name. Raises ValueError for an unknown name or a bad amount.

    >>> parse_changes("noise,stretch+pitch=3,noise")
    ['noise=0.035', 'stretch=0.2+pitch=3', 'noise=0.035 #2']
    >>> parse_changes("strech")
    Traceback (most recent call last):
        ...
    ValueError: augment: unknown 'strech'; did you mean stretch? Voices have noise, shift, stretch, pitch
    """
    copies = filter(None, (part.strip() for part in text.split(",")))
    names = ["+".join(f"{name}={amount:g}" for name, amount in map(_parse_one, copy.split("+"))) for copy in copies]
    before = [names[:index].count(name) for index, name in enumerate(names)]
    return [f"{name} #{count + 1}" if count else name for name, count in zip(names, before)]


def _parse_one(part):
    """(name, amount) of "pitch=3" or "pitch"."""
    name, given, amount = (piece.strip() for piece in part.partition("="))
    if name not in CHANGES:
        raise ValueError(f"augment: unknown {name!r}; {suggest(name, CHANGES, 'voices have')}")
    try:
        amount = float(amount) if given else USUAL[name]
    except ValueError:
        amount = float("nan")
    if not 0 <= amount <= MOST[name]:
        raise ValueError(f"augment: {part.strip()!r}: expected a number from 0 to {MOST[name]} after =, "
                         f"as in {name}={USUAL[name]}")
    return name, amount


def changed(wave, change, rng):
    """The copy of `wave`, float32 (samples,), that `change` names, such as "stretch=0.2+pitch=3" or, for the second of
    that name, "stretch=0.2+pitch=3 #2"; "" is the wave itself.

    >>> changed(np.ones(1000, np.float32), "noise=0.5+shift=0.1", np.random.default_rng(0)).shape
    (1000,)
    """
    for part in filter(None, change.partition(" #")[0].split("+")):
        name, amount = _parse_one(part)
        wave = CHANGES[name](wave, amount, rng).astype(np.float32)
    return wave


def with_copies(clips, changes):
    """A ClipSet of every clip and, for each of `changes`, a copy of it: (1 + len(changes)) N clips.

    changes: as `parse_changes` gives them. The copies are computed when features are made of them
        (`nanoemo.features.extract`). A clip and its copies are one `groups["sequence"]`, so that a set divided by
        "sequence" has no copy on another side; to train on copies, divide first and copy the training part alone.

    >>> from nanoemo.data import drawn_voices
    >>> clips = with_copies(drawn_voices(7), parse_changes("noise,pitch"))
    >>> len(clips), str(clips.changes[7]), clips.groups["sequence"][7] == clips.groups["sequence"][0]
    (21, 'noise=0.035', True)
    """
    everyone = np.tile(np.arange(len(clips)), 1 + len(changes))
    sequence = clips.groups.get("sequence", np.arange(len(clips)).astype(str))
    copies = replace(clips, groups={**clips.groups, "sequence": sequence}).subset(everyone)
    return replace(copies, changes=np.repeat(["", *changes], len(clips)))
