"""From a photograph to an emotion, with a network you have trained: find the faces, cut them out, classify, draw.

    nanoemo train njoku.cnn --data fer2013.csv --epochs 10
    python examples/photo_to_emotion.py runs/njoku.cnn-1 photo.jpg
    python examples/photo_to_emotion.py runs/njoku.cnn-1 photo.jpg --device cuda

Without a photograph it takes the portrait that scikit-image ships: Eileen Collins, astronaut, smiling. `nanoemo predict`
does the same for many files; here are the steps.

Expect: the square of each face and its probabilities, then on the last line how many faces there are. A network trained on
FER2013 calls the portrait happy; one trained on drawn faces has never seen a photograph, and guesses.
"""
import argparse
from pathlib import Path

from skimage.data import astronaut

from nanoemo import data, viz
from nanoemo.recognition import Recognizer

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("run", help="the folder of a run of `nanoemo train`")
parser.add_argument("photo", nargs="?", help="a picture file (default: the astronaut's portrait)")
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
args = parser.parse_args()

picture = data.read_photo(args.photo) if args.photo else astronaut()           # uint8 (H, W, 3)
recognizer = Recognizer(args.run, args.device)
found = recognizer(picture)
for one in found:
    print(f"{one.label}: a face of {one.face.side:.0f} pixels at ({one.face.x:.0f}, {one.face.y:.0f}), tilted by "
          f"{one.face.tilt:.0f} degrees")
    for name, probability in one.probabilities.items():
        print(f"    {name:10} {probability:.3f}")

figure = viz.faces_in_photo(picture, [one.face for one in found], [list(one.probabilities.values()) for one in found],
                            recognizer.classes, recognizer.title)
Path("emotions.png").write_bytes(viz.to_png(figure))
print(f"{len(found)} faces in emotions.png")
