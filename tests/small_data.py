"""A data set that is quicker to read than faces are to draw."""
import numpy as np


def write_bands(path):
    """35 images a split in FER2013's form, a bright band for each class."""
    pixels = np.random.default_rng(0).integers(0, 50, (105, 48, 48))
    for n in range(105):
        pixels[n, 6 * (n % 7):6 * (n % 7) + 8] += 200
    pixels = pixels.reshape(105, -1)
    lines = [f"{n % 7},{' '.join(map(str, row))},{('Training', 'PublicTest', 'PrivateTest')[n // 35]}"
             for n, row in enumerate(pixels)]
    path.write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
