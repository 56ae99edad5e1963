"""Built-in datasets."""

from __future__ import annotations

from collections.abc import Callable

from condense import hookimpl
from condense.interfaces import Dataset
from condense_plugins.datasets.cifar import Cifar10, Cifar100
from condense_plugins.datasets.csv_file import Csv
from condense_plugins.datasets.digits import Digits
from condense_plugins.datasets.folder import Folder
from condense_plugins.datasets.hugging_face import HuggingFace
from condense_plugins.datasets.npz import Npz
from condense_plugins.datasets.parquet import Parquet
from condense_plugins.datasets.sklearn_sets import SklearnSets
from condense_plugins.datasets.tiny_imagenet import TinyImageNet


@hookimpl
def condense_register_datasets(register: Callable[[type[Dataset]], None]) -> None:
    register(Cifar10)
    register(Cifar100)
    register(Csv)
    register(Digits)
    register(Folder)
    register(HuggingFace)
    register(Npz)
    register(Parquet)
    register(SklearnSets)
    register(TinyImageNet)
