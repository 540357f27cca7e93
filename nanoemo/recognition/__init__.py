"""From a picture or a recording to an emotion: a trained run, and photographs with faces or clips of voices.

`Recognizer` and `Listener` are what `nanoemo predict` uses; `Server` and `page_of` the local page of `nanoemo webcam`.
"""
from nanoemo.recognition.listener import Heard, Listener
from nanoemo.recognition.pages import FacesPage, VoicesPage, page_of
from nanoemo.recognition.recognizer import Recognized, Recognizer
from nanoemo.recognition.server import Server
from nanoemo.recognition.trained import listens

__all__ = ["FacesPage", "Heard", "Listener", "Recognized", "Recognizer", "Server", "VoicesPage", "listens", "page_of"]
