"""The Python API: ``condense(data, method=…, ipc=…)``."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

import condense as package
from condense import CondensedDataset, FindingWarning, condense, labeled_data
from condense.api import bind, choose
from condense.engine.evaluate import evaluate_artefact
from condense.engine.runtime import lines
from condense.engine.runtime.progress import SilentProgress
from condense.errors import CondenseError, DataError, OptionError
from condense.plugin import hookimpl
from condense.plugin.host import build_host
from condense.recipe import Preset
from condense.resolve import Request
from condense.testing.toys import Notes


class Pictures(Dataset):
    """PIL images with class numbers and names, as torchvision's data sets give them."""

    def __init__(self, images, labels, classes):
        self.images, self.labels, self.classes = images, labels, classes

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return Image.fromarray(self.images[index]), self.labels[index]


@pytest.fixture
def call(host):
    return lambda data="digits", **fields: condense(data, host=host, device="cpu", **fields)


@pytest.fixture(scope="module")
def images(tiny_images):
    return tiny_images.inputs.numpy(), tiny_images.labels.numpy()


def test_public_names():
    assert set(package.__all__) >= {"condense", "CondensedDataset", "Options", "hookimpl"}
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


def test_a_data_set_by_name(call, digits, tiny):
    small = call("digits", ipc=2, seed=1, options=tiny)
    assert isinstance(small, CondensedDataset)
    assert isinstance(small, Dataset)
    assert len(small) == 20
    assert torch.bincount(small.labels).tolist() == [2] * 10
    assert torch.equal(digits.labels[small.source_index], small.labels)
    assert (small.method, small.seed, small.data_name) == ("selmatch", 1, "digits")
    assert small.classes == digits.classes
    assert small.recipe["matcher"]["steps"] == 2
    assert small.step_size is not None
    image, label = small[0]
    assert image.shape == (1, 8, 8)
    assert label == 0


def test_every_form_of_the_same_images_gives_the_same_set(call, images, tiny_images):
    pixels, labels = images
    chw = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    names = list(tiny_images.classes)
    forms = {
        "labeled": tiny_images,
        "uint8": (pixels, labels),
        "float": (pixels / 255.0, labels),
        "float32": [pixels.astype(np.float32) / 255, labels.tolist()],
        "tensors": (torch.from_numpy(pixels), torch.from_numpy(labels)),
        "named": (pixels, np.array(names)[labels]),
        "torch-chw": TensorDataset(chw, torch.from_numpy(labels)),
        "pil": Pictures(pixels, labels.tolist(), names),
        "subset": Subset(Pictures(pixels, labels.tolist(), names), range(len(labels))),
        "concat": ConcatDataset(
            [
                TensorDataset(chw[part], torch.from_numpy(labels[part]))
                for part in (slice(40), slice(40, None))
            ]
        ),
    }
    sets = {name: call(form, method="random", ipc=4, seed=2) for name, form in forms.items()}
    reference = sets["labeled"]
    assert len(reference) == 12
    for name, small in sets.items():
        assert torch.equal(small.inputs, reference.inputs), name
        assert torch.equal(small.source_index, reference.source_index), name
        assert torch.equal(small.images, tiny_images.inputs[small.source_index]), name
    assert sets["pil"].classes == sets["named"].classes == tuple(names)
    assert sets["uint8"].classes == ("0", "1", "2")


def test_arrays_are_distilled_too(call, images, tiny):
    small = call(images, ipc=3, options=tiny | {"policy.alpha": 0.4})
    assert torch.bincount(small.labels[small.distilled]).tolist() == [1, 1, 1]  # ⌊0.4·3⌋
    assert small.source_unchanged()


def test_the_arrays_given_are_not_changed(call, images, tiny):
    before = [array.copy() for array in images]
    call(images, ipc=3, options=tiny)
    assert all((a == b).all() for a, b in zip(images, before, strict=True))


