"""`nanoemo predict RUN PICTURE...`: the faces in pictures, and the emotion that a trained model reads in each."""
import argparse
import sys
from collections import Counter
from pathlib import Path

SHOWN = 1600            # pixels of the longer side in the pictures that are written


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("pictures", metavar="PICTURE", nargs="+", help="a picture, or a folder of pictures")
    parser.add_argument("--out", metavar="DIR", help="a new folder for what is written (default predictions/RUN-N)")
    parser.add_argument("--whole", action="store_true", help="each picture is a face already: search for none in it")
    parser.add_argument("--search", type=_pixels, default=400, metavar="PIXELS",
                        help="search in pictures scaled down to this size (default 400); more finds smaller faces, slowly")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default cpu)")


def _pixels(text):
    if not text.isdecimal() or not 24 <= int(text) <= 4000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 24 to 4000, got {text!r}")
    return int(text)


def run(args):
    from nanoemo import data
    from nanoemo.data.photo import find_photos
    from nanoemo.recognition import Recognizer

    photos = [photo for path in args.pictures for photo in find_photos(path)]
    recognizer = Recognizer(args.run, args.device)
    results = Results(args, recognizer)
    if recognizer.drawn:
        print("this run was trained on drawn faces: what it says of photographs means nothing", flush=True)
    failed = empty = 0
    try:
        for photo in photos:
            try:
                picture = data.read_photo(photo)
            except (ValueError, OSError) as error:          # the others shall not suffer
                results.failed(photo, error)
                failed += 1
                continue
            found = recognizer(picture, args.whole, longest=args.search)
            results.write(photo, picture, found)
            print(f"{photo}: {_describe(found)}", flush=True)
            empty += not found
    finally:
        results.close()
    if empty:
        print(f"no face found in {empty} of {len(photos)} pictures; for smaller faces: --search 1000; where a picture is a "
              "face and nothing else: --whole")
    if results.folder:
        print(f"pictures and predictions.json: {results.folder}")
    return 2 if failed else 0


def _describe(found):
    if not found:
        return "no face found"
    faces = ", ".join(f"{one.label} {100 * one.probabilities[one.label]:.0f} %" for one in found)
    return f"{len(found)} face{'s' * (len(found) > 1)}: {faces}"


class Results:
    """The folder of one call, made when there is something to write: a figure a picture, and predictions.json."""

    def __init__(self, args, recognizer):
        self.args, self.recognizer = args, recognizer
        self.folder, self.pictures, self.names = None, [], Counter()
        if args.out is not None and Path(args.out).exists() and (not Path(args.out).is_dir() or any(Path(args.out).iterdir())):
            raise ValueError(f"{args.out} exists already, and nothing is overwritten; give a new folder with --out")

    def failed(self, photo, error):
        reason = str(error) if not isinstance(error, OSError) else f"{photo}: {error.strerror or error}"
        print(f"nanoemo predict: error: {reason}", file=sys.stderr, flush=True)
        self.pictures.append({"file": str(photo), "error": reason})

    def write(self, photo, picture, found):
        from nanoemo import viz
        from nanoemo.data.photo import shrunk
        from nanoemo.files import write_file

        self._make_folder()
        name = self._free_name(photo.stem)
        small, scale = shrunk(picture, SHOWN)
        squares = [(x * scale, y * scale, side * scale, tilt) for x, y, side, tilt, _ in (one.face for one in found)]
        rows = [list(one.probabilities.values()) for one in found]
        title = f"{photo.name}: {_describe(found) if not found else self.recognizer.title}"
        figure = viz.faces_in_photo(small, squares, rows, self.recognizer.classes, title)
        write_file(self.folder / name, viz.to_png(figure))
        height, width, _ = picture.shape
        self.pictures.append({"file": str(photo), "width": width, "height": height, "figure": name,
                              "faces": [one.as_json() for one in found]})

    def _make_folder(self):
        from nanoemo.files import next_free

        if self.folder is None and self.args.out is None:
            self.folder = next_free(Path("predictions") / Path(self.args.run).resolve().name)
        elif self.folder is None:
            self.folder = Path(self.args.out)
            self.folder.mkdir(parents=True, exist_ok=True)

    def _free_name(self, stem):
        """Of two pictures with one name in different folders the second is name-2.png."""
        self.names[stem.lower()] += 1
        number = self.names[stem.lower()]
        return f"{stem}.png" if number == 1 else self._free_name(f"{stem}-{number}")

    def close(self):
        from nanoemo.files import write_json

        if self.folder is not None:
            recognizer = self.recognizer
            write_json(self.folder / "predictions.json", {
                "run": str(self.args.run), "model": recognizer.title, "drawn": recognizer.drawn,
                "classes": list(recognizer.classes), "pictures": self.pictures})
