"""Users' own classes: how they are registered and found, what a signature returns, what it says of live layers."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import ALL, Family

import kwload
from kwload.spec import registering, registry
from kwload.spec.asking import SignatureError
from kwload.spec.signature import Signature

pytestmark = pytest.mark.usefixtures("nothing_registered")


def scale(config: Any, input_shape: Any) -> Any:
    return [kwload.Var("w", (1, config["units"]))]


def only(report: kwload.Report, code: str) -> kwload.Finding:
    """The one finding of this code."""
    found = [item for item in report.findings if item.code == code]
    assert len(found) == 1, str(report)
    return found[0]


# ---- finding ----


def test_the_names_that_configs_write() -> None:
    kwload.signature("My>Scale")(scale)
    for name in ("My>Scale", "Scale", "mynet.layers.Scale"):
        found = registry.find(name)
        assert found is not None and found.signature is scale, name
    assert registry.find("Other>Scale") is None, "another package is another class"
    assert registry.find("My>Scales") is None
    kwload.signature("Other>Scale")(lambda config, shape: [])
    assert registry.find("Scale") is None, "two that may be meant are none"
    stored = {"class_name": "Scale", "module": "mynet.layers", "registered_name": "My>Scale", "config": {}}
    found = registry.find_config(stored)
    assert found is not None and found.signature is scale


def test_a_signature_under_a_classs_own_name_outlives_the_import_of_the_class() -> None:
    def signature_of(name: str, custom: Any = None) -> Any:
        return getattr(registry.find(name, custom), "signature", None)

    class Scale:
        pass

    kwload.register(package="My")(Scale)
    assert signature_of("My>Scale") is None
    stored = {"class_name": "Scale", "module": "mynet.layers", "registered_name": "My>Scale", "config": {}}
    for found in (registry.find_config(stored, {"Scale": scale}), registry.find_class(Scale, {"Scale": scale})):
        assert found is not None and (found.cls, found.signature) == (Scale, scale)
    kwload.signature("Scale")(scale)
    assert signature_of("My>Scale") is scale
    assert signature_of("My>Scale", {"Other>Scale": lambda config, shape: []}) is scale
    other: Any = lambda config, shape: []  # noqa: E731
    kwload.signature("My>Scale")(other)
    assert signature_of("My>Scale") is other, "the whole name comes first"
    registering.SIGNATURES.pop("My>Scale")
    kwload.register(package="Other")(type("Scale", (), {"__module__": "elsewhere"}))
    assert signature_of("My>Scale") is None, "it may be the other's"


def test_what_is_handed_in_comes_before_scopes_before_what_is_registered() -> None:
    def first(config: Any, input_shape: Any) -> Any:
        return []

    def second(config: Any, input_shape: Any) -> Any:
        return []

    kwload.signature("Scale")(scale)
    signature_of = lambda custom=None: getattr(registry.find("Scale", custom), "signature", None)  # noqa: E731
    with kwload.custom_object_scope({"Scale": first}):
        assert signature_of() is first
        with kwload.custom_object_scope({"Scale": second, "Other": second}):
            assert signature_of() is second
            assert signature_of({"Scale": scale}) is scale
        assert registry.find("Other") is None
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(signature_of()))
        thread.start()
        thread.join()
        assert seen == [scale], "a scope is of its thread"
    assert signature_of() is scale


def test_a_value_is_a_class_a_signature_or_both() -> None:
    class Scale:
        pass

    def my_loss(y_true: Any, y_pred: Any) -> Any:
        return 0

    both = registry.find("Scale", {"Scale": (Scale, scale)})
    assert both is not None and (both.cls, both.signature) == (Scale, scale)
    custom = {"Scale": scale, "Class": Scale, "both": (Scale, scale), "my_loss": my_loss}
    assert registry.objects_of(custom) == {"Class": Scale, "both": Scale, "my_loss": my_loss}
    assert registry.is_empty({"Class": Scale})
    assert not registry.is_empty({"my_loss": my_loss}), "it may stand under the name of a layer"


def test_what_is_known_can_be_listed() -> None:
    @kwload.register(package="My")
    class Scale:
        pass

    @kwload.register()
    class Other:
        pass

    kwload.signature(Scale)(scale)
    known = kwload.registered()
    assert (known["My>Scale"].cls, known["My>Scale"].signature) == (Scale, scale)
    assert (known["Custom>Other"].cls, known["Custom>Other"].signature) == (Other, None)
    assert registry.find_class(Scale) == known["My>Scale"]

    class Elsewhere:
        pass

    Elsewhere.__name__ = "Scale"
    assert registry.find_class(Elsewhere) is None, "a name that stands for another class is not this one"


def test_decorators_without_parentheses_are_refused() -> None:
    with pytest.raises(TypeError, match=r'@kwload.register\(package="My"'):
        kwload.register(scale)  # type: ignore[type-var, arg-type]
    with pytest.raises(TypeError, match=r'@kwload.signature\("My>Scale"\)'):
        kwload.signature(scale)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a dict by name"):
        kwload.custom_object_scope([scale])  # type: ignore[arg-type]


def test_nothing_is_imported_to_know_what_is_registered() -> None:
    code = (
        "import kwload, sys; kwload.signature('S')(lambda c, s: []); kwload.registered();"
        "print([name for name in ('keras', 'tensorflow', 'numpy', 'click') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# ---- what a signature returns ----


def called(function: Any, config: Any = None, shape: Any = (None, 4)) -> Signature:
    kwload.signature("Scale")(function)
    found = registry.find("Scale")
    assert found is not None
    return found.call(config or {}, shape)


def test_a_signature_is_normalised() -> None:
    inner = [kwload.Sub("", "Dense", {"units": 2})]
    parts = [kwload.Var("w", [np.int64(3), None]), kwload.Sub("ffn", {"a": kwload.Sub("a", "Dense")})]  # type: ignore[arg-type]
    made = called(lambda config, shape: (parts, (None, np.int32(4))))
    assert made.parts[0] == kwload.Var("w", (3, None))
    assert made.output_shape == (None, 4)
    assert called(lambda config, shape: made) == made
    assert called(lambda config, shape: []).parts == ()
    unnamed = called(lambda config, shape: [kwload.Sub("layers", inner)])
    assert unnamed.parts == (kwload.Sub("layers", inner),), "in a list an attribute means nothing"


def test_the_config_is_a_copy_and_several_inputs_come_by_argument() -> None:
    config = {"units": 2, "inner": {"a": 1}}

    def popping(config: Any, input_shape: Any) -> Any:
        config["inner"].clear()
        return [kwload.Var("w", (config.pop("units"), *input_shape["query"]))]

    made = called(popping, config, {"query_shape": (None, 3), "value_shape": (None, 5)})
    assert made.parts[0] == kwload.Var("w", (2, None, 3))
    assert config == {"units": 2, "inner": {"a": 1}}
    assert called(lambda config, shape: [kwload.Var("w", shape)], shape={"input_shape": (None, 3)}).parts == (
        kwload.Var("w", (None, 3)),
    )


class Exits(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise SystemExit


many: Any = [(None, 4)]
for _ in range(12):
    many = [many] * 100

deep: Any = kwload.Sub("a", "Dense")
for _ in range(40):
    deep = kwload.Sub("a", [deep])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "returned nothing"),
        (kwload.Var("w", (1,)), "returned a Var, expected a list"),
        ({"w": (1,)}, "returned a dict"),
        ([("w", (1,))], "a tuple in it"),
        ([kwload.Var("w", (1,)), kwload.Var("w", (2,))], "two variables called `w`"),
        ([kwload.Sub("a", "Dense"), kwload.Sub("a", "Dense")], "two sub-layers called `a`"),
        ([kwload.Var("w", 4)], r"an int as the shape of `w`, expected a tuple: write \(4,\)"),
        ([kwload.Var("w", (2.5,))], "the length 2.5, which is no whole number"),
        ([kwload.Var("w", (4.0,))], "the length 4.0, which is no whole number: write 4"),
        ([kwload.Var("w", (float("nan"),))], "the length nan, which is no whole number"),
        ([kwload.Var("w", (True,))], "the length True, which no tensor has"),
        ([kwload.Var("w", (-1,))], "the length -1, which no tensor has"),
        ([kwload.Var("w", (10**30,))], "a length of many digits, which no tensor has"),
        ([kwload.Var("a/b", (1,))], "the name `a/b`: write what is behind the last `/`"),
        ([kwload.Var("a\0", (1,))], "which no file can hold"),
        ([kwload.Var("a\ud800", (1,))], "which no file can hold"),
        ([kwload.Sub("", "Dense")], "an empty text as a sub-layer's attribute"),
        ([kwload.Sub("a", "Dense", {}, many)], "more than 10,000"),
        (Exits([1]), "returned something that raised SystemExit when it was looked at"),
        ((part for part in itertools.repeat(kwload.Var("w", (1,)))), "returned a generator"),
        ([kwload.Var("w", (1,) * 40)], "40 axes"),
        ([kwload.Var("w", "4")], "a str as the shape of `w`"),
        ([kwload.Var("", (1,))], "an empty text as a variable's name"),
        ([kwload.Var(3, (1,))], "an int as a variable's name"),
        ([kwload.Var("w", (1,), "float")], "the dtype `float`"),
        ([kwload.Var("w", (1,), trainable="no")], "trainable=a str"),
        ([kwload.Sub("a", dict)], "expected the name of a class: write its name, 'dict'"),
        ([kwload.Sub("a", "Dense", 4)], "a config that is an int"),
        ([kwload.Sub("a", ["Dense"])], "a str in it, expected kwload.Sub"),
        ([deep], "deeper than 16"),
        ([kwload.Var(str(i), (1,)) for i in range(10_001)], "more than 10,000"),
        ([kwload.Var("\x1b[31m", 4)], r"`\\x1b\[31m`"),
    ],
)
def test_what_describes_no_layer_is_refused_with_the_users_line(made: Any, said: str) -> None:
    def wrong(config: Any, input_shape: Any) -> Any:
        return made

    with pytest.raises(SignatureError, match=said) as raised:
        called(wrong)
    assert (raised.value.file, raised.value.line) == (__file__, wrong.__code__.co_firstlineno)


def test_what_a_signature_raises_has_its_line() -> None:
    def helper(config: Any) -> Any:
        return config["unitz"]  # here

    def wrong(config: Any, input_shape: Any) -> Any:
        return [kwload.Var("w", (helper(config),))]

    with pytest.raises(SignatureError, match="raised KeyError: 'unitz'") as raised:
        called(wrong)
    assert (raised.value.file, raised.value.line) == (__file__, helper.__code__.co_firstlineno + 1)

    def endless(config: Any, input_shape: Any) -> Any:
        return endless(config, input_shape)

    with pytest.raises(SignatureError, match="raised RecursionError"):
        called(endless)

    def leaves(config: Any, input_shape: Any) -> Any:
        sys.exit(3)  # here

    with pytest.raises(SignatureError, match="raised SystemExit: 3") as raised:
        called(leaves)
    assert raised.value.line == leaves.__code__.co_firstlineno + 1

    def interrupted(config: Any, input_shape: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        called(interrupted)


# ---- live layers ----

each_family = pytest.mark.parametrize(
    "family", [f for f in ALL if f.layout != "shards" and (f.name, f.layout) != ("tf_keras", "keras")], ids=str
)


def build(family: Family, *shapes: tuple[str, tuple[int, ...]]) -> Any:
    """Dense, a block of the user's own that holds another and a Dense, Dense."""
    layers = family.keras.layers

    class Scale(layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, _: Any) -> None:
            for name, shape in shapes:
                setattr(self, name, self.add_weight(shape=shape, name=name))
            self.built = True

        def call(self, x: Any) -> Any:
            return x

    class Block(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ffn, self.scale = layers.Dense(6, name="ffn"), Scale(name="inner")

        def build(self, shape: Any) -> None:
            self.ffn.build(shape)
            self.scale.build(shape)
            self.built = True

        def call(self, x: Any) -> Any:
            return self.scale(self.ffn(x))

    return family.sequential(layers.Dense(6, name="d"), Block(name="block"), layers.Dense(2, name="out"))


def declare(*variables: Any) -> None:
    """Signatures of both classes."""

    @kwload.signature("Scale")
    def of_scale(config: Any, input_shape: Any) -> Any:
        return [kwload.Var(name, shape) for name, shape in variables]

    @kwload.signature("Block")
    def of_block(config: Any, input_shape: Any) -> Any:
        return [kwload.Sub("ffn", "Dense", {"units": 6}, input_shape), kwload.Sub("scale", "Scale", {}, input_shape)]


W, B = ("w", (1, 6)), ("b", (6,))


@pytest.mark.keras
@each_family
def test_a_signature_confirms_the_class_that_it_describes(family: Family, tmp_path: Path) -> None:
    declare(W, B)
    path = family.save(build(family, W, B), tmp_path)
    report = kwload.check(build(family, W, B), path)
    assert report.ok and not report.warnings, str(report)
    note = next(item for item in report.notes if item.code == "KW409")
    assert "in 2 layers: `block` and `block/inner`" in note.body
    assert kwload.load_weights(build(family, W, B), path).loaded


@pytest.mark.keras
@each_family
@pytest.mark.parametrize(
    ("now", "what"),
    [([("w", (6,)), B], "w"), ([W, B, ("c", (6,))], "c"), ([W], "b")],
    ids=["another shape", "one more", "one fewer"],
)
def test_a_class_that_changed_is_told_by_its_signature(family: Family, now: Any, what: str, tmp_path: Path) -> None:
    declare(W, B)
    path = family.save(build(family, W, B), tmp_path)
    report = kwload.check(build(family, *now), path)
    assert not report.ok
    assert any("the class `Scale` changed: the file has what its signature says" in str(e.notes) for e in report.errors)
    found = [item for item in report.warnings if item.code == "KW407"]
    assert [(item.variable, item.layer) for item in found] == [(what, "block/inner")], str(report)
    declare(*now)
    report = kwload.check(build(family, *now), path)
    assert not [item for item in report.findings if item.code in ("KW407", "KW409")]
    if family.layout == "v3":
        assert "`Scale` makes what its signature says" in str([item.notes for item in report.errors])


@pytest.mark.keras
@each_family
def test_what_a_signature_says_otherwise_is_a_warning_and_the_file_loads(family: Family, tmp_path: Path) -> None:
    path = family.save(build(family, W, B), tmp_path)
    for variables, what in [((("w", (1, 5)), B), "w"), (((("v"), (1, 6)), B), "v"), ((W,), "b")]:
        declare(*variables)
        report = kwload.check(build(family, W, B), path)
        assert report.ok and only(report, "KW407").variable == what, str(report)
        assert "the class changed" not in str(report), "the file agrees with the class"
    kwload.signature("Scale")(lambda config, shape: [kwload.Var("w", (config["units"],))])
    failed = only(kwload.check(build(family, W, B), path), "KW408")
    assert "raised KeyError: 'units'" in failed.headline and "test_registry.py, line" in failed.body[0]


@pytest.mark.keras
def test_a_signature_settles_what_another_keras_would_make(tmp_path: Path) -> None:
    family = Family("tf_keras", "legacy")
    tf_keras = family.keras

    class Scale(tf_keras.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, _: Any) -> None:
            self.w = self.add_weight(name="w", shape=(6,))

        def call(self, x: Any) -> Any:
            return x * self.w

    def made() -> Any:
        return family.sequential(tf_keras.layers.Dense(6, name="d"), Scale(name="s"))

    path = family.save(made(), tmp_path)
    unsure = kwload.check(made(), path, keras="3.15").prediction
    assert unsure is not None and unsure.outcome == "unknown" and "may not track" in str(unsure.reason)

    def of_scale(config: Any, input_shape: Any) -> Any:
        return [kwload.Var("w", (6,))]

    sure = kwload.check(made(), path, keras="3.15", custom_objects={"Scale": of_scale}).prediction
    assert sure is not None and sure.outcome == "loads", sure


@pytest.mark.keras
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_class_is_built_to_find_its_variables_when_that_is_asked_for(package: str, tmp_path: Path) -> None:
    family = Family(package, "legacy-model")
    path = family.save(build(family, W, B), tmp_path)
    classes = {type(layer).__name__: type(layer) for layer in build(family, W, B).layers}
    custom: dict[str, Any] = {"Block": classes["Block"]}
    held = kwload.check(path, path, custom_objects=custom)
    assert held.ok, "no code is run unasked"
    assert "build=True" in only(held, "KW410").help[0]
    assert registry.find("Block", custom) is not None
    with registering.handed(custom, build=True):
        found = registry.find("Block")
        assert found is not None
        made = found.call({"name": "block"}, (None, 6))
    assert [(part.attribute, part.layer) for part in made.parts if isinstance(part, kwload.Sub)] == [
        ("ffn", "Dense"),
        ("scale", "Scale"),
    ]
    declare(W)
    scale_class = type(build(family, W, B).layers[1].scale)
    report = kwload.check(path, path, custom_objects={"Scale": scale_class}, build=True)
    differs = only(report, "KW407")
    assert (differs.variable, differs.layer, differs.expected, differs.found) == ("b", "block/scale", [""], ["(6,)"])
    assert "KW408" not in str(report)

    def raises(self: Any, shape: Any) -> None:
        raise RuntimeError("not today")

    broken = type("Scale", (scale_class,), {"build": raises})
    failed = only(kwload.check(path, path, custom_objects={"Scale": broken}, build=True), "KW408")
    assert failed.headline.startswith("the class `Scale` raised RuntimeError: "), failed.headline
    assert failed.related == () and failed.layer == "block/scale"


# ---- pyproject.toml ----


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a package of the user's own."""
    package = tmp_path / "mynet_declared"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "signatures.py").write_text(
        "import kwload\n\n@kwload.signature('My>Scale')\ndef scale(config, input_shape):\n"
        "    return [kwload.Var('w', (1,))]\n\nOBJECTS = {'Other': scale}\n"
    )
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mynet_declared"]:
        del sys.modules[name]