def test_feature_vectors(call, tiny):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    values = (rng.normal(size=(60, 5)) + labels[:, None]).astype(np.float32)
    options = {k: v for k, v in tiny.items() if "width" not in k}
    options |= {f"{stage}.network": "mlp" for stage in ("scorer", "matcher", "evaluator")}
    small = call((values, labels), ipc=2, options=options)
    assert small.inputs.shape == (6, 5)
    real = ~small.distilled
    rows = small.source_index[real].numpy()
    expected = (values[rows] - values.mean(0, dtype=np.float64)) / values.std(0, dtype=np.float64)
    assert np.allclose(small.inputs[real].numpy(), expected, atol=1e-4)


def test_a_fraction_instead_of_ipc(call, images):
    pixels, labels = images
    keep = np.concatenate([np.flatnonzero(labels == c)[:n] for c, n in enumerate((30, 20, 4))])
    small = call((pixels[keep], labels[keep]), method="random", fraction=0.25)
    assert torch.bincount(small.labels).tolist() == [7, 5, 1]
    assert small.recipe["fraction"] == 0.25
    assert "ipc" not in small.recipe


def test_a_class_of_which_a_fraction_finds_no_sample_is_said(host, tiny_images):
    notes = Notes()
    unused = replace(tiny_images, classes=(*tiny_images.classes, "unused"))
    bind(unused, method="random", fraction=1.0, host=host, progress=notes).check_budget()
    told = f"keeps 0 samples of class unused, as {tiny_images.name} has none"
    assert any(told in text for text in notes.lines)


def test_options_of_a_scorer_that_nobody_reads_are_said_to_be_without_effect(call):
    def said(method, *options):
        notes = []

        class Notes(SilentProgress):
            def note(self, text):
                notes.append(text)

        given = dict(options) | {"scorer": "random"}
        call("digits", method=method, options=given, progress=Notes())
        return [text for text in notes if "reads scores" in text]

    assert said("random") == [
        "note: `scorer=random` has no effect: no stage of this recipe reads scores"
    ]
    assert said("random", ("selector", "window")) == said("window") == []


def test_options_by_dotted_key_swap_components_and_set_values(call):
    small = call(
        "digits",
        method="window",
        options={"scorer": "random", "selector.beta": 0.25, "selector": "window"},
    )
    assert small.recipe["scorer"]["component"] == "random"
    assert small.recipe["selector"]["beta"] == 0.25


def test_a_preset(call):
    small = call("digits", method="random", preset="paper-cifar10-ipc250", ipc=2)
    assert small.recipe["evaluator"]["epochs"] == 1000


class Guessing:
    """A preset that has a method of its own."""

    @hookimpl
    def condense_register_presets(self, register):
        register(Preset("guessing", "for tests", {}, ipc=2, method="random"))


def test_a_method_is_the_one_asked_for_else_the_presets():
    host = build_host(external=False, extra=[Guessing()])
    data = (np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3)

    def method(**asked):
        return condense(data, preset="guessing", host=host, device="cpu", **asked).method

    assert method() == "random"
    assert method(method="window", options={"scorer": "random"}) == "window"


def test_the_seed_counts(call):
    one, two, other = (call(method="random", ipc=3, seed=s) for s in (0, 0, 1))
    assert one.to_bytes() == two.to_bytes()
    assert not torch.equal(one.source_index, other.source_index)


def test_progress_hears_of_the_stages(call, tiny):
    titles = set()

    class Titles(SilentProgress):
        def task(self, title, total, unit="it"):
            titles.add(title)
            return super().task(title, total, unit)

    call("digits", options=tiny, progress=Titles())
    assert {"training dynamics", "experts", "matching"} <= titles


# steps so small that a student stays where it is: the relative loss remains at 1
STUCK = {"matcher.iterations": 20, "matcher.step_size": 1e-7, "matcher.step_size_lr": 0.0}


