"""Draws the figure of docs/speech.md into docs/figures/: a voice made by formula, as its features see it.

    python docs/make_speech.py [FOLDER]
"""
import sys
from pathlib import Path

from nanoemo import data, viz
from nanoemo.data.clipset import RATE
from nanoemo.features import speech
from nanoemo.files import write_file


def draw(folder):
    clips = data.drawn_voices(7)
    wave = clips.wave(clips.class_names.index("surprise"))
    power = speech.power_spectrum(wave)
    figure = viz.voice(wave, RATE, power, speech.chroma(power), speech.mfcc(speech.mel_spectrogram(power), 20),
                       title="A voice made by formula, surprised")
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "voice.png", viz.to_png(figure, dpi=55))


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "figures")
