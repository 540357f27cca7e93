"""A trained network that is given recordings: cut into pieces, each made into features as the run's own validation clips
were, classified."""
import itertools
from dataclasses import dataclass

import numpy as np

from nanoemo import features
from nanoemo.data.recordings import SILENT, Silent, is_silent, opened_recording, require_libraries
from nanoemo.data.windows import windows
from nanoemo.recognition.trained import Trained

__all__ = ["Heard", "Listener"]

AT_ONCE = 32            # pieces that the network is given together


@dataclass(frozen=True)
class Heard:
    """What was heard in a recording.

    spans: float (W, 2), where each piece of it begins and ends, in seconds; one piece for a short recording
    rows: float32 (W, K), the probability of each class in each piece; NaN where the piece is silent
    classes: the K names
    clipped: bool (W,), whether the piece was recorded too loud, so that its peaks are cut off; it is judged all the same
    """
    spans: np.ndarray
    rows: np.ndarray
    classes: tuple
    clipped: np.ndarray

    @property
    def seconds(self):
        """How long the recording is."""
        return float(self.spans[-1, 1])

    @property
    def probabilities(self):
        """{class: its mean probability over the pieces that are not silent}."""
        return dict(zip(self.classes, np.nanmean(self.rows, axis=0, dtype=np.float64).tolist()))

    @property
    def label(self):
        """The class of the highest mean probability."""
        return max(self.probabilities, key=self.probabilities.get)

    def as_json(self):
        """Plain data: the answer for all of it, how many pieces are clipped, and the answer for each piece. A silent one has no
        probabilities."""
        def rounded(values):
            return {name: round(float(value), 4) for name, value in zip(self.classes, values)}

        def answer(row):
            return {"silent": True} if np.isnan(row[0]) else {"label": self.classes[row.argmax()], "probabilities": rounded(row)}

        pieces = [{"start": round(start, 2), "end": round(end, 2), **answer(row)}
                  for (start, end), row in zip(self.spans.tolist(), self.rows)]
        return {"seconds": round(self.seconds, 2), "label": self.label, "probabilities": rounded(self.probabilities.values()),
                "clipped": int(self.clipped.sum()), "windows": pieces}


class Listener(Trained):
    """The network of the run in folder `run`, trained on voices, with the weights of its best epoch.

    device: where to compute, wherever it was trained

    Raises RunFolderError where `run` is no run, ValueError where it has no finished epoch or its network sees and does not
    listen, CheckpointError for damaged weights, ImportError where recordings cannot be read.

        from nanoemo.recognition import Listener
        listener = Listener("runs/chater.lstm-1")
        heard = listener("clip.wav")
        print(heard.label, heard.probabilities)
    """

    def _check(self, folder, settings):
        super()._check(folder, settings)
        if not settings.listens:
            raise ValueError(f"{folder.path}: {settings.model} was trained on pictures and hears nothing; give the run of a "
                             "network that listens, such as chater.lstm")

    def _prepare_for(self, folder, settings):
        require_libraries()
        features.require_librosa()
        self.kind, self.standardise = settings.features, folder.standardisation()
        return self.example_shape

    def __call__(self, file, each=iter, quiet=SILENT):
        """What is heard in a recording, as `Heard`: one answer for up to 10 s, for a longer one an answer every second
        (`nanoemo.data.windows`).

        file: a path, or a binary file object such as `io.BytesIO(content)`
        each: what the windows are drawn through, such as a bar of progress
        quiet: a window that stays below this, of a full scale of 1, is silent
        Raises Unusable (a DataError) where nothing can be heard of the file, Silent (one of those) where it is silent
        throughout, OSError where a path cannot be opened.
        """
        spans, rows, clipped = self.heard(file, self.probabilities, each, quiet)
        return Heard(spans, rows, self.classes, clipped)

    def heard(self, file, ask, each=iter, quiet=SILENT):
        """The pieces of a recording as `Heard` has them, spans (W, 2), rows (W, ...) and clipped (W,), with any rows.

        ask: gives for waves, as `probabilities` takes them, as many rows; a silent piece is not asked about, its row is NaN
        Other arguments and errors are those of a call.
        """
        spans, loud, rows, clipped = [], [], [], []
        with opened_recording(file) as content:
            pieces = iter(each(windows(content)))
            while batch := list(itertools.islice(pieces, AT_ONCE)):
                spans += [piece[:2] for piece in batch]
                clipped += [piece.clipped for piece in batch]
                heard = [not is_silent(piece.wave, quiet) for piece in batch]
                if any(heard):
                    rows.append(ask([piece.wave for piece, is_heard in zip(batch, heard) if is_heard]))
                loud += heard
            if not rows:
                raise Silent()
        found = np.concatenate(rows)
        rows = np.full((len(spans), *found.shape[1:]), np.nan, found.dtype)     # in silence a network would read an emotion too
        rows[loud] = found
        return np.array(spans), rows, np.array(clipped)

    def probabilities(self, waves):
        """float32 (N, K), the softmax of the network's scores, for N waves, each float32 (samples,), -1 to 1, at 22,050
        samples a second."""
        return self._ask(waves)

    def _inputs(self, waves):
        made = np.stack([features.of_wave(wave, self.kind) for wave in waves])
        return (self.standardise(made, None),)
