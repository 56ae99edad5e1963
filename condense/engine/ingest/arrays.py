"""Single arrays, checked and brought to the types of :mod:`condense.data`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from condense.engine.ingest.images import LEVELS, converted, is_grey
from condense.errors import DataError
from condense.reading import LARGEST, check_text, in_one_line, shown

Array: TypeAlias = np.ndarray[Any, Any]
ArrayLike: TypeAlias = Array | Tensor | Sequence[Any]

CHANNELS = (1, 3)
CHUNK = 1024  # samples converted or measured at a time
LOOKED = 1024  # samples whose numbers are compared with what float32 makes of them
NOISE = 1e-12  # of its size, up to which a feature is constant but for rounding in float64
_AS_PRECISE = (  # as float32, or less
    *(torch.float32, torch.float16, torch.bfloat16),
    *(torch.uint8, torch.int8, torch.int16, torch.bool),
)
_SLACK = 1e-6  # resampling in float32 overshoots 1.0 by this much
_EXPECTED = (
    "images are uint8 or float 0–1 of shape [N, H, W, C] or [N, C, H, W] with C = 1 or 3, or "
    "[N, H, W]; "
    "features are numbers [N, D]"
)


def as_inputs(value: ArrayLike, split: str) -> Tensor:
    """uint8 [N, H, W, C] or float32 [N, D], contiguous."""
    given = tensor = _tensor(value, f"{split} inputs")
    if given.ndim < 2 or 0 in given.shape:
        raise DataError(f"{split} inputs have shape {tuple(given.shape)}; {_EXPECTED}")
    if given.ndim == 2:
        return _features(given, split)
    if given.ndim == 3:
        tensor = given.unsqueeze(-1)  # [N, H, W] → [N, H, W, 1]
    elif given.ndim == 4 and given.shape[1] in CHANNELS and given.shape[3] not in CHANNELS:
        tensor = given.permute(0, 2, 3, 1)  # [N, C, H, W] → [N, H, W, C]
    if tensor.ndim != 4 or tensor.shape[3] not in CHANNELS:
        raise DataError(f"{split} images have shape {tuple(given.shape)}; {_EXPECTED}")
    if tensor.dtype == torch.uint8:
        return tensor.contiguous()
    if tensor.is_floating_point():
        return _pixels(tensor, split)
    raise DataError(f"{split} images have dtype {_dtype(given)}; {_EXPECTED}")


def _tensor(value: ArrayLike, what: str) -> Tensor:
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise DataError(f"{what} are a sparse tensor; give them as a dense one, X.to_dense()")
        return value.detach().cpu()
    if hasattr(value, "toarray"):  # of scipy
        raise DataError(f"{what} are a sparse matrix; give them as a dense one, X.toarray()")
    array = _array(value, what)
    if array.dtype.kind in "OSU":
        array = _numbers(array, what)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} have dtype {array.dtype}; {_EXPECTED}")
    dtype = np.dtype(np.float64) if array.dtype == np.longdouble else array.dtype
    array = np.ascontiguousarray(array, dtype=dtype.newbyteorder("="))
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _numbers(cells: Array, what: str) -> Array:
    """float64 of ``cells`` of any types, as those of columns of whole numbers and of truths are."""
    for place, cell in np.ndenumerate(cells):
        if cell is None or isinstance(cell, numbers.Real | np.bool_):
            continue
        found = shown(str(cell) if isinstance(cell, str) else cell)
        where = ", ".join(map(str, place))
        raise DataError(
            f"{what} hold {found} at [{where}], which is no number (dtype {cells.dtype}); code "
            "categories as numbers, or give a table: a data frame, or a file, csv:PATH"
        )
    try:
        return cells.astype(np.float64)  # None is NaN then
    except OverflowError:
        raise DataError(f"{what} hold a number that no float can; drop or scale it") from None


def _array(value: ArrayLike, what: str) -> Array:
    try:
        return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    except ValueError as error:
        reason = in_one_line(error)
        raise DataError(f"{what} do not form an array ({reason}); give all one shape") from None


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _features(given: Tensor, split: str) -> Tensor:
    features = given.to(torch.float32).contiguous()
    for start in range(0, len(features), CHUNK):
        bad = ~torch.isfinite(features[start : start + CHUNK])
        if bad.any():
            row, column = torch.nonzero(bad)[0].tolist()
            raise DataError(
                f"{split} features hold {given[start + row, column].item()} at row {start + row}, "
                f"column {column}, all must be finite float32; drop or impute that sample"
            )
    if split == "train" and given.dtype not in _AS_PRECISE:
        some = given[:: -(-len(given) // LOOKED)].double().numpy()
        if (found := merged(some)) is not None:
            column, one, other = found
            raise DataError(
                f"{split} features hold {one:.15g} and {other:.15g} in column {column}, which are "
                "one number in float32, like most of that column; subtract what they have in "
                f"common, X[:, {column}] -= {one:.15g} for example, or leave the column out"
            )
    return features


def merged(values: Array) -> tuple[int, float, float] | None:
    """Where float32 does not tell numbers apart that differ by more than rounding.

    Args:
        values: float64 [N, D].

    Returns:
        The first column of which half of the different numbers or more are one with another, and
        two that are; None where there is no such column.
    """
    # below the least normal number all are as good as 0
    ranked = np.sort(np.where(np.abs(values) < np.finfo(np.float32).tiny, 0, values), 0)
    differ = np.diff(ranked, axis=0) != 0
    told = np.diff(ranked.astype(np.float32), axis=0) != 0
    noise = ranked[-1] - ranked[0] <= NOISE * np.abs(ranked).max(0)
    lost = (2 * (told.sum(0) + 1) <= differ.sum(0) + 1) & ~noise
    if not lost.any():
        return None
    column = int(np.argmax(lost))
    place = int(np.argmax((differ & ~told)[:, column]))
    return column, float(ranked[place, column]), float(ranked[place + 1, column])


def _pixels(images: Tensor, split: str) -> Tensor:
    """Float images in 0–1 as uint8."""
    result = torch.empty(images.shape, dtype=torch.uint8)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].float()
        bad = ~((part >= -_SLACK) & (part <= 1 + _SLACK))  # true for NaN as well
        if bad.any():
            first = torch.nonzero(bad)[0].tolist()
            value, where = part[tuple(first)].item(), f"image {start + first[0]}"
            if math.isnan(value):
                raise DataError(f"{split} images hold nan in {where}; drop or repair that image")
            raise DataError(
                f"{split} images hold {value:g} in {where}, float images must be in 0–1; undo "
                "their normalisation, divide by 255, or give uint8; what is no image, a series for "
                "example, is given as features [N, D], X.reshape(len(X), -1)"
            )
        result[start : start + CHUNK] = (part.clamp(0, 1) * 255).round().to(torch.uint8)
    if result.max() < LEVELS:
        values, told = (len(np.unique(each.float().numpy())) for each in (images, result))
        if values > 2 * told:
            raise DataError(
                f"{split} images reach {images.max():g} of 1 at most, so that the 8 bits that are "
                f"kept tell {told} of their {values} values apart; scale them to 0–1"
            )
    return result


def raw_labels(labels: ArrayLike, split: str, n: int) -> Array:
    """int64 or str [N], not yet mapped to class numbers."""
    raw = _array(labels, f"{split} labels")
    if raw.ndim != 1:
        hint = "labels.ravel()" if raw.size == n else "labels.argmax(1) for one-hot labels"
        raise DataError(f"{split} labels have shape {raw.shape}, expected ({n},); give {hint}")
    if len(raw) != n:
        raise DataError(
            f"{split} split has {n} inputs but {len(raw)} labels; give one label for each"
        )
    if raw.dtype.kind in "OSU" and _are_names(labels, raw, split):
        return np.array(names_of(raw, f"{split} labels"), dtype=str)
    if raw.dtype.kind not in "biuf":
        raise DataError(f"{split} labels have dtype {raw.dtype}, expected whole numbers or names")
    wrong = (raw < 0) & ~np.isin(raw, (-1, 1)).all()  # -1 beside others is no label, for many
    if raw.dtype.kind in "uf":
        # in float64: no half float is as large as that
        wrong |= ~np.isfinite(raw) | (raw != np.floor(raw)) | (raw >= np.float64(LARGEST))
    if wrong.any():
        where = int(np.argmax(wrong))
        raise DataError(
            f"{split} labels hold {raw[where]} at position {where}, expected whole numbers "
            "from 0, or -1 and 1; renumber the classes or drop unlabelled samples"
        )
    return raw.astype(np.int64)


def _are_names(labels: ArrayLike, raw: Array, split: str) -> bool:
    """Whether ``labels``, ``raw`` as an array, are text; false for numbers as objects.

    Raises:
        DataError: for one that is neither, or no text among names, as of a sample without a label.
    """
    # of a list, whose array has the text 'nan' where there is none
    given = list(labels) if isinstance(labels, Sequence) else raw.tolist()
    names = any(isinstance(label, str | bytes) for label in given)
    expected = (str, bytes) if names else (numbers.Real, np.bool_)
    wrong = next((k for k, label in enumerate(given) if not isinstance(label, expected)), None)
    if wrong is not None:
        others = "others are names" if names else "expected whole numbers or names"
        raise DataError(
            f"{split} labels hold {shown(given[wrong])} at position {wrong}, {others}; drop "
            "unlabelled samples, and give all labels as one kind"
        )
    return names


def names_of(values: Array | Sequence[Any], what: str) -> list[str]:
    """Names of classes as text, of which ``what`` says what they are; bytes are read as UTF-8.

    Raises:
        DataError: for what is no text that a file can hold.
    """
    try:
        listed = values.tolist() if isinstance(values, np.ndarray) else values
    except (ValueError, SystemError) as error:  # numbers of characters that there are not
        raise DataError(f"{what} hold no text ({error}); save names as text") from None
    names = []
    for position, name in enumerate(listed):
        try:
            names.append(check_text(name.decode() if isinstance(name, bytes) else str(name)))
        except ValueError:
            raise DataError(
                f"{what} hold {shown(name)} at position {position}, which is no text in UTF-8; "
                "save names as text"
            ) from None
    return names


def vocabulary(raw: Array, classes: Sequence[str] | None) -> tuple[tuple[str, ...], Array]:
    """Class names, and the raw label that stands for each."""
    if classes is None:
        keys = np.unique(raw)
        return tuple(str(key) for key in keys.tolist()), keys
    names = tuple(names_of(classes, "classes"))
    twice = sorted({c for c in names if names.count(c) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"class name '{twice[0]}' occurs twice in classes; names must differ")
    return names, np.array(names, dtype=str) if raw.dtype.kind == "U" else np.arange(len(names))


def encode(raw: Array, keys: Array, split: str, named: bool) -> Tensor:
    """int64 [N] class numbers, the positions of ``raw`` in ``keys``."""
    known = np.isin(raw, keys) if raw.dtype.kind == keys.dtype.kind else np.zeros(len(raw), bool)
    if not known.all():
        where = int(np.argmin(known))
        source = f"classes has {len(keys)} names" if named else "unknown to the train split"
        raise DataError(
            f"{split} labels hold {raw[where]} at position {where}, {source}; "
            f"allowed: {_listed(keys.tolist())}"
        )
    order = np.argsort(keys)
    codes = order[np.searchsorted(keys, raw, sorter=order)]
    return torch.from_numpy(codes.astype(np.int64))


def renumbered(raw: Array, own: Sequence[str], theirs: Sequence[str], split: str) -> Array:
    """``raw`` labels of ``split``, numbers in its ``own`` class names, as the numbers of the same
    names in those of the train split, ``theirs``; labels that are names as they are."""
    named, known = names_of(own, "classes"), names_of(theirs, "classes")
    if raw.dtype.kind == "U" or named == known:
        return raw
    numbers = encode(raw, np.arange(len(named)), split, named=True).numpy()
    places = {name: number for number, name in enumerate(known)}
    found: Array = np.array([places.get(name, -1) for name in named])[numbers]
    if (found < 0).any():
        where = int(np.argmin(found))
        raise DataError(
            f"{split} labels hold class {shown(named[numbers[where]])} at position {where}, which "
            f"the train split has not; its classes are {_listed(known)}; leave such samples out"
        )
    return found


def _listed(names: Sequence[Any]) -> str:
    return (", ".join(map(str, names[:10])) or "none") + (", …" if len(names) > 10 else "")


def as_sample(image: Any, where: str) -> Array:
    """uint8 [H, W, C], or float32 [D] of any numbers."""
    from PIL import Image

    if isinstance(image, Image.Image):
        try:
            image = np.array(converted(image, "L" if is_grey(image) else "RGB"))
        except ValueError as error:
            raise DataError(f"{where} is an image of mode {image.mode}: {error}") from None
    if not isinstance(image, Tensor | np.ndarray):
        raise DataError(
            f"{where} holds a {type(image).__name__}, expected a PIL image, an array or a tensor"
        )
    tensor = image.detach().cpu() if isinstance(image, Tensor) else _tensor(image, where)
    if tensor.ndim == 1:
        return np.asarray(tensor.float())
    return _image(tensor, where, chw_first=isinstance(image, Tensor))


def _image(given: Tensor, where: str, chw_first: bool) -> Array:
    """uint8 [H, W, C] of one image; float tensors that could be either are read as CHW."""
    tensor, real = given, given.is_floating_point()
    if given.ndim == 2:
        tensor = given.unsqueeze(-1)  # [H, W] → [H, W, 1]
    elif given.ndim == 3 and given.shape[0] in CHANNELS:
        if given.shape[2] not in CHANNELS or (real and chw_first):
            tensor = given.permute(1, 2, 0)  # [C, H, W] → [H, W, C]
    if tensor.ndim != 3 or not (real or tensor.dtype == torch.uint8):
        raise DataError(f"{where} is {_dtype(given)} {tuple(given.shape)}; {_EXPECTED}")
    if real:
        outside = tensor[~((tensor >= -_SLACK) & (tensor <= 1 + _SLACK))]
        if outside.numel():
            raise DataError(
                f"{where} holds {outside[0].item():g}, float images must be in 0–1; "
                "pass the data set without its Normalize transform"
            )
        tensor = (tensor.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.asarray(tensor)
