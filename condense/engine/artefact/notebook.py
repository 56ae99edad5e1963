"""A condensed set as a notebook shows it: what it is, what it reached, what is wrong, a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from condense.engine.artefact.preview import draw_preview
from condense.engine.documents import Accuracy, Results
from condense.figures import html
from condense.figures.formats import points, spread
from condense.kinds import RANDOM
from condense.results import with_advice
from condense.spelling import in_python

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

LARGEST = 100_000  # bytes of a picture; a larger one is made a JPEG
QUALITY = 80


def as_html(condensed: CondensedDataset) -> str:
    """HTML of ``condensed``, every text in it escaped, without a script or an outside address."""
    parts = [html.paragraph(repr(condensed), strong=True)]
    if condensed.results is not None:
        results = Results.model_validate_json(json.dumps(dict(condensed.results)))
        if results.accuracy is not None:
            headers = ("arm", "accuracy, % ± std (n)", "points over random")
            parts.append(html.table(headers, list(_rows(results))))
        told = [in_python(with_advice(f.message, f.advice)) for f in results.findings]
        parts.append(html.bullets(told))
    image, kind = _small(draw_preview(condensed))
    parts.append(html.picture(image, kind, f"samples of {condensed!r}"))
    return "".join(parts)


def _rows(results: Results) -> Iterator[tuple[str, str, str]]:
    """The set itself, then what it is compared with."""
    random = results.baselines.get(RANDOM)
    arms = [(results.method, results.accuracy)]
    arms += [(f"{name} (baseline)", found) for name, found in results.baselines.items()]
    for name, found in arms:
        if found is not None:
            yield name, _figures(found), _over(found, random)


def _figures(found: Accuracy) -> str:
    return f"{spread(found.mean, found.std)} ({found.n})"


def _over(found: Accuracy, random: Accuracy | None) -> str:
    return "" if random is None or found is random else points(found.mean - random.mean)


def _small(png: bytes) -> tuple[bytes, str]:
    """``png``, or a JPEG of it where it is large, and which of them."""
    if len(png) <= LARGEST:
        return png, "png"
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "JPEG", quality=QUALITY)
    return out.getvalue(), "jpeg"
