"""Draws the figure of docs/fusion.md into docs/figures/: a fusion of drawn faces and made voices judges others of them.

    nanoemo train chater.dcnn --limit 700 --epochs 8 --out FACE
    nanoemo train chater.conv1d --limit 140 --epochs 8 --out VOICE
    nanoemo fuse FACE VOICE --out FUSION
    python docs/make_together.py FUSION [FOLDER]
"""
import io
import sys
from pathlib import Path

import numpy as np
import soundfile

from nanoemo import data, viz
from nanoemo.cli.predict_together import Outline
from nanoemo.data.clipset import RATE
from nanoemo.recognition import Together


def draw(fusion, folder, emotion="happy"):
    faces, voices = data.drawn_faces(35, seed=1000), data.drawn_voices(35, seed=1000)       # not those of training
    face, voice = (np.flatnonzero(examples.labels == examples.class_names.index(emotion))[0] for examples in (faces, voices))
    picture, clip, outline = faces.images[face].repeat(3, axis=2), io.BytesIO(), Outline()
    soundfile.write(clip, voices.wave(voice), RATE, format="WAV")
    judged = Together(fusion)(picture, clip, whole=True, each=outline)
    shares = {way: list(probabilities.values()) for way, probabilities in judged.probabilities.items()}
    figure = viz.face_and_voice(picture, judged.face, outline.halves, judged.seconds, shares, judged.classes,
                                f"A drawn face and a made voice, both {emotion}")
    folder.mkdir(parents=True, exist_ok=True)
    viz.save(figure, folder / "together.png", dpi=65)


if __name__ == "__main__":
    draw(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "figures")
