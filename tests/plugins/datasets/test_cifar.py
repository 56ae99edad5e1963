"""CIFAR through a stand-in for torchvision: nothing is downloaded."""

from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torchvision

from condense.errors import DataError
from condense_plugins.datasets.cifar import Cifar10, Cifar100


def stand_in(there=True, failure=None):
    def source(root, train, download):
        if not there and not download:
            raise RuntimeError("Dataset not found or corrupted")
        if download:
            print("Extracting")
            if failure is not None:
                raise failure
        rng = np.random.default_rng(int(train))
        n = 20 if train else 10
        return SimpleNamespace(
            data=rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8),
            targets=[i % 10 for i in range(n)],
            classes=[f"class {c}" for c in range(10)],
        )

    return source


def test_cifar_has_both_splits_and_its_own_statistics(monkeypatch, tmp_path):
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", stand_in())
    data = Cifar10(Cifar10.Options(root=str(tmp_path))).load(context=None)
    assert data.inputs.shape == (20, 32, 32, 3)
    assert data.test is not None
    assert data.test.inputs.shape == (10, 32, 32, 3)
    assert data.flip
    assert data.name == "cifar10"
    assert data.normalization.mean == pytest.approx(
        (data.inputs.double() / 255).mean((0, 1, 2)).tolist()
    )


def test_selmatch_norm_is_cifar10s_for_cifar100_too(monkeypatch, tmp_path):
    monkeypatch.setattr(torchvision.datasets, "CIFAR100", stand_in())
    data = Cifar100(Cifar100.Options(root=str(tmp_path), norm="selmatch")).load(context=None)
    assert data.normalization.mean == (0.4914, 0.4822, 0.4465)
    assert data.normalization.std == (0.2023, 0.1994, 0.2010)


def test_download_prints_nothing_on_stdout(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", stand_in(there=False))
    assert len(Cifar10(Cifar10.Options(root=str(tmp_path))).load(context=None)) == 20
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("component", [Cifar10, Cifar100])
def test_missing_files_without_download_are_one_line(component, tmp_path):
    with pytest.raises(DataError) as caught:
        component(component.Options(root=str(tmp_path), download=False)).load(context=None)
    message = str(caught.value)
    for word in (str(tmp_path), component.name, "npz:PATH", "folder:PATH", component.folder):
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize("failure", [URLError("no route"), RuntimeError("File not found"), OSError])
def test_failed_download_says_why(monkeypatch, tmp_path, failure):
    source = stand_in(there=False, failure=failure)
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", source)
    with pytest.raises(DataError, match=r"cifar10 is not in .* the download failed: .+; put"):
        Cifar10(Cifar10.Options(root=str(tmp_path))).load(context=None)


def test_root_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CONDENSE_DATA", str(tmp_path))
    assert Cifar10(Cifar10.Options()).root == tmp_path
    monkeypatch.delenv("CONDENSE_DATA")
    assert Cifar10(Cifar10.Options()).root.parts[-2:] == (".cache", "condense-data")
