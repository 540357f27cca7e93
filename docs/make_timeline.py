"""Draws the timeline of docs/predict.md into docs/figures/: a run that was trained on made voices hears others of them.

    nanoemo train chater.conv1d --out RUN
    python docs/make_timeline.py RUN [FOLDER]
"""
import io
import sys
from pathlib import Path

import numpy as np
import soundfile

from nanoemo import data, viz
from nanoemo.data.clipset import RATE
from nanoemo.recognition import Listener

PAUSE = np.zeros(5 * RATE, np.float32)


def spoken(emotion, voices):
    """Five made voices in an emotion, one after the other, (samples,)."""
    chosen = np.flatnonzero(voices.labels == voices.class_names.index(emotion))[:5]
    return np.concatenate([voices.wave(index) for index in chosen])


def draw(run, folder):
    voices = data.drawn_voices(35, seed=1000)               # not those of training
    wave = np.concatenate([spoken("sad", voices), spoken("angry", voices), PAUSE, spoken("surprise", voices)])
    talk = io.BytesIO()
    soundfile.write(talk, wave, RATE, format="WAV")
    heard = Listener(run)(talk)
    figure = viz.timeline(heard.spans, heard.rows, heard.classes, "Made voices: sad, then angry, a pause, surprised")
    folder.mkdir(parents=True, exist_ok=True)
    viz.save(figure, folder / "timeline.png", dpi=65)


if __name__ == "__main__":
    draw(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "figures")
