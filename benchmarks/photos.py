"""A folder like one of photos: JPEGs of 48 to 96 px, 3 030 for training in 10 classes of 60 to 600.

    python benchmarks/photos.py cifar10.npz photos

Their content is CIFAR-10's, drawn at random and resized; 60 a class for testing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = {"train": (600, 540, 480, 420, 330, 240, 180, 120, 60, 60), "test": (60,) * 10}
PIXELS = (48, 96)  # least and most, of either side


def main(argv: Sequence[str]) -> int:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="npz file of CIFAR-10")
    parser.add_argument("out", type=Path)
    given = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    with np.load(given.data) as arrays:
        for part, sizes in SIZES.items():
            images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
            for label, size in enumerate(sizes):
                folder = given.out / part / str(arrays["classes"][label])
                folder.mkdir(parents=True)
                for at in rng.choice(np.flatnonzero(labels == label), size, replace=False):
                    wide, high = rng.integers(PIXELS[0], PIXELS[1] + 1, 2).tolist()
                    image = Image.fromarray(images[at]).resize(
                        (wide, high), Image.Resampling.BICUBIC
                    )
                    image.save(folder / f"{at:05d}.jpg", quality=90)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
