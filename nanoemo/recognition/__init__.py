"""From a picture to an emotion: a trained run, and photographs with faces in them.

`Recognizer` is what `nanoemo predict` and `nanoemo webcam` use; `Server` is the local page of the latter.
"""
from nanoemo.recognition.recognizer import Recognized, Recognizer
from nanoemo.recognition.server import Server

__all__ = ["Recognized", "Recognizer", "Server"]
