"""Parts of a model that were replaced or are of other widths: one finding, on files of real Keras 3 and tf_keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import ALL, Family, same, values
from test_variants import _pytorch, agrees, only, rewrite, run_help

import kwload

pytestmark = pytest.mark.keras

each_plain = pytest.mark.parametrize("family", [f for f in ALL if f.layout in ("v3", "legacy")], ids=str)
each_legacy = pytest.mark.parametrize("family", [f for f in ALL if f.layout == "legacy"], ids=str)

Head = list[tuple[int, str | None]]
OLD: Head = [(10, "head")]
NEW: list[Head] = [
    [(16, "fc"), (4, "out")],
    [(16, "fc"), (4, "head")],
    [(16, None), (4, None)],
    [(24, "fc"), (5, "out")],
]


def build(family: Family, head: Head, filters: int = 1) -> Any:
    """Two convolutions with normalization, and Dense layers of these units and names."""
    keras = family.keras
    layers = keras.layers
    net = [layers.Input((8, 8, 3))]
    for i in (1, 2):
        net += [layers.Conv2D(8 * i * filters, 3, name=f"conv{i}"), layers.BatchNormalization(name=f"bn{i}")]
    net.append(layers.GlobalAveragePooling2D())
    return keras.Sequential([*net, *(layers.Dense(units, name=name) for units, name in head)])


@each_plain
@pytest.mark.parametrize("head", NEW, ids=["others", "same-name", "automatic", "same-width"])
def test_a_head_of_more_layers_is_one_finding_and_the_line_loads_the_rest(
    family: Family, head: Head, tmp_path: Path
) -> None:
    path = family.save(build(family, OLD), tmp_path)
    model = build(family, head)
    report = kwload.check(model, path)
    finding = only(report, "KW326")
    assert not report.warnings
    assert finding.found == (["head"] if family.named else ["layers/dense"])
    assert finding.expected == [layer.name for layer in model.layers[-2:]]
    loaded = run_help(finding.help[0], model)
    assert loaded.ok and loaded.counts["matched"] == 12
    agrees(build(family, head), path, report)


@each_plain
def test_a_head_of_fewer_layers_is_one_finding(family: Family, tmp_path: Path) -> None:
    path = family.save(build(family, NEW[0]), tmp_path)
    finding = only(kwload.check(model := build(family, [(7, "top")]), path), "KW326")
    assert finding.found == (["fc", "out"] if family.named else ["layers/dense", "layers/dense_1"])
    assert finding.expected == ["top"]
    assert run_help(finding.help[0], model).ok


@each_legacy
def test_by_name_another_head_is_one_warning(family: Family, tmp_path: Path) -> None:
    path = family.save(build(family, OLD), tmp_path)
    report = kwload.check(build(family, NEW[0]), path, by_name=True)
    assert report.ok and [item.code for item in report.warnings] == ["KW326"]


@each_plain
@pytest.mark.parametrize(
    ("head", "code"),
    [([(4, "head")], "KW307"), ([(16, "fc"), (10, "head")], "KW305"), ([(10, "head"), (10, "extra")], "KW3")],
    ids=["other width", "inserted", "appended"],
)
def test_what_is_no_other_head(family: Family, head: Head, code: str, tmp_path: Path) -> None:
    path = family.save(build(family, OLD), tmp_path)
    report = kwload.check(build(family, head), path)
    assert all(item.code.startswith(code) and item.code != "KW326" for item in report.errors) and not report.ok


def widths(family: Family, *units: int, classes: int = 3) -> Any:
    """Convolutions of these widths, and a last layer."""
    layers = family.keras.layers
    net = [layers.Conv2D(width, 1, name=f"c{i}") for i, width in enumerate(units)]
    last = [layers.Flatten(), layers.Dense(classes, name="last")]
    return family.keras.Sequential([layers.Input((4, 4, 3)), *net, *last])


@each_plain
def test_a_network_of_other_widths_is_one_finding(family: Family, tmp_path: Path) -> None:
    path = family.save(widths(family, 8, 16, 24, 32), tmp_path)
    finding = only(kwload.check(widths(family, 8, 24, 40, 48), path), "KW307")
    assert (finding.found, finding.expected) == ([16, 24, 32], [24, 40, 48])
    assert "3 of 5 layers are narrower in the file, 0.6 to 0.667 times" in finding.headline
    classes = kwload.check(widths(family, 4, 8, 12, 16, classes=5), path)
    assert [len(item.body) for item in classes.errors] == [5, 3]  # the table; the head's two shapes


@each_plain
def test_the_units_of_recurrent_layers_are_their_width(family: Family, tmp_path: Path) -> None:
    def net(units: int) -> Any:
        layers = family.keras.layers
        many = [layers.LSTM(units + i, return_sequences=True) for i in range(3)]
        return family.keras.Sequential([layers.Input((None, 2)), *many, layers.Dense(2)])

    path = family.save(net(4), tmp_path)
    finding = only(kwload.check(net(6), path), "KW307")
    assert (finding.found, finding.expected) == ([4, 5, 6], [6, 7, 8])


@each_plain
@pytest.mark.parametrize("units", [(16, 16, 24, 16), (8, 16, 40, 48), (8, 32, 12, 16)])
def test_what_is_no_other_width_of_a_network(family: Family, units: tuple[int, ...], tmp_path: Path) -> None:
    path = family.save(widths(family, 8, 16, 24, 32), tmp_path)
    report = kwload.check(widths(family, *units), path)
    assert not report.ok and not any("times the model's width" in item.headline for item in report.errors)


@each_plain
@pytest.mark.parametrize(("heads", "size"), [(4, 2), (4, 4), (2, 8)])
def test_other_heads_of_an_attention_layer(family: Family, heads: int, size: int, tmp_path: Path) -> None:
    def net(heads: int, size: int) -> Any:
        layers = family.keras.layers
        inputs = layers.Input((3, 8))
        mixed = layers.MultiHeadAttention(heads, size, name="mha")(inputs, inputs)
        return family.keras.Model(inputs, layers.Dense(2, name="last")(mixed))

    path = family.save(net(2, 4), tmp_path)
    finding = only(kwload.check(model := net(heads, size), path), "KW307")
    assert "to fit the file, build `mha` with num_heads=2, key_dim=4" in finding.help
    assert run_help(finding.help[0], model).counts["matched"] == 2


@each_plain
def test_a_file_of_two_dense_layers_into_convolutions_is_another_architecture(family: Family, tmp_path: Path) -> None:
    layers = family.keras.layers
    small = family.sequential(layers.Dense(7), layers.Dense(3), inputs=(5,))
    path = family.save(small, tmp_path)
    finding = only(kwload.check(build(family, OLD), path), "KW322")
    assert finding.found == "a plain network of Dense layers"
    fits = family.sequential(layers.Dense(16), layers.Dense(10), inputs=(5,))  # its last layer fits the model's
    assert "KW322" not in str(kwload.check(build(family, OLD), family.save(fits, tmp_path)))


@each_plain
@pytest.mark.parametrize("ranks", [(2, 4), (4,)], ids=["all kernels", "convolutions only"])
def test_the_line_to_paste_transposes_what_shapes_show_to_be_transposed(
    family: Family, ranks: tuple[int, ...], tmp_path: Path
) -> None:
    def net() -> Any:
        layers = family.keras.layers
        made = [layers.Conv2D(8, 3, name="c0"), layers.BatchNormalization(name="bn"), layers.Conv2D(8, 1, name="c1")]
        made += [layers.Conv2D(3, 3, name="c2"), layers.Flatten(), layers.Dense(4, name="d0")]
        return family.sequential(*made, layers.Dense(4, name="square"), inputs=(8, 8, 3))

    saved = net()
    path = family.save(saved, tmp_path)
    rewrite(path, lambda name, value: _pytorch(name, value) if value.ndim in ranks else value)
    report = kwload.check(model := net(), path)
    turned = only(report, "KW308")
    if 2 in ranks:
        rest = run_help(report.warnings[0].help[1], net())
        assert rest.counts["matched"] == 4 and not rest.warnings, "no square kernel is loaded as it is"
    else:
        assert not report.warnings, "a Dense kernel that is as it should be shows that the square one is"
    if family.named:
        exec(turned.help[0], {"model": model, "kwload": kwload})
        kernel = saved.get_layer("square").kernel.numpy()
        assert same(values(model)[:-2], values(saved)[:-2])
        assert same(model.get_layer("square").get_weights()[:1], [kernel.T if 2 in ranks else kernel])


@each_plain
def test_the_line_that_transposes_assigns_all_or_nothing(family: Family, tmp_path: Path) -> None:
    def net(filters: int) -> Any:
        layers = family.keras.layers
        return family.sequential(layers.Conv2D(8, 3, name="c0"), layers.Conv2D(filters, 1, name="c1"), inputs=(8, 8, 3))

    path = family.save(net(5), tmp_path)
    rewrite(path, _pytorch)
    line = only(kwload.check(net(5), path), "KW308").help[0]
    if family.named:
        before = values(other := net(6))
        with pytest.raises((AssertionError, KeyError)):
            exec(line, {"model": other, "kwload": kwload})
        assert same(values(other), before)


@each_plain
@pytest.mark.parametrize(("old", "new"), [((8, 16, 3), (8, 12, 16, 3)), ((8, 12, 16, 3), (8, 16, 3))])
def test_a_layer_more_among_automatic_names(
    family: Family, old: tuple[int, ...], new: tuple[int, ...], tmp_path: Path
) -> None:
    def net(units: tuple[int, ...]) -> Any:
        return family.sequential(*(family.keras.layers.Dense(n) for n in units), inputs=(4,))

    saved = net(old)
    path = family.save(saved, tmp_path)
    report = kwload.check(model := net(new), path)
    finding = only(report, "KW305")
    if len(new) > len(old):
        assert finding.body == (f"model  {model.layers[1].name} (Dense): kernel (8, 12), bias (12,)",)
    assert "(12,)" in finding.body[0] and "made by Keras" not in str(report)
    if family.is_legacy:
        assert f"{len(old)} layers in the file, {len(new)} in the model" in str(report).split("\n")[0]
    if family.named:
        assert run_help(finding.help[0], model).counts["matched"] == 4
        assert same(values(model)[:2] + values(model)[-2:], values(saved)[:2] + values(saved)[-2:])


@each_legacy
def test_layers_that_replaced_one_are_named_beside_it(family: Family, tmp_path: Path) -> None:
    def net(*middle: tuple[str, int]) -> Any:
        layers = family.keras.layers
        made = [layers.Dense(units, name=name) for name, units in (("a", 8), *middle, ("b", 8), ("c", 8), ("d", 2))]
        return family.sequential(*made, inputs=(4,))

    path = family.save(net(("old", 5)), tmp_path)
    finding = only(kwload.check(net(("x", 6), ("y", 7)), path), "KW305")
    assert finding.headline == "`x` and `y` of the model stand before `b`, where the file has `old`"
    assert "made by Keras" not in str(finding.notes)
    alike = only(kwload.check(net(("x", 5), ("y", 5)), path), "KW305")
    assert "their names are not those in the file" in str(alike.notes)


@each_plain
def test_where_few_fit_of_many_the_line_names_those_that_do(family: Family, tmp_path: Path) -> None:
    def net(turn: int) -> Any:
        layers = family.keras.layers
        middle = [layers.Dense(4 + (turn if i % 2 else -turn), name=f"m{i}") for i in range(8)]
        return family.sequential(layers.Dense(5, name="first"), *middle, layers.Dense(3, name="last"), inputs=(6,))

    path = family.save(net(1), tmp_path)
    report = kwload.check(model := net(-1), path)
    calls = {line for item in report.errors for line in item.help if "load the rest with" in line}
    assert [line.endswith('only=["first"])') for line in calls] == [True]
    assert run_help(calls.pop(), model).counts["matched"] == 2


@pytest.mark.parametrize("kind", ["set", "list"])
def test_layers_in_a_set_have_no_order(kind: str, tmp_path: Path) -> None:
    keras = (family := Family("keras", "legacy")).keras

    def net(names: tuple[str, ...]) -> Any:
        class Block(keras.layers.Layer):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__(name="block")
                made = [keras.layers.Dense(4, name=name) for name in names]
                self.parts = set(made) if kind == "set" else made

            def build(self, shape: Any) -> None:
                for layer in self.parts:
                    layer.build(shape)
                self.built = True

            def call(self, x: Any) -> Any:
                return x

        return family.sequential(Block(), keras.layers.Dense(2, name="out"), inputs=(4,))

    made = [net(("p", "q")), net(("q", "p")), *(net(("p", "q")) for _ in range(20))]  # a set's order is arbitrary
    orders = {tuple(weight.path.split("/")[-2] for weight in model.weights): model for model in made}
    if len(orders) < 2:
        pytest.skip("all sets came in one order")
    saved, other = list(orders.values())[:2]
    finding = only(kwload.check(other, family.save(saved, tmp_path)), "KW313")
    assert ("in the set `parts`" in str(finding.notes)) == (kind == "set")
