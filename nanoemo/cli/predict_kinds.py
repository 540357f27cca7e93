"""What `nanoemo predict` does with a file: look for faces in a picture, or listen to a recording.

Each kind says which files are its own, loads the run, and answers for a file with a line for people, plain data, and a
function that draws a figure, or None. It raises DataError for a file that it can do nothing with.
"""
import functools
import math

from nanoemo import data, viz
from nanoemo.bar import with_bar
from nanoemo.data.detection import smallest_face
from nanoemo.data.photo import shrunk
from nanoemo.data.pictures import is_picture
from nanoemo.data.recordings import is_recording
from nanoemo.files import plain
from nanoemo.recognition import Listener, Recognizer
from nanoemo.recognition.recognizer import FINER_SEARCH

__all__ = ["FINEST_SEARCH", "SHOWN", "Faces", "Voices", "with_windows_shown"]

FINEST_SEARCH = 4000    # pixels of the longer side in which faces are searched for, at most
SHOWN = 1600            # pixels of the longer side in the pictures that are written


class Faces:
    """Pictures, for a run that was trained on faces."""
    PLURAL, SUCH_AS = "pictures", "photo.jpg or photo.png"
    DRAWN = "drawn faces: what it says of photographs"

    def __init__(self, args):
        self.args, self.empty = args, 0
        self.shrunk = []        # of each picture searched smaller than it is: (smallest face, pixels searched, longer side, file)

    accepts = staticmethod(is_picture)

    def load(self):
        self.trained = Recognizer(self.args.run, self.args.device)

    def answer(self, photo):
        if is_recording(photo.name):
            raise data.DataError(f"{photo}: a recording, but {self.args.run} was trained on faces; give pictures, or a run "
                                 "that was trained on voices")
        picture = data.read_photo(photo)
        search = {"longest": self.args.search} if self.args.search else {}
        found, searched = self.trained.recognize(picture, self.args.whole, **search)
        self.empty += not found
        height, width, _ = picture.shape
        size = max(height, width)
        smallest = {} if searched is None else {"smallest": round(smallest_face(size, searched), 1)}
        if searched is not None and searched < size:
            self.shrunk.append((smallest_face(size, searched), searched, size, photo))
        line = _describe(found)
        draw = functools.partial(self._figure, picture, found, f"{plain(photo.name)}: {self.trained.title if found else line}")
        return line, {"width": width, "height": height, **smallest, "faces": [one.as_json() for one in found]}, draw

    def _figure(self, picture, found, title):
        small, scale = shrunk(picture, SHOWN)
        squares = [(x * scale, y * scale, side * scale, tilt) for x, y, side, tilt, _ in (one.face for one in found)]
        rows = [list(one.probabilities.values()) for one in found]
        return viz.faces_in_photo(small, squares, rows, self.trained.classes, title)

    def advice(self, total):
        lines = []
        if self.empty:
            lines.append(f"no face found in {self.empty} of {total} pictures; where a picture is a face and nothing else: "
                         "--whole")
        if self.shrunk:
            smallest, searched, size, photo = max(self.shrunk)
            finer = min(size, FINER_SEARCH if searched < FINER_SEARCH else FINEST_SEARCH)
            remedy = (f"--search {finer} finds those from {math.ceil(smallest_face(size, finer))} pixels on" if finer > searched
                      else "cut the picture into parts to find them")
            lines.append(f"scaled down for the search: {len(self.shrunk)} of {total} pictures; faces under {math.ceil(smallest)} "
                         f"pixels in {plain(photo.name)} were not searched for; {remedy}")
        return "\n".join(lines)


def _describe(found):
    if not found:
        return "no face found"
    faces = ", ".join(f"{one.label} {100 * one.probabilities[one.label]:.0f} %" for one in found)
    return f"{len(found)} face{'s' * (len(found) > 1)}: {faces}"


class Voices:
    """Recordings, for a run that was trained on voices."""
    PLURAL, SUCH_AS = "recordings", "clip.wav or clip.mp3"
    DRAWN = "made voices: what it says of real ones"

    def __init__(self, args):
        if args.whole or args.search:
            raise ValueError(f"--whole and --search are for pictures, but {args.run} was trained on voices; leave them out")
        self.args = args

    accepts = staticmethod(is_recording)

    def load(self):
        self.trained = Listener(self.args.run, self.args.device)

    def answer(self, file):
        if is_picture(file.name):
            raise data.DataError(f"{file}: a picture, but {self.args.run} was trained on voices; give recordings, or a run "
                                 "that was trained on faces")
        heard = self.trained(file, functools.partial(with_windows_shown, file))
        share = f"{heard.label} {100 * heard.probabilities[heard.label]:.0f} %"
        clipped = heard.clipped.sum()
        if len(heard.rows) == 1:
            return f"{heard.seconds:.1f} s{', clipped' * clipped}: {share}", heard.as_json(), None
        title = f"{plain(file.name)}: {self.trained.title}"
        draw = functools.partial(viz.timeline, heard.spans, heard.rows, heard.classes, title)
        too_loud = f", {clipped} of them clipped" if clipped else ""
        return f"{heard.seconds:.1f} s, {len(heard.rows)} windows{too_loud}: on average {share}", heard.as_json(), draw

    def advice(self, total):
        return None


def with_windows_shown(file, windows):
    """The windows of a recording, with how many are done on a terminal: two hours of it take minutes."""
    return with_bar(windows, f"listening to {plain(file.name)}")
