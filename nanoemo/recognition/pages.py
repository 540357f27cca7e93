"""What the local page can be: one that sees faces, or one that listens. A `Server` serves either.

A page says which files it is made of, which device it may use, where its pictures or recordings are sent and how large they
may be, and answers for one with plain data. It raises DataError for what it can do nothing with.
"""
import io

from nanoemo import data
from nanoemo.data.recordings import Silent, Unusable
from nanoemo.data.windows import seconds
from nanoemo.recognition.listener import Listener
from nanoemo.recognition.recognizer import Recognizer
from nanoemo.recognition.trained import listens

__all__ = ["FacesPage", "VoicesPage", "page_of"]

CAMERA = {"longest": 320, "tilts": (0,)}        # how a frame of the camera is searched: several a second
MICROPHONE = {"quiet": 0.02}                    # a room is never silent: what stays below 2 % of full scale is no voice
LONGEST = 600.0                                 # seconds of a recording, which take a minute to hear


class FacesPage:
    """Answers for pictures with the faces in them, by a `Recognizer`."""
    FILES = ("faces.html", "faces.js", "page.js", "page.css")       # the first is what a browser asks for
    DEVICE, PATH, THINGS = "camera", "/recognize", "pictures"
    MOST_BYTES = 25_000_000

    def __init__(self, trained):
        self.trained = trained

    def answer(self, content, options):
        """The faces in a picture file's bytes. options: "camera", a frame of it; "whole", as for `Recognizer`."""
        picture = data.read_photo(io.BytesIO(content))
        found = self.trained(picture, "whole" in options, **(CAMERA if "camera" in options else {}))
        height, width, _ = picture.shape
        return {"width": width, "height": height, "faces": [one.as_json() for one in found]}


class VoicesPage:
    """Answers for recordings with what is heard in them, by a `Listener`."""
    FILES = ("voices.html", "voices.js", "timeline.js", "wav.js", "recorder.js", "page.js", "page.css")
    DEVICE, PATH, THINGS = "microphone", "/listen", "recordings"
    MOST_BYTES = 120_000_000                    # a little more than `LONGEST` has on a compact disc

    def __init__(self, trained):
        self.trained = trained

    def answer(self, content, options):
        """What is heard in the bytes of an audio file. options: "microphone", a few seconds of it."""
        file = io.BytesIO(content)
        length = seconds(file)
        if length > LONGEST:
            raise Unusable(f"{length:.1f} s long, but this page hears up to {LONGEST:.0f} s; `nanoemo predict` hears any length")
        try:
            return self.trained(file, **(MICROPHONE if "microphone" in options else {})).as_json()
        except Silent:
            return {"silent": True, "seconds": round(length, 2)}


def page_of(run, device="cpu"):
    """The page for the run in folder `run`. Raises as `Recognizer` or `Listener` does."""
    return VoicesPage(Listener(run, device)) if listens(run) else FacesPage(Recognizer(run, device))
