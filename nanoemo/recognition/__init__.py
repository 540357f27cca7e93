"""From a picture or a recording to an emotion: a trained run, and photographs with faces or clips of voices.

`Recognizer`, `Listener` and, for both at once, `Together` are what `nanoemo predict` uses; `Server` and `page_of` the local
page of `nanoemo webcam`.
"""
from nanoemo.recognition.listener import Heard, Listener
from nanoemo.recognition.pages import FacesPage, VoicesPage, page_of
from nanoemo.recognition.recognizer import Recognized, Recognizer
from nanoemo.recognition.server import Server
from nanoemo.recognition.together import Judged, NoFace, Together
from nanoemo.recognition.trained import listens

__all__ = ["FacesPage", "Heard", "Judged", "Listener", "NoFace", "Recognized", "Recognizer", "Server", "Together", "VoicesPage",
           "listens", "page_of"]