def test_progress_true_writes_lines_where_there_is_no_terminal(call, tiny, capfd, monkeypatch):
    monkeypatch.setattr(lines, "EVERY", 0.0)
    call("digits", options=tiny, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "3/3 matcher · experts: " in err


def test_what_is_wrong_with_the_result_is_warned_of(call, tiny):
    with pytest.warns(FindingWarning, match="the loss went from 1 to 1 .*raise matcher.step_size"):
        call("digits", options=tiny | STUCK)


def test_with_a_test_split_the_set_is_evaluated_and_compared(call, tiny):
    # features in which class 1 of the test split is what class 0 of training is: all are wrong
    rng = np.random.default_rng(0)
    inputs = np.concatenate([rng.normal(-2, 1, (40, 4)), rng.normal(2, 1, (40, 4))])
    labels = np.repeat([0, 1], 40)
    options = {"evaluator.steps": 60, "evaluator.repeats": 2}
    given = {"method": "random", "ipc": 4, "options": options}
    assert call((inputs, labels), **given).results is None
    results = call((inputs, labels), **given, test=(inputs, 1 - labels)).results
    assert set(results["arms"]) == {"condensed", "random", "whole"}
    assert results["accuracy"]["mean"] < 0.05
    assert results["accuracy"]["n"] == 2
    right = call((inputs, labels), **given, test=(inputs, labels)).results
    assert right["accuracy"]["mean"] > 0.95


@pytest.mark.parametrize(
    ("data", "test", "message"),
    [
        (
            "digits",
            ([[0.0]], [0]),
            "data 'digits' is a name, so test must be a share > 0, < 1, or a file, or be left out "
            "where the data have a test split, got tuple; try test=0.2",
        ),
        (
            ([[0.0], [1.0]], [0, 1]),
            [[0.0]],
            "test must be a pair (inputs, labels), or a share > 0, < 1, got list",
        ),
        (([[0.0], [1.0]] * 2, [0, 1] * 2), 1.5, "the share held out must be in (0, 1), got 1.5"),
        ("npz:x.npz", 1.5, "data.test=1.5: must be a share > 0, < 1, or a file"),
        ("digits", 0.2, "unknown option data.test"),
    ],
)
def test_a_test_split_that_cannot_be_is_refused(call, data, test, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        call(data, test=test)


def test_the_test_split_of_named_data_is_a_share_or_a_file(call, host, tmp_path):
    rows = "".join(f"{k % 7}.5,{'ab'[k % 2]}\n" for k in range(20))
    for name in ("x.csv", "t.csv"):
        (tmp_path / name).write_text(f"size,kind\n{rows}")
    given = {"label": "kind", "method": "random", "ipc": 2}
    options = {"evaluator.steps": 5, "evaluator.repeats": 1}
    for test, size in ((0.2, 16), (str(tmp_path / "t.csv"), 20), (tmp_path / "t.csv", 20)):
        small = call(tmp_path / "x.csv", **given, test=test, options=options)
        assert set(small.results["arms"]) == {"condensed", "random", "whole"}
        assert small.data_size == size
        said = bind(tmp_path / "x.csv", host=host, device="cpu", **given, test=test).data.test
        assert len(said) == (4 if test == 0.2 else 20)
    for test in (0.2, str(tmp_path / "t.csv")):
        small = call(tmp_path / "x.csv", **given, options=options | {"data.test": test})
        assert set(small.results["arms"]) == {"condensed", "random", "whole"}
    told = 'options={"data.test": 0.3} and options={"data.test": 0.2} give one key two values'
    with pytest.raises(OptionError, match=re.escape(told)):
        call(tmp_path / "x.csv", **given, test=0.2, options=options | {"data.test": 0.3})


def test_a_share_is_the_test_split_of_data_in_memory(host, images, tiny_images):
    data = bind(images, host=host, device="cpu", method="random", ipc=2, test=0.2).data
    assert data.labels.bincount().tolist() == [24] * 3
    assert data.test.labels.bincount().tolist() == [6] * 3
    for part in (data, data.test):  # names say where samples were
        places = [int(item.removeprefix("data#")) for item in part.items]
        assert torch.equal(part.inputs, tiny_images.inputs[places])
        assert torch.equal(part.labels, tiny_images.labels[places])
    alone = labeled_data(data.inputs, data.labels, classes=data.classes, flip=data.flip)
    assert data.normalization == data.test.normalization == alone.normalization


def test_nothing_is_printed(call, tiny, capfd):
    call("digits", options=tiny)
    assert capfd.readouterr() == ("", "")


def test_bind_gives_scores_and_selection_as_well(host, images, tiny):
    pipeline = bind(images, host=host, device="cpu", options=tiny, ipc=2)
    assert pipeline.scores.values.shape == (90,)
    assert torch.equal(pipeline.condensed.source_index, pipeline.selection.indices)


def test_what_was_made_of_arrays_is_saved_and_tested_on_named_data(
    call, host, images, tiny_images, tiny, tmp_path, context
):
    options = {k: v for k, v in tiny.items() if not k.startswith("matcher")}
    small = call(images, method="random", ipc=4, options=options)
    folder = small.save(tmp_path / "small")
    tools = {"store": context.cache, "device": context.device, "progress": context.progress}
    with pytest.raises(DataError, match=r"arrays in memory.*`data`"):
        evaluate_artefact(folder, Request(), host, **tools)
    np.savez(
        tmp_path / "d.npz",
        train_images=images[0],
        train_labels=images[1],
        test_images=tiny_images.test.inputs.numpy(),
        test_labels=tiny_images.test.labels.numpy(),
    )
    request = Request(data=f"npz:{tmp_path / 'd.npz'}")
    result, document = evaluate_artefact(folder, request, host, **tools)
    assert len(result.values) == 2
    assert all(0 <= v <= 1 for v in result.values)
    assert document.to_json()["accuracy"]["values"] == list(result.values)
    with pytest.raises(DataError, match=r"samples of shape \(3, 16, 16\), digits \(1, 8, 8\)"):
        evaluate_artefact(folder, Request(data="digits"), host, **tools)


class Stream(IterableDataset):
    def __iter__(self):
        yield 1


def one_class():
    return np.zeros((4, 8, 8), np.uint8), [1, 1, 1, 1]


ERRORS = [
    ({"data": 7}, OptionError, "int"),
    ({"data": None}, OptionError, "NoneType"),
    ({"data": "digitz"}, OptionError, "'digitz'; did you mean 'digits'"),
    ({"method": "selmach"}, OptionError, "'selmach'; did you mean 'selmatch'"),
    ({"preset": "slow"}, OptionError, "'slow'"),
    ({"ipc": 0}, OptionError, "got 0"),
    ({"ipc": 2.5}, OptionError, "got 2.5"),
    ({"ipc": "5"}, OptionError, "got '5'"),
    ({"fraction": 0}, OptionError, "got 0"),
    ({"fraction": "half"}, OptionError, "got 'half'"),
    ({"fraction": float("nan")}, OptionError, "got nan"),
    ({"ipc": 3, "fraction": 0.5}, OptionError, "either ipc or fraction"),
    ({"seed": -2}, OptionError, "got -2"),
    ({"seed": "x"}, OptionError, "got 'x'"),
    (
        {"method": "window", "options": {"selector.bta": 1}},
        OptionError,
        "selector.bta; did you mean 'beta'",
    ),
    ({"method": "window", "options": {"selector.beta": 2}}, OptionError, "selector.beta=2"),
    ({"options": {"selektor": "window"}}, OptionError, "'selektor'"),
    (
        {"method": "window", "options": {"selector.beta": torch.ones(2)}},
        OptionError,
        "selector.beta",
    ),
    ({"options": {"": 1}}, OptionError, "unknown stage ''"),
    ({"ipc": 10_000}, DataError, "ipc 10000"),
    ({"data": one_class()}, DataError, "'1'"),
    ({"data": (np.zeros((4, 8, 8), np.uint8), [0, 1, 0])}, DataError, "4 inputs but 3 labels"),
    ({"data": (np.full((4, 2), np.nan), [0, 1, 0, 1])}, DataError, "nan"),
    ({"data": (np.full((4, 8, 8), 7.5), [0, 1, 0, 1])}, DataError, "7.5"),
    ({"data": Stream()}, CondenseError, "Stream"),
    ({"data": {"a": 1}}, OptionError, "got dict"),
    ({"data": b"digits"}, OptionError, "got bytes"),
    ({"data": [1, 2, 3]}, DataError, "item 0 of the train set is a int"),
    ({"method": 5}, OptionError, "method must be text or None, got 5"),
    ({"preset": ["quick"]}, OptionError, "preset must be text or None, got ['quick']"),
    ({"options": ["selector.beta=1"]}, OptionError, "options must be a dict by dotted key"),
    ({"options": {3: 1}}, OptionError, "options must be a dict by dotted key, got {3: 1}"),
    ({"data": TensorDataset(torch.zeros(4, 1, 8, 8))}, DataError, "item 0"),
]


@pytest.mark.parametrize(("fields", "error", "part"), ERRORS, ids=[e[2] for e in ERRORS])
def test_errors_name_the_value(call, fields, error, part, tmp_path):
    with pytest.raises(error) as caught:
        call(**{"method": "random", **fields})
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_messages_speak_of_arguments_not_of_flags(call, images):
    cases = [
        ({"ipc": 0}, "try ipc=5"),
        ({"seed": -1}, "try seed=0"),
        ({"fraction": 3}, "try fraction=0.1"),
        ({"data": images, "ipc": 31}, "lower ipc to at most 30 or use fraction"),
        ({"options": {"scorre": "el2n"}}, 'in options={"scorre": "el2n"}'),
    ]
    for fields, part in cases:
        with pytest.raises(CondenseError) as caught:
            call(**fields)
        assert part in str(caught.value)
        assert not re.search(r"(^|\s)--?[a-z]", str(caught.value)), caught.value


def test_an_unknown_device(host):
    with pytest.raises(OptionError, match="device must be text or None, got 0"):
        condense("digits", host=host, device=0)
    with pytest.raises(OptionError, match="'quantum'"):
        condense("digits", host=host, device="quantum")


@pytest.fixture
def auto(monkeypatch, tiny):
    """Options under which a method is chosen in seconds."""
    monkeypatch.setattr("condense.studies.choosing.design.MOST", 1)
    return {k: v for k, v in tiny.items() if not k.startswith("scorer.")} | {"scorer": "random"}


def test_a_method_is_chosen_for_data_in_memory(call, host, tiny_images, auto):
    more = {"ipc": 2, "seed": 1, "options": auto}
    choice = choose(tiny_images, host=host, device="cpu", **more)
    document = choice.document
    assert (document.data, document.ipc, document.seed) == ("tiny-images", 2, 1)
    held = document.validation
    assert (held.fit, held.held_out) == (75, 15)  # a sixth of 30 a class
    small = call(tiny_images, method="auto", **more)  # the same plan, from the store
    assert small.method == choice.recipe.method == document.chosen.split(" ")[0]
    assert len(small) == 6
    own = {".".join(path): value for path, value in choice.request.assignments}
    same = call(tiny_images, method=choice.request.method, ipc=2, seed=1, options=own)
    assert torch.equal(small.inputs, same.inputs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data.resize": 32}, "by name, these are in memory$"),
        ({"data.test": 0.2}, r"in memory; give the call test=0\.2$"),
    ],
)
def test_options_of_named_data_are_refused_where_data_are_in_memory(options, words):
    inputs, labels = np.zeros((8, 3), np.float32), np.arange(8) % 2
    with pytest.raises(OptionError, match=words):
        condense((inputs, labels), ipc=1, method="window", options=options)


def test_that_nothing_is_better_than_random_is_said(call, tiny_images, auto, monkeypatch):
    monkeypatch.setattr("condense.studies.choosing.run.is_better", lambda gain: False)
    with pytest.warns(FindingWarning, match="random is kept: the best, "):
        small = call(tiny_images, method="auto", ipc=2, options=auto)
    assert small.method == "random"


def test_minutes_belong_to_a_choice(call, images):
    with pytest.raises(OptionError, match='give method="auto"'):
        call(images, method="mtt", minutes=3)
    with pytest.raises(OptionError, match=r"^minutes must be above 0, got 0"):
        call(images, method="auto", minutes=0)
    with pytest.raises(OptionError, match="got method='mtt'"):
        choose(images, method="mtt")
    with pytest.raises(
        OptionError, match="no set that tracker 'tensorboard' could watch; leave it"
    ):
        choose(images, tracker="tensorboard")