def test_a_project_declares_its_signatures(project: Path) -> None:
    from kwload import declared, modelref

    toml = project / "pyproject.toml"
    toml.write_text('[tool.kwload]\nsignatures = ["mynet_declared.signatures"]\n')
    inside = project / "a" / "b"
    inside.mkdir(parents=True)
    assert declared.nearest(inside) == toml
    assert registry.find("My>Scale") is None, "kwload itself reads no pyproject.toml"
    assert declared.load(toml) == ["mynet_declared.signatures"]
    assert registry.find("My>Scale") is not None
    assert list(modelref.objects("mynet_declared.signatures:OBJECTS")) == ["Other"]
    assert list(modelref.objects("mynet_declared.signatures:scale")) == ["scale"]
    with pytest.raises(modelref.ModelRefError, match="no dict of classes by name"):
        modelref.objects("mynet_declared.signatures:__name__")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("signatures = 3", "is a list of modules"),
        ('signatures = ["a:b"]', "is a list of modules"),
        ('signatures = ["no_such_module.at_all"]', "there is no module 'no_such_module'"),
        ('signatures = ["mynet_declared.broken"]', r"ZeroDivisionError: .*broken.py, line 2"),
        ('signatures = ["mynet_declared.unread"]', r"SyntaxError: .*unread.py, line 1"),
        ("signatures = [", "Invalid value|Unclosed"),
    ],
)
def test_a_declaration_that_cannot_be_followed_is_named(project: Path, entry: str, said: str) -> None:
    from kwload import declared

    (project / "mynet_declared" / "broken.py").write_text("x = 1\nx / 0\n")
    (project / "mynet_declared" / "unread.py").write_text("def (\n")
    toml = project / "pyproject.toml"
    toml.write_text(f"[tool.kwload]\n{entry}\n")
    with pytest.raises(declared.DeclarationError, match=said) as raised:
        declared.load(toml)
    assert str(toml) in str(raised.value)


def test_the_function_of_a_pair_is_its_signature_whatever_its_parameters_are_called() -> None:
    class Scale:
        pass

    def made(c: Any, s: Any) -> list[kwload.Var]:
        return [kwload.Var("w", (s[-1] + c["more"],))]

    for pair in ((Scale, made), (made, Scale), [Scale, made]):
        entry = registry.find("My>Scale", {"My>Scale": pair})
        assert entry is not None
        assert entry.cls is Scale
        assert entry.call({"more": 1}, (None, 3)).parts == (kwload.Var("w", (4,)),)
        assert registry.objects_of({"My>Scale": pair}) == {"My>Scale": Scale}
