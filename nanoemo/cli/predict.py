"""`nanoemo predict RUN FILE...`: the emotion that a trained model reads in the faces of pictures, or in recorded voices."""
import sys
import time
from collections import Counter
from pathlib import Path

from nanoemo.card_memory import out_of_memory_explained
from nanoemo.cli.common import no_memory, whole_number
from nanoemo.files import plain


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or of a fusion that `nanoemo fuse` made")
    parser.add_argument("files", metavar="FILE", nargs="+",
                        help="a picture, or a recording where the run was trained on voices; or a folder of them; for a "
                             "fusion one picture and one recording")
    parser.add_argument("--out", metavar="DIR", help="a new folder for what is written (default predictions/RUN-N)")
    parser.add_argument("--whole", action="store_true", help="each picture is a face already: search for none in it")
    parser.add_argument("--search", type=whole_number(24, 4000), metavar="PIXELS",
                        help="search in pictures scaled down to this size (default 400, and 1000 where that finds no face); more "
                             "finds smaller faces, slowly")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default cpu)")


def run(args):
    from nanoemo.cli.predict_kinds import Faces, Voices
    from nanoemo.data import DataError
    from nanoemo.data.source import files_at
    from nanoemo.recognition import listens
    from nanoemo.training import ways

    if ways.is_fusion(args.run):
        from nanoemo.cli import predict_together
        return predict_together.run(args)
    kind = Voices(args) if listens(args.run) else Faces(args)
    files = [file for path in args.files for file in files_at(path, kind.accepts, kind.PLURAL, kind.SUCH_AS)]
    kind.load()
    results = Results(args, kind)
    if kind.trained.drawn:
        print(f"this run was trained on {kind.DRAWN} means nothing", flush=True)
    try:
        for file in files:
            results.save()                                 # what follows may be killed, for its memory or by a power cut
            try:
                with out_of_memory_explained(batches=False):
                    line, found, draw = kind.answer(file)
                results.write(file, found, draw)
            except (DataError, OSError, MemoryError) as error:     # the others shall not suffer
                results.failed(file, error)
                continue
            print(f"{plain(file)}: {line}", flush=True)
    finally:
        results.save(now=True)
    if kind.advice(len(files)):
        print(kind.advice(len(files)))
    if results.folder:
        print(f"figures and predictions.json: {results.folder}")
    return 2 if results.problems else 0


class Results:
    """The folder of one call, made when there is something to write: figures, and predictions.json."""

    def __init__(self, args, kind):
        self.args, self.kind = args, kind
        self.folder, self.entries, self.names, self.problems, self.due = None, [], Counter(), 0, 0.0
        if args.out is not None and Path(args.out).exists() and (not Path(args.out).is_dir() or any(Path(args.out).iterdir())):
            raise ValueError(f"{args.out} exists already, and nothing is overwritten; give a new folder with --out")

    def failed(self, file, error):
        reason = str(error)
        if isinstance(error, (OSError, MemoryError)):
            reason = f"{file}: {no_memory(error) if isinstance(error, MemoryError) else error.strerror or error}"
        self._say(reason)
        self.entries.append({"file": plain(file), "error": plain(reason)})

    def write(self, file, found, draw, called="file"):
        """Keep what was found in a file, plain data, and its figure where it has one and it can be drawn."""
        self._make_folder()
        figure = {} if draw is None else self._drawn(file, draw)
        self.entries.append({called: plain(file), **figure, **found})

    def _drawn(self, file, draw):
        from nanoemo import viz

        name = self._free_name(plain(file.stem))
        try:
            viz.save(draw(), self.folder / name)
        except (ValueError, OSError, MemoryError) as error:         # what was found shall not suffer
            reason = " ".join(str(error).split())          # Matplotlib's may have lines
            self._say(f"{file}: its figure cannot be drawn ({reason}); what was found is in predictions.json")
            return {}
        return {"figure": name}

    def _say(self, problem):
        print(f"nanoemo predict: error: {plain(problem)}", file=sys.stderr, flush=True)
        self.problems += 1

    def _make_folder(self):
        from nanoemo.files import next_free

        if self.folder is None and self.args.out is None:
            self.folder = next_free(Path("predictions") / Path(self.args.run).resolve().name)
        elif self.folder is None:
            Path(self.args.out).mkdir(parents=True, exist_ok=True)
            self.folder = Path(self.args.out)

    def _free_name(self, stem):
        """Of two files with one name in different folders the second's figure is name-2.png."""
        self.names[stem.lower()] += 1
        number = self.names[stem.lower()]
        return f"{stem}.png" if number == 1 else self._free_name(f"{stem}-{number}")

    def save(self, now=False):
        """Write predictions.json; unless `now`, of thousands of files not after each: it would take longer than they."""
        from nanoemo.files import write_json

        start = time.monotonic()
        if self.folder is None or start < self.due and not now:
            return
        trained = self.kind.trained
        write_json(self.folder / "predictions.json", {
            "run": str(self.args.run), "model": trained.title, "drawn": trained.drawn,
            "classes": list(trained.classes), self.kind.PLURAL: self.entries})
        end = time.monotonic()
        self.due = end + 9 * (end - start)
