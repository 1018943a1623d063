"""What names say, and what they do not, with real files of Keras 3 and tf_keras in every layout.

A model that is built a second time in one process has other names than its file, and loads without a word; names that a
person gave are evidence; every mapping that a report proposes is pasted, and each variable must then hold what is its
own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import Family, every_family

import kwload
from kwload.report.finding import Finding, Report

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore")]

KERAS_V3, TF_V3 = Family("keras", "v3"), Family("tf_keras", "v3")
LEGACY = pytest.mark.parametrize("family", [Family("keras", "legacy"), Family("tf_keras", "legacy")], ids=str)
WITH_NAMES = pytest.mark.parametrize("family", [KERAS_V3, Family("keras", "legacy")], ids=str)

Build = Callable[[], Any]


def chain(k: Any, *names: str | None, units: int = 8) -> Any:
    return k.Sequential([k.layers.Input((8,)), *(k.layers.Dense(units, name=name) for name in names)])


def numbered(model: Any) -> dict[Any, float]:
    """Fills every variable with a number of its own; by where it stands in the model."""
    numbers: dict[Any, float] = {}
    for number, (place, variable) in enumerate(places(model).items(), 1):
        variable.assign(np.full(variable.shape, float(number), "float32"))
        numbers[place] = float(number)
    return numbers


def places(model: Any) -> dict[Any, Any]:
    """The variables by the positions of the layers that hold them, whatever these are called and whether frozen."""
    found: dict[Any, Any] = {}

    def walk(layer: Any, at: tuple[int, ...]) -> None:
        inner = [item for item in getattr(layer, "layers", ()) if type(item).__name__ != "InputLayer"]
        for i, item in enumerate(inner):
            walk(item, (*at, i))
        if not inner:
            kinds = ("_trainable_variables", "_non_trainable_variables")
            if not hasattr(layer, kinds[0]):
                kinds = ("_trainable_weights", "_non_trainable_weights")
            own = [variable for kind in kinds for variable in getattr(layer, kind)]
            found.update({(*at, i): variable for i, variable in enumerate(own)})

    walk(model, ())
    return found


def by_name(model: Any) -> dict[str, float]:
    """The first value of each innermost layer, by its name."""
    values: dict[str, float] = {}

    def walk(layer: Any) -> None:
        inner = list(getattr(layer, "layers", ())) or list(getattr(layer, "_layers", ()))
        for item in inner:
            walk(item)
        if not inner and layer.weights:
            values[layer.name] = float(np.array(layer.weights[0]).flat[0])

    walk(model)
    return values


def codes(report: Report) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in report.findings if finding.code not in ("KW210", "KW504")]


def pasted(finding: Finding, model: Any, number: int = 0) -> Report:
    """Runs the call that a help line holds."""
    calls = [
        match.group(0) for line in finding.help if (match := re.search(r"kwload\.load_weights\(.*\)(?=  |$)", line))
    ]
    return eval(calls[number], {"kwload": kwload, "re": re, "model": model})  # type: ignore[no-any-return]


# --- built a second time ---------------------------------------------------------------------------------------------


def _builders(k: Any) -> dict[str, Build]:
    la = k.layers

    class MyLayer(la.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.first, self.second = la.Dense(8), la.Dense(8, name=f"{self.name}_given")

        def build(self, shape: Any) -> None:
            self.first.build(shape)
            self.second.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

    class HTTPHead2(la.Dense):  # type: ignore[misc, name-defined]
        pass

    class _Private(la.Dense):  # type: ignore[misc, name-defined]
        pass

    def of(*layers: Any, inputs: tuple[int, ...] = (8,), **options: Any) -> Any:
        return k.Sequential([la.Input(inputs), *layers], **options)

    def functional(name: str | None = None) -> Any:
        inputs = la.Input((8,))
        options = {} if name is None else {"name": name}
        return k.Model(inputs, la.Dense(8)(la.Dense(8)(inputs)), **options)

    def nested_functional() -> Any:
        inputs = la.Input((8,))
        return k.Model(inputs, la.Dense(3)(functional()(functional("given")(functional()(inputs)))))

    def attention() -> Any:
        inputs = la.Input((6, 8))
        x = la.MultiHeadAttention(2, 4)(inputs, inputs)
        return k.Model(inputs, la.LayerNormalization()(la.MultiHeadAttention(2, 4)(x, x)))

    def subclassed() -> Any:
        class Net(k.Model):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.z, self.a = la.Dense(8), la.Dense(8, name="given")
                self.rows = [la.Dense(8), la.Dense(8)]
                self.table = {"q": la.Dense(8), "k": la.Dense(8)}
                self.inner = of(la.Dense(8), la.Dense(8))

            def call(self, x: Any) -> Any:
                for layer in (self.z, self.a, *self.rows, *self.table.values(), self.inner):
                    x = layer(x)
                return x

        model = Net()
        model(np.zeros((1, 8), "float32"))
        return model

    def frozen() -> Any:
        inner = of(la.Dense(8), la.BatchNormalization(), la.Dense(8), la.BatchNormalization())
        inner.layers[0].trainable = inner.layers[1].trainable = False
        return of(inner, la.Dense(8))

    def one_of_each() -> None:
        """Moves every number by one, so that names of the file are names of other layers of the model."""
        nested_functional(), of(la.Dense(8)), MyLayer(), HTTPHead2(8), _Private(8), la.BatchNormalization()
        la.TimeDistributed(la.Dense(8)), la.Bidirectional(la.LSTM(4)), la.MultiHeadAttention(2, 4)

    return {
        "": one_of_each,
        "automatic": lambda: of(la.Dense(8), la.Dense(8), la.Dense(8)),
        "mixed": lambda: of(la.Dense(8, name="a"), la.Dense(8), la.Dense(8, name="b"), la.Dense(8)),
        "nested": lambda: of(of(la.Dense(8), la.Dense(8)), of(la.Dense(8), la.BatchNormalization()), la.Dense(3)),
        "given in automatic": lambda: of(of(la.Dense(8, name="a"), la.Dense(8, name="b")), of(la.Dense(8, name="a"))),
        "automatic in given": lambda: of(of(la.Dense(8), la.Dense(8), name="enc"), of(la.Dense(8), name="dec")),
        "two deep": lambda: of(of(of(la.Dense(8), la.Dense(8, name="x")), la.Dense(8)), of(la.Dense(8), name="user")),
        "functional in functional": nested_functional,
        "classes of the user's": lambda: of(HTTPHead2(8), HTTPHead2(8), _Private(8), _Private(8)),
        "wrappers": lambda: of(
            la.TimeDistributed(la.Dense(8)),
            la.Bidirectional(la.LSTM(4, return_sequences=True)),
            la.Bidirectional(la.LSTM(4, return_sequences=True, name="given")),
            la.Bidirectional(la.GRU(4), name="bi"),
            inputs=(5, 8),
        ),
        "names of another class": lambda: of(
            la.Conv1D(8, 1, name="dense_41"), la.Conv1D(8, 1, name="dense_42"), la.Flatten(), la.Dense(4), inputs=(5, 8)
        ),
        "attention": attention,
        "frozen": frozen,
        "sublayers": lambda: of(MyLayer(), MyLayer(name="given"), MyLayer()),
        "subclassed": subclassed,
    }


# tf_keras: names of sublayers collide in a legacy file, and it saves no subclassed model whole.
CANNOT_SAVE = {
    ("tf_keras", "legacy"): {"sublayers", "subclassed"},
    ("tf_keras", "legacy-model"): {"sublayers", "subclassed"},
}


@every_family
def test_a_model_built_a_second_time_loads_without_a_word(family: Family, tmp_path: Path) -> None:
    builders = _builders(family.keras)
    shift = builders.pop("")
    for name, build in builders.items():
        if name in CANNOT_SAVE.get((family.name, family.layout), ()):
            continue
        (folder := tmp_path / name).mkdir()
        family.keras.backend.clear_session()
        path = family.save(build(), folder)
        again = build()
        family.keras.backend.clear_session()
        shift()
        for model in (again, build()):
            report = kwload.check(model, path)
            own = ("KW404", "note")  # a class of the user's: a whole model says that its code cannot be known
            found = [item for item in codes(report) if item != own and item[1] != "note"]
            assert found == [] and (name == "sublayers" or codes(report) in ([], [own])), (name, str(report))
            assert report.prediction is not None and report.prediction.outcome == "loads", name


# --- one rule for many names -----------------------------------------------------------------------------------------


def _loads_nothing(family: Family, model: Any, path: Path) -> None:
    """Keras itself, by name, changes nothing and does not say so."""
    before = [np.array(value) for value in model.get_weights()]
    model.load_weights(path, by_name=True)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@LEGACY
@pytest.mark.parametrize(("old", "new"), [("swa_", ""), ("", "ema_"), ("p_", "swa_")], ids=["strip", "add", "replace"])
def test_a_prefix_is_one_rule(family: Family, old: str, new: str, tmp_path: Path) -> None:
    k, names = family.keras, [f"conv{i}" for i in range(40)]
    model = chain(k, *(old + name for name in names))
    numbers = numbered(model)
    path = family.save(model, tmp_path)
    other = chain(k, *(new + name for name in names))
    _loads_nothing(family, other, path)
    report = kwload.check(other, path, by_name=True)
    assert codes(report) == [("KW310" if old and new else "KW312", "error")]
    assert "40 layers" in str(report)
    loaded = chain(k, *(new + name for name in names))
    call = 1 if old and new else 0  # the first loads by order
    assert "mapping" in [line for line in report.findings[0].help if "kwload" in line][call]
    assert pasted(report.findings[0], loaded, call).loaded
    assert {place: float(np.array(v).flat[0]) for place, v in places(loaded).items()} == numbers
    by_order = kwload.check(other, path)
    assert codes(by_order) == [("KW303", "note")]
    assert (old or new) in by_order.findings[0].headline


@LEGACY
def test_a_prefix_with_another_head(family: Family, tmp_path: Path) -> None:
    k, names = family.keras, [f"conv{i}" for i in range(5)]
    path = family.save(chain(k, *(f"swa_{name}" for name in names)), tmp_path)
    other = k.Sequential([*chain(k, *names[:-1]).layers, k.layers.Dense(3, name=names[-1])])
    other.build((None, 8))
    report = kwload.check(other, path, by_name=True)
    assert codes(report) == [("KW312", "error")]
    assert "4 of 5 layers" in report.findings[0].headline
    assert pasted(report.findings[0], other).loaded


@LEGACY
def test_numbers_that_keras_appends_are_no_names(family: Family, tmp_path: Path) -> None:
    k = family.keras

    def build() -> Any:
        layers = [layer for _ in range(4) for layer in (k.layers.Dense(8), k.layers.BatchNormalization())]
        return k.Sequential([k.layers.Input((8,)), *layers, k.layers.Dense(3)])

    k.backend.clear_session()
    model = build()
    numbers = numbered(model)
    path = family.save(model, tmp_path)
    for wanted in (build(), build()):
        report = kwload.check(wanted, path, by_name=True)
        assert codes(report) == [("KW323", "error")]
        assert codes(kwload.check(wanted, path)) == []
        assert pasted(report.findings[0], wanted).loaded
        assert {place: float(np.array(v).flat[0]) for place, v in places(wanted).items()} == numbers
    k.backend.clear_session()
    k.layers.Dense(1), k.layers.BatchNormalization()
    crossed = kwload.check(build(), path, by_name=True)  # by name, most would get a neighbour's weights
    assert codes(crossed) == [("KW323", "error")]
    assert "of another layer" in str(crossed)


@LEGACY
def test_a_renamed_layer_stays_unloaded_by_name(family: Family, tmp_path: Path) -> None:
    k = family.keras
    path = family.save(chain(k, "left_conv", "right_conv", "out"), tmp_path)
    wanted = chain(k, "leftconv", "rightconv", "out")
    report = kwload.check(wanted, path, by_name=True)
    assert codes(report) == [("KW301", "warning")]
    assert report.prediction is not None and report.prediction.outcome == "loads_part"
    source = by_name(_loaded(k, path, "left_conv", "right_conv", "out"))
    assert pasted(report.findings[0], wanted).loaded
    assert by_name(wanted) == {"leftconv": source["left_conv"], "rightconv": source["right_conv"], "out": source["out"]}


def _loaded(k: Any, path: Path, *names: str) -> Any:
    model = chain(k, *names)
    model.load_weights(path)
    return model


# --- places ----------------------------------------------------------------------------------------------------------

ORDERS = {
    "swapped": ("abc", "acb", "KW304"),
    "cycle": ("abcd", "bcda", "KW304"),
    "inserted at the head": ("abc", "Xabc", "KW305"),
    "inserted": ("abc", "aXbc", "KW305"),
    "inserted twice": ("abcd", "aXbYcd", "KW305"),
    "inserted, and the last is gone": ("abc", "aXb", "KW305"),
    "removed at the head": ("abc", "bc", "KW305"),
    "removed": ("abc", "ac", "KW305"),
    "removed twice": ("abcde", "ace", "KW305"),
}


@WITH_NAMES
@pytest.mark.parametrize("order", ORDERS)
def test_layers_that_stand_elsewhere(family: Family, order: str, tmp_path: Path) -> None:
    old, new, code = ORDERS[order]
    model = chain(family.keras, *old)
    numbered(model)
    path = family.save(model, tmp_path)
    wanted = chain(family.keras, *new)
    report = kwload.check(wanted, path)
    assert codes(report) == [(code, "error")], str(report)
    for name in set(new) - set(old) or set(old) - set(new):
        assert f"`{name}`" in report.findings[0].headline
    assert pasted(report.findings[0], wanted).loaded
    has, got = by_name(model), by_name(wanted)
    assert {name: got[name] for name in got if name in has} == {name: has[name] for name in got if name in has}


@WITH_NAMES
def test_where_only_some_names_are_given(family: Family, tmp_path: Path) -> None:
    k = family.keras
    path = family.save(chain(k, "a", None, "b", None), tmp_path)
    more = kwload.check(chain(k, "a", None, None, "b", None), path)
    assert codes(more) == [("KW305", "error")]
    assert "`b`" in str(more) and "mapping" not in str(more), "which of the two is new cannot be known"
    assert codes(kwload.check(chain(k, "b", None, "a", None), path)) == [("KW304", "error")]


def test_layers_without_names_claim_nothing(tmp_path: Path) -> None:
    k = KERAS_V3.keras
    path = KERAS_V3.save(chain(k, None, None, None), tmp_path)
    same = kwload.check(chain(k, None, None, None), path)
    assert codes(same) == [] and len(same.undecidable) == 1 and len(same.undecidable[0]) == 3
    assert [code for code, _ in codes(kwload.check(chain(k, None, None, None, None), path))] == ["KW301", "KW319"]
    assert ("KW319", "note") in codes(kwload.check(chain(k, None, None), path))


def test_a_layer_more_where_the_file_has_no_names(tmp_path: Path) -> None:
    k = TF_V3.keras
    path = TF_V3.save(chain(k, *"xyz"), tmp_path)
    swapped = kwload.check(chain(k, *"yxz"), path)
    assert codes(swapped) == [] and swapped.undecidable == (("y", "x", "z"),)
    assert str(swapped).endswith("nothing tells apart `y`, `x`, `z`")
    for names in (["x", "new", "y", "z"], "xyzw"):
        more = kwload.check(chain(k, *names), path)
        missing = more.findings[0]
        assert (
            missing.code == "KW301" and f"3 of {', '.join(f'`{name}`' for name in names[:3])} and" in missing.headline
        )
        assert "skip" not in str(more) and "notop" not in str(more), "which of them the file lacks cannot be known"
    fewer = kwload.check(chain(k, *"xz"), path)
    assert codes(fewer) == [("KW302", "warning"), ("KW319", "note")] and "classifier" not in str(fewer)


def _nested(k: Any, *parts: tuple[str, str]) -> Any:
    inner = [k.Sequential([k.layers.Dense(8, name=name) for name in names], name=part) for part, names in parts]
    return k.Sequential([k.layers.Input((8,)), *inner])


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ([("enc", "ab"), ("dec", "cd")], [("enc", "ab"), ("dec", "dc")], "KW304"),
        ([("enc", "ab"), ("dec", "cd")], [("enc", "aXb"), ("dec", "cd")], "KW305"),
        ([("enc", "ab"), ("dec", "cd")], [("dec", "cd"), ("enc", "ab")], "KW304"),
    ],
    ids=["swapped", "inserted", "whole models"],
)
def test_layers_of_nested_models(old: Any, new: Any, code: str, tmp_path: Path) -> None:
    model = _nested(KERAS_V3.keras, *old)
    numbered(model)
    path = KERAS_V3.save(model, tmp_path)
    wanted = _nested(KERAS_V3.keras, *new)
    report = kwload.check(wanted, path)
    assert codes(report) == [(code, "error")]
    assert pasted(report.findings[0], wanted).loaded
    assert {k: v for k, v in by_name(wanted).items() if k != "X"} == by_name(model)


def _table(names: str, deep: bool) -> Any:
    la = KERAS_V3.keras.layers

    class Table(la.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.layer = {name: la.Dense(8, name=name) for name in names}
            if deep:
                self.layer = [[*self.layer.values()], [la.Dense(8, name="last")]]

        def rows(self) -> list[Any]:
            return [item for row in self.layer for item in row] if deep else list(self.layer.values())

        def build(self, shape: Any) -> None:
            for layer in self.rows():
                layer.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            for layer in self.rows():
                x = layer(x)
            return x

    return KERAS_V3.keras.Sequential([la.Input((8,)), Table(name="table")])


@pytest.mark.parametrize("deep", [False, True], ids=["dict", "lists in lists"])
def test_a_permuted_dict_of_layers(deep: bool, tmp_path: Path) -> None:
    if deep and KERAS_V3.keras.__version__ < "3.15":
        pytest.skip("this Keras does not save lists in lists")
    model, wanted = _table("qkv", deep), _table("kqv", deep)
    for number, layer in enumerate(model.layers[0].rows()):
        layer.kernel.assign(np.full((8, 8), float(number), "float32"))
    path = KERAS_V3.save(model, tmp_path)
    report = kwload.check(wanted, path)
    assert codes(report) == [("KW304", "error")]
    assert pasted(report.findings[0], wanted).loaded
    got = {layer.name: float(np.array(layer.kernel)[0, 0]) for layer in wanted.layers[0].rows()}
    assert got == {layer.name: float(np.array(layer.kernel)[0, 0]) for layer in model.layers[0].rows()}


# --- other paths -----------------------------------------------------------------------------------------------------


def _net(k: Any, first: str, second: str) -> Any:
    class Part(k.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.one, self.two = k.layers.Dense(8), k.layers.Dense(8)

        def build(self, shape: Any) -> None:
            self.one.build(shape)
            self.two.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            return self.two(self.one(x))

    class Net(k.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            setattr(self, first, Part())
            setattr(self, second, Part())

        def call(self, x: Any) -> Any:
            return getattr(self, second)(getattr(self, first)(x))

    model = Net()
    model(np.zeros((1, 8), "float32"))
    return model


@pytest.mark.parametrize("names", [("encoder", "dec"), ("encoder", "decoder")], ids=["one", "both"])
def test_a_renamed_attribute(names: tuple[str, str], tmp_path: Path) -> None:
    k = KERAS_V3.keras
    model = _net(k, "enc", "dec")
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(np.full(variable.shape, float(number), "float32"))
    path = KERAS_V3.save(model, tmp_path)
    wanted = _net(k, *names)
    report = kwload.check(wanted, path)
    assert codes(report) == [("KW303", "error")]
    assert pasted(report.findings[0], wanted).loaded
    for old, new in zip(("enc", "dec"), names, strict=True):
        for a, b in zip(getattr(model, old).weights, getattr(wanted, new).weights, strict=True):
            assert (np.array(a) == np.array(b)).all()


def test_the_attention_of_keras_3_in_tf_keras(tmp_path: Path) -> None:
    def build(k: Any) -> Any:
        inputs = k.layers.Input((6, 8))
        return k.Model(inputs, k.layers.Dense(2)(k.layers.MultiHeadAttention(2, 4)(inputs, inputs)))

    path = KERAS_V3.save(build(KERAS_V3.keras), tmp_path)
    wanted = build(TF_V3.keras)
    report = kwload.check(wanted, path)
    assert codes(report) == [("KW303", "error")]
    assert "query_dense" in str(report) and "_query_dense" in str(report)
    assert pasted(report.findings[0], wanted).loaded


def test_lists_in_lists_that_an_older_keras_did_not_save(tmp_path: Path) -> None:
    import h5py

    model = _table("abc", deep=True)
    path = KERAS_V3.save(model, tmp_path)
    assert codes(kwload.check(model, path)) == [("KW404", "note")]  # the table's own code may have changed
    with h5py.File(path, "r+") as file:  # as Keras before 3.15 writes it
        del file["layers/table/layer"]
    report = kwload.check(model, path)
    assert codes(report) == [("KW324", "error")]
    assert report.prediction is not None and report.prediction.outcome == "loads_nothing"


# --- the order of a nested model's weights ---------------------------------------------------------------------------


def _frozen(k: Any, kind: str, which: tuple[int, ...]) -> Any:
    la, given = k.layers, kind.startswith("given")
    name = (lambda text: text) if given else (lambda text: None)
    norms = [la.BatchNormalization(name=name("b1")), la.BatchNormalization(name=name("b2"))]
    layers = {
        "dense and norm": [la.Dense(8, name=name("d1")), norms[0]],
        "norms": norms,
        "dense": [la.Dense(8, name=name("d1")), la.Dense(8, name=name("d2"))],
        "deep": [k.Sequential([la.Input((8,)), la.Dense(8, name=name("d1")), norms[0]]), norms[1]],
    }[kind.removeprefix("given ")]
    inner = k.Sequential([la.Input((8,)), *layers])
    for row in which:
        inner.layers[row].trainable = False
    return k.Sequential([la.Input((8,)), inner, la.Dense(3, name="out")])


@LEGACY
@pytest.mark.parametrize("kind", ["dense and norm", "norms", "dense", "deep", "given dense", "given norms"])
def test_frozen_layers_of_a_nested_model_are_never_permuted(family: Family, kind: str, tmp_path: Path) -> None:
    k = family.keras
    for old, new in itertools.product([(), (0,), (1,)], repeat=2):
        model = _frozen(k, kind, old)
        numbers = numbered(model)
        (folder := tmp_path / f"{old}{new}").mkdir()
        path = family.save(model, folder)
        real = _frozen(k, kind, new)
        try:
            real.load_weights(path)
            right = {place: float(np.array(v).flat[0]) for place, v in places(real).items()} == numbers
            outcome = "loads" if right else "loads_wrong"
        except ValueError:
            outcome = "raises"
        wanted = _frozen(k, kind, new)
        report = kwload.check(wanted, path)
        assert report.prediction is not None
        assert (report.prediction.outcome, report.ok) == (outcome, outcome == "loads"), (old, new)
        assert codes(report) == ([] if report.ok else [("KW313", "error")]), (old, new)
        if report.ok:
            kwload.load_weights(wanted, path)
            assert {place: float(np.array(v).flat[0]) for place, v in places(wanted).items()} == numbers


# --- the numbering of TensorFlow 2.12 --------------------------------------------------------------------------------


def test_the_numbers_of_tensorflow_2_12(tmp_path: Path) -> None:
    """``dense``, ``dense_2``, ``dense_4`` below ``_layer_checkpoint_dependencies``: Keras 3 finds half of them."""
    import h5py

    k, path = KERAS_V3.keras, tmp_path / "tf.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for place in range(3):
            held = file.create_group(f"_layer_checkpoint_dependencies/dense{f'_{2 * place}' if place else ''}/vars")
            held["0"] = np.full((8, 8), float(place), "float32")
            held["1"] = np.full((8,), float(place), "float32")
    wanted = chain(k, "a", "b", "c")
    report = kwload.check(wanted, path)
    assert report.ok and [code for code, _ in codes(report)] == ["KW406"]
    assert "TensorFlow 2.12" in str(report)
    with pytest.raises(ValueError, match="could not be loaded"):
        chain(k, "a", "b", "c").load_weights(path)
    kwload.load_weights(wanted, path)
    assert by_name(wanted) == {"a": 0.0, "b": 1.0, "c": 2.0}
