"""What a recorded voice looks like: its wave, spectrogram, chroma and cepstral coefficients, one above the other."""
import numpy as np

from nanoemo.viz.style import BLUE, LABEL_SIZE, TICK_SIZE, color_bar, new_figure

__all__ = ["voice"]

NOTES = ("C", "D", "E", "F", "G", "A", "B")
NOTE_ROWS = (0, 2, 4, 5, 7, 9, 11)


def voice(wave, rate, power, chroma, mfcc, title="A voice"):
    """Figure of four pictures that share the axis of time.

    wave: (samples,) at `rate` samples a second; power: (frequencies, frames), from 0 Hz to rate / 2; chroma:
        (12, frames); mfcc: (coefficients, frames), as `nanoemo.features.speech` makes them

    >>> from nanoemo.data import drawn_voices
    >>> from nanoemo.features import speech
    >>> wave = drawn_voices(1).wave(0)
    >>> power = speech.power_spectrum(wave)
    >>> mfcc = speech.mfcc(speech.mel_spectrogram(power), 20)
    >>> len(voice(wave, 22050, power, speech.chroma(power), mfcc).axes)
    7
    """
    figure = new_figure(title, (10, 11))
    top, *below = figure.subplots(4, 1, sharex=True)
    seconds = len(wave) / rate
    top.plot(np.arange(len(wave)) / rate, wave, color=BLUE, linewidth=0.6)
    decibels = 10 * np.log10(np.maximum(power, power.max() * 1e-8) / power.max())
    most = np.abs(mfcc[2:]).max()                    # the first two, far larger, are shown at the ends of the scale
    pictures = [("frequency (kHz)", decibels, (0, rate / 2000), "decibels", "magma", {}),
                ("note", chroma, (-0.5, len(chroma) - 0.5), "share of the loudest", "magma", {}),
                ("MFCC", mfcc, (-0.5, len(mfcc) - 0.5), "value", "RdBu_r", {"vmin": -most, "vmax": most})]
    for axes, (label, picture, (low, high), unit, colors, limits) in zip(below, pictures):
        image = axes.imshow(picture, origin="lower", aspect="auto", extent=(0, seconds, low, high), cmap=colors,
                            interpolation="nearest", **limits)
        color_bar(axes, image, unit, pad=0.01, extend="both" if limits else "neither")
        axes.set_ylabel(label, fontsize=LABEL_SIZE)
    below[1].set_yticks(NOTE_ROWS, NOTES)
    top.set_ylabel("wave", fontsize=LABEL_SIZE)
    below[-1].set_xlabel("time (s)", fontsize=LABEL_SIZE)
    for axes in figure.axes:
        axes.tick_params(labelsize=TICK_SIZE)
    return figure
