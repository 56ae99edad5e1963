"""The sets that scikit-learn ships: values, names and classes are its own."""

import numpy as np
import pytest
from sklearn import datasets

from condense.errors import OptionError
from condense.options import build_options
from condense_plugins.datasets.sklearn_sets import SklearnSets


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("iris", datasets.load_iris),
        ("wine", datasets.load_wine),
        ("breast_cancer", datasets.load_breast_cancer),
        ("digits", datasets.load_digits),
    ],
)
def test_values_names_and_classes_are_those_of_scikit_learn(context, name, load):
    data = SklearnSets(SklearnSets.Options(set=name)).load(context)
    source = load()
    assert data.table.names == [*source.feature_names, "class"]
    assert set(data.classes) == {str(c) for c in source.target_names}
    assert len(data) + len(data.test) == len(source.target)
    for part in (data, data.test):
        places = [int(item.removeprefix(f"{name}#")) for item in part.items]
        assert np.array_equal(part.inputs.numpy(), source.data[places].astype(np.float32))
        wanted = [str(source.target_names[k]) for k in source.target[places]]
        assert [data.classes[k] for k in part.labels] == wanted
        assert [row[-1] for row in part.table.rows] == source.target_names[
            source.target[places]
        ].tolist()
    shares = data.test.labels.bincount() / (data.labels.bincount() + data.test.labels.bincount())
    assert (abs(shares - 0.2) < 0.03).all()


def test_other_sets_are_refused():
    with pytest.raises(OptionError, match=r"data\.set=moons: must be 'iris', 'wine'"):
        build_options(SklearnSets.Options, {"set": "moons"}, "data")
