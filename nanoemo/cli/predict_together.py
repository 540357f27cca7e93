"""What `nanoemo predict` does with a fusion in place of a run: one picture and one recording are judged together."""
import functools

import numpy as np

from nanoemo import data, viz
from nanoemo.cli.common import say
from nanoemo.cli.predict import Results
from nanoemo.cli.predict_kinds import FINEST_SEARCH, SHOWN, Faces, Voices, with_windows_shown
from nanoemo.data.clipset import RATE
from nanoemo.data.photo import shrunk
from nanoemo.data.pictures import is_picture
from nanoemo.data.recordings import is_recording
from nanoemo.data.source import check_ordinary, existing
from nanoemo.files import plain
from nanoemo.recognition import NoFace, Together

__all__ = ["run"]

BIN = RATE // 150           # samples; the windows' hop is so many times this that the bins of all windows are one row


class Pair:
    """A picture and a recording, for a fusion."""
    PLURAL = "pairs"

    def __init__(self, args):
        self.args = args
        self.photo, self.clip = _picture_and_recording(args.run, args.files)

    def load(self):
        self.trained = Together(self.args.run, self.args.device)

    def answer(self):
        """(`Judged`, plain data, a function that draws the figure)."""
        picture, outline = data.read_photo(self.photo), Outline()
        search = {"longest": self.args.search} if self.args.search else {}
        try:
            judged = self.trained(picture, self.clip, self.args.whole,
                                  lambda windows: outline(with_windows_shown(self.clip, windows)), **search)
        except NoFace as error:
            raise NoFace(f"{self.photo}: {error}; for smaller faces: --search {FINEST_SEARCH}; where it is a face and nothing "
                         "else: --whole") from None
        height, width, _ = picture.shape
        found = {"recording": plain(self.clip), "width": width, "height": height, **judged.as_json()}
        return judged, found, functools.partial(self._figure, picture, outline, judged)

    def _figure(self, picture, outline, judged):
        small, scale = shrunk(picture, SHOWN)
        x, y, side, tilt = judged.face[:4]
        return viz.face_and_voice(
            small, (x * scale, y * scale, side * scale, tilt), outline.halves, judged.seconds,
            {way: list(shares.values()) for way, shares in judged.probabilities.items()}, judged.classes,
            f"{plain(self.photo.name)} and {plain(self.clip.name)}: {self.trained.title}", seen(judged), heard(judged))


def run(args):
    """Judge the two files that `args` names; returns the exit status."""
    pair = Pair(args)
    results = Results(args, pair)
    pair.load()
    together = pair.trained
    for kind, part in ((Faces, together.recognizer), (Voices, together.listener)):
        if part.drawn:
            say(f"a run of this fusion was trained on {kind.DRAWN} means nothing")
    judged, found, draw = pair.answer()
    try:
        results.write(pair.photo, found, draw, "picture")
    finally:
        results.save(now=True)
    say(f"{plain(pair.photo)}: {seen(judged) or 'a face'}; {plain(pair.clip)}: {heard(judged)}")
    for way, shares in judged.probabilities.items():
        label = judged.labels[way]
        say(f"{way:<9} {label:<10} {', '.join(f'{name} {100 * share:.0f} %' for name, share in shares.items())}")
    say(f"how weighted, learned and joint were learned: {together.note}")
    say(f"figure and predictions.json: {results.folder}")
    return 2 if results.problems else 0


def seen(judged):
    """Which of the faces it is, in words; "" where there is but one."""
    return f"the largest of {judged.faces} faces" if judged.faces > 1 else ""


def heard(judged):
    """What the recording is, in words."""
    windows, silent, clipped = len(judged.spans), judged.silent.sum(), judged.clipped.sum()
    if windows == 1:
        return f"{judged.seconds:.1f} s{', clipped' * clipped}"
    return (f"{judged.seconds:.1f} s, mean over {windows - silent} windows" + (f", {silent} more are silent" if silent else "")
            + (f", {clipped} are clipped" if clipped else ""))


def _picture_and_recording(fusion, files):
    """The paths of the one picture and the one recording in `files`, whichever comes first."""
    wanted = (f"{fusion} is a fusion, which judges a face and a voice together: give one picture and one recording "
              f"(nanoemo predict {fusion} photo.jpg clip.wav)")
    if len(files) != 2:
        raise ValueError(f"{wanted}; got {len(files)} file{'s' * (len(files) != 1)}")
    kinds = {existing(file): is_recording(file) - is_picture(file) for file in files}       # 0 for a name that tells nothing
    if len(set(kinds.values())) != 2:
        raise ValueError(f"{wanted}; got {' and '.join(files)}")
    for path in kinds:
        check_ordinary(path)
    return sorted(kinds, key=kinds.get)


class Outline:
    """The lowest and the highest sample in each 150th of a second of the windows that pass through, which may overlap."""

    def __init__(self):
        self.end, self.low, self.high = 0.0, [], []

    def __call__(self, windows):
        for window in windows:
            new = window.wave[round((self.end - window.start) * RATE):]
            starts = np.arange(0, len(new), BIN)
            self.low.append(np.minimum.reduceat(new, starts))
            self.high.append(np.maximum.reduceat(new, starts))
            self.end = window.end
            yield window

    @property
    def halves(self):
        """(low (n,), high (n,))."""
        return np.concatenate(self.low), np.concatenate(self.high)
