"""A data set of Hugging Face's: parquet and a dataset card."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from condense import DISTRIBUTION
from condense.engine.artefact.exports.encoded import encoded
from condense.engine.artefact.exports.rows import rows
from condense.engine.runtime.folders import Layout, check_folder, replace_folder
from condense.errors import importing
from condense.recipe import recipe_toml

if TYPE_CHECKING:
    from condense.engine.artefact.dataset import CondensedDataset

CARD, PARQUET = "README.md", "data/train-00000-of-00001.parquet"
TAG = "made-with-condense"
SEAL = "<!-- condense {} -->\n"  # the card's last line: the SHA-256 of what stands above it


def _as_written(contents: bytes) -> bool:
    """Whether a card is as :func:`card` made it: one that somebody has edited is theirs."""
    end = contents.rfind(b"<!--")
    return contents[end:] == _seal(contents[:end])


def _seal(text: bytes) -> bytes:
    return SEAL.format(hashlib.sha256(text).hexdigest()).encode()


DATASET = Layout(CARD, (PARQUET,), _as_written)


def write(condensed: CondensedDataset, folder: Path) -> Path:
    """``folder/data/train-….parquet`` and ``README.md``; ``load_dataset(folder)`` reads it.

    Columns: ``image`` or ``features`` (in the data's own units), ``label`` with the names of the
    classes, ``role``, ``source_index``, and those of :func:`rows` that are known.

    Raises:
        OptionError: if ``datasets`` is not installed.
        OutputError: if it cannot be written, or a card that is there has been edited.
    """
    needs, otherwise = "`to=hf` needs Hugging Face's datasets", " or give another format"
    with importing("hf", needs, "datasets", otherwise=otherwise):
        import datasets
    from pyarrow import parquet

    columns, features = _columns(condensed)
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    def fill(draft: Path) -> None:
        (draft / PARQUET).parent.mkdir()
        parquet.write_table(made.data.table, draft / PARQUET)
        text = card(condensed).encode()
        (draft / CARD).write_bytes(text + _seal(text))

    return replace_folder(folder, fill, partial(check_folder, folder, DATASET))


def _columns(condensed: CondensedDataset) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns, and what each holds."""
    from datasets import ClassLabel, Image, List, Value

    told = rows(condensed)
    columns = {key: [row[key] for row in told] for key in told[0] if key != "label"}
    columns = {"label": columns.pop("label_index")} | columns
    features: dict[str, Any] = {
        "label": ClassLabel(names=list(condensed.classes)),
        "role": Value("string"),
        "source_index": Value("int64"),
        "source": Value("string"),
        "score": Value("float32"),
        "text": Value("string"),
        "soft_label": List(Value("float32"), length=len(condensed.classes)),
    }
    features = {key: features[key] for key in columns}
    if condensed.geometry.is_image:
        files = encoded(condensed)[1]
        names = [f"{i:05d}-{row['role']}.png" for i, row in enumerate(told)]
        images = [{"bytes": one, "path": name} for one, name in zip(files, names, strict=True)]
        return {"image": images} | columns, {"image": Image()} | features
    vectors = condensed.features
    kind = List(Value("float32"), length=vectors.shape[1])
    return {"features": list(vectors.numpy())} | columns, {"features": kind} | features


def card(condensed: CondensedDataset) -> str:
    """The dataset card: what the set is, what it reached, and the recipe that makes it."""
    real = len(condensed) - int(condensed.distilled.sum())
    title = f"{condensed.data_name}, condensed by {condensed.method}"
    task = "image" if condensed.geometry.is_image else "tabular"
    parts = [
        "---",
        f"pretty_name: {json.dumps(title)}",
        f"task_categories:\n- {task}-classification",
        f"tags:\n- dataset-distillation\n- {TAG}",
        f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {PARQUET}",
        "---",
        f"# {title}\n",
        f"{len(condensed)} samples in {len(condensed.classes)} classes: {real} real ones as they "
        f"were, {len(condensed) - real} distilled (column `role`); `source_index` is the sample of "
        "the training data that each is or started from.\n",
    ]
    if condensed.soft_labels is not None:
        parts.append("Train towards `soft_label`, a distribution over the classes.\n")
    parts += [*_results(condensed), "## Recipe\n", "```toml"]
    parts += [recipe_toml(condensed.recipe).rstrip("\n"), "```\n"]
    parts.append(
        f"Made with [condense](https://pypi.org/project/{DISTRIBUTION}/) of data with the "
        f"fingerprint `{condensed.data_fingerprint}`."
    )
    return "\n".join(parts) + "\n"


def _results(condensed: CondensedDataset) -> list[str]:
    """Test accuracy of the set and of its baselines, where it was evaluated."""
    found = condensed.results
    if found is None or found["accuracy"] is None:
        return []
    arms = {"this set": found["accuracy"]} | dict(found["baselines"])
    lines = ["## Results\n", "| trained on | test accuracy, % ± std | networks |", "|---|---|---|"]
    for name, accuracy in arms.items():
        mean, std, n = accuracy["mean"], accuracy["std"], accuracy["n"]
        spread = "" if std is None else f" ± {100 * std:.2f}"
        lines.append(f"| {name} | {100 * mean:.2f}{spread} | {n} |")
    return [*lines, ""]
