"""From a recording to the 162 numbers that Chater's networks read, group by group.

    python examples/voice_features.py                   # the network on the GPU: --device cuda
    python examples/voice_features.py clip.wav          # your own recording

Needs librosa: pip install 'nanoemo[speech]'. docs/speech.md has the formulas. Without a recording it takes two voices made
by formula (docs/speech.md), an angry and a sad one, and prints them side by side.

Expect: a line for each of the five groups. The angry voice has by far the larger RMS (loudness), and so the larger mel
spectrogram. At the end, what the untrained chater.conv1d makes of it: about one in seven for each emotion.
"""
import argparse

import nanoemo
from nanoemo import Tensor, data, models, ops
from nanoemo.data.clipset import RATE
from nanoemo.features.speech import VECTOR_PARTS, vector162

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("clip", nargs="?", help="a recording (default: two voices made by formula)")
parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
args = parser.parse_args()

if args.clip:
    import librosa

    waves = {args.clip: librosa.load(args.clip, sr=RATE)[0]}
else:
    voices = data.drawn_voices(7)
    waves = {name: voices.wave(voices.class_names.index(name)) for name in ("angry", "sad")}

vectors = {}
for name, wave in waves.items():
    vectors[name] = vector162(wave)[:, 0]
    print(f"{name}: {len(wave):,} samples, {len(wave) / RATE:.2f} s → {len(vectors[name])} numbers")

print(f"\n{'':24}" + "".join(f"{name[-24:]:>28}" for name in vectors))
start = 0
for part, count in VECTOR_PARTS.items():
    cells = [f"{vector[start:start + count].min():.5g} … {vector[start:start + count].max():.5g}" if count > 1
             else f"{vector[start]:.5g}" for vector in vectors.values()]
    print(f"{part:19}{count:4} " + "".join(f"{cell:>28}" for cell in cells))
    start += count

nanoemo.manual_seed(0)
model = models.build("chater.conv1d").to(args.device).eval()
vector = vectors[next(iter(vectors))]
scaled = (vector - vector.mean()) / vector.std()         # one clip has no training set to take a mean and spread from
chances = ops.softmax(model(Tensor(scaled[None, :, None], device=args.device))).cpu().numpy()[0]
print(f"\nuntrained network: {', '.join(f'{chance:.0%}' for chance in chances)}")
