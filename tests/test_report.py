"""Reports: the catalogue is complete, the text is short, safe and as the golden files show it.

The golden files are in ``tests/reports``, one for each case: the report as it is printed, then the concise one.
``KWLOAD_REWRITE_REPORTS=1`` writes them anew, to be read before they are committed.
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import report_cases
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_cases import A, B, file, model, predicts, raw, report

from kwload import errors
from kwload.explaining import page
from kwload.report import axes, build, codes, text
from kwload.report.facts import CoreFailure
from kwload.report.finding import Finding, Report

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "reports"
CASES = report_cases.cases()
each_case = pytest.mark.parametrize("name", CASES)


CONCISE = "\n--- concise\n"


def shown(name: str) -> str:
    """The text of a case, full and concise; what depends on the machine is replaced."""
    made = CASES[name]
    return f"{made.render()}\n{CONCISE}{made.render(concise=True)}\n".replace(os.getcwd(), "/here")


def test_every_code_of_the_core_has_a_sentence_and_an_explanation() -> None:
    header = (ROOT / "csrc" / "base" / "codes.h").read_text()
    declared = {int(number): slug for number, slug in re.findall(r"X\((\d+), \w+, \"([^\"]+)\"\)", header)}
    assert len(declared) > 50
    assert {number: entry.slug for number, entry in codes.CATALOGUE.items()} == declared
    for entry in codes.CATALOGUE.values():
        assert len(entry.headline) > 5
        assert entry.explanation.endswith(".")
        assert entry.code == f"KW{entry.number}"


def test_every_code_has_a_report() -> None:
    covered = {finding.code for case in CASES.values() for finding in case.findings}
    assert covered == {entry.code for entry in codes.CATALOGUE.values()}


@each_case
def test_the_text_is_the_golden_one(name: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("KWLOAD_REWRITE_REPORTS"):
        path.write_text(shown(name), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == shown(name)


def case_of(code: str) -> tuple[str, Finding]:
    """The case that a code is shown by, and the finding: the one named after it, else the first that has it, of those
    whose names begin with it where there are some."""
    for name in sorted(CASES, key=lambda name: (name != code, not name.startswith(code))):
        for finding in CASES[name].findings:
            if finding.code == code:
                return name, finding
    raise LookupError(code)


@pytest.mark.parametrize("entry", codes.CATALOGUE.values(), ids=lambda entry: entry.code)
def test_the_example_on_each_page_is_what_the_report_prints(entry: codes.Entry) -> None:
    name, finding = case_of(entry.code)
    example = "\n".join(text.detail(finding, CASES[name])).replace(os.getcwd(), "/here")
    path = page.PAGES / f"{entry.code}.txt"
    if os.environ.get("KWLOAD_REWRITE_REPORTS"):
        head, _, rest = path.read_text(encoding="utf-8").partition("\nExample\n")
        section = textwrap.indent(example, "  ") + rest[rest.index("\n\n") :]
        path.write_text(f"{head}\nExample\n{section}", encoding="utf-8")
        page.page_of.cache_clear()
    assert page.page_of(entry.number).sections["Example"] == example


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


@each_case
def test_the_text_is_short_and_safe(name: str) -> None:
    made = CASES[name]
    lines = made.render().split("\n")
    assert len(lines) <= text.BUDGET
    assert all(line.isprintable() for line in made.render(all=True).split("\n"))
    assert not re.search(r"<[\w.]+ object at|array\(|\{[a-z]+\}", made.render(all=True))
    assert " ? " not in made.render(all=True), "a headline was filled in without all of its names"
    assert len(made.render(concise=True).split("\n")) <= min(len(lines), 15)


MIXED = (301, 302, 303, 304, 305, 306, 307, 308, 309, 314, 315, 318, 321)


@settings(max_examples=15, deadline=None)
@given(
    layers=st.integers(1, 5_000),
    cause=st.lists(st.sampled_from(MIXED), min_size=1, max_size=6),
    severities=st.lists(st.sampled_from(["error", "warning", "note"]), min_size=1, max_size=3),
    legacy=st.booleans(),
)
@example(layers=5_000, cause=[307], severities=["error"], legacy=False)
@example(layers=5_000, cause=list(MIXED), severities=["error"], legacy=True)
def test_a_report_keeps_to_its_lines_however_much_is_wrong(
    layers: int, cause: list[int], severities: list[str], legacy: bool
) -> None:
    held = [report_cases.dense(f"block_{i}", f"layers/dense_{i}", 4, 4 + i % 7) for i in range(layers)]
    wanted = [report_cases.dense(f"layer_{i}", f"layers/dense_{i}", 4, 5 + i % 5) for i in range(layers)]
    causes = itertools.cycle([number for number in cause if number != 305] or [301])
    wrong = [
        raw(
            305 if i < 20 and 305 in cause else next(causes),  # one finding a cause, never thousands of them
            severities[i % len(severities)],
            file_group=i,
            group=i,
            tensor=2 * i,
            variable=2 * i,
            other=(i + 1) % layers,
            axis=1,
            a=1,
            b=2,
            related=[2 * i + 1],
        )
        for i in range(layers)
    ]
    stops = predicts("raises", **report_cases.TOTAL, assigned=layers)
    layout = "legacy" if legacy else "keras-3"
    made = report(file(*held, layout=layout), model(*wanted), *wrong, pairs=[], prediction=stops)
    for written, most in ((made.render(), text.BUDGET), (made.render(concise=True), 15), (repr(made), 1)):
        assert len(written.split("\n")) <= most
        assert max(map(len, written.split("\n"))) <= 500


@each_case
def test_each_finding_can_be_told_from_others(name: str) -> None:
    for finding in CASES[name].findings:
        assert re.fullmatch(r"KW\d\d\d", finding.code)
        assert finding.headline
        assert len(finding.help) <= 4
        assert "\n" not in "".join([finding.headline, *finding.body, *finding.notes, *finding.help])


@each_case
def test_json_is_ascii_and_says_all(name: str) -> None:
    made = CASES[name]
    written = made.to_json()
    assert written.isascii() and "\n" not in written
    data = json.loads(written)
    assert data == json.loads(made.to_json(indent=1))
    assert data["schema"] == 1
    assert data["ok"] is made.ok
    assert [item["code"] for item in data["findings"]] == [finding.code for finding in made.findings]
    assert set(data) >= {"path", "format", "counts", "prediction", "pairs", "undecidable", "times"}


@each_case
def test_html_has_no_script_and_is_balanced(name: str) -> None:
    written = CASES[name]._repr_html_()
    assert "<script" not in written and "onclick" not in written and "javascript:" not in written
    for tag in ("div", "details", "summary", "span", "table", "tr", "td", "b"):
        assert len(re.findall(f"<{tag}[ >]", written)) == written.count(f"</{tag}>"), tag
    assert "\x1b" not in written and "\u202e" not in written


def test_html_escapes_names() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    layer = report_cases.Layer(hostile, "layers/dense", "Dense", {"kernel": (1, 1)})
    written = report(file(layer), model(A), raw(302, "warning", file_group=0))._repr_html_()
    assert "<img" not in written
    assert "&lt;img" in written


def test_errors_come_first_and_all_their_headlines_are_shown() -> None:
    lines = CASES["KW307-many"].render().split("\n")
    assert "30 errors" in lines[0]
    assert lines[1].startswith("  error[KW307] shape-mismatch: `block_0/kernel`")
    assert "  and 18 more" in lines
    whole = CASES["KW307-many"].render(all=True)
    assert "`block_29/kernel`" in whole and "not shown" not in whole


def test_the_report_of_the_product_page() -> None:
    lines = CASES["KW307"].render().split("\n")
    at = lines.index("error[KW307] shape-mismatch: `head/kernel` has another shape in the file")
    assert lines[at + 1 : at + 5] == [
        "  --> model.weights.h5 : layers/dense_1/vars/0",
        "   |  file   (128, 10) float32",
        "   |  model  (128, 12) float32",
        "   |               ^^ axis 1: units",
    ]


def test_a_report_is_data() -> None:
    made = CASES["KW307"]
    assert not made.ok
    assert [finding.code for finding in made.errors] == ["KW307"]
    assert made.warnings == made.notes == ()
    shape = made.errors[0]
    assert (shape.layer, shape.variable, shape.path) == ("head", "kernel", "layers/dense_1/vars/0")
    assert (shape.expected, shape.found) == ([128, 12], [128, 10])
    assert shape.related == ("head/bias",)
    assert made.pairs[0] == ("layers/dense_0/vars/0", "dense_0/kernel")
    assert made.counts["wanted"] == 64 and made.counts["matched"] == 62 and made.counts["missing"] == 2
    assert made.prediction is not None and made.prediction.error is not None
    assert made.prediction.keras == "Keras 3.15.1"
    assert made.prediction.error.message == "A total of "
    assert repr(made) == "<kwload.Report model.weights.h5: 62 of 64 variables match; 1 error>"


def test_options_that_only_kwload_has_leave_keras_unasked() -> None:
    assert CASES["good-own-options"].prediction is None


@pytest.mark.parametrize(
    ("name", "kinds", "status"),
    [
        ("KW101", (errors.WeightsNotFoundError, FileNotFoundError), 3),
        ("KW102", (errors.WeightsPermissionError, PermissionError), 3),
        ("KW103", (errors.WeightsIsADirectoryError, IsADirectoryError), 3),
        ("KW104", (errors.WeightsNotFoundError, FileNotFoundError), 3),
        ("KW105", (errors.WeightsFileError, OSError), 3),
        ("KW201-lfs", (errors.WeightsFileError, OSError), 3),
        ("KW202", (errors.WeightsFileError, OSError), 3),
        ("KW601", (errors.WeightsFileError, OSError), 3),
        ("KW307", (errors.WeightsMismatchError, ValueError), 1),
        ("KW310", (errors.WeightsMismatchError, ValueError), 1),
    ],
)
def test_a_refusal_is_an_exception_that_users_catch(name: str, kinds: tuple[type, ...], status: int) -> None:
    made = CASES[name]
    with pytest.raises(errors.WeightsError) as caught:
        made.raise_if_failed()
    error = caught.value
    assert all(isinstance(error, kind) for kind in kinds)
    assert isinstance(error, OSError) is (status == 3)
    assert error.report is made
    assert str(error) == str(made)
    assert codes.exit_code(made) == status
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    if isinstance(error, OSError):
        assert error.filename == made.path
    if isinstance(error, FileNotFoundError):
        assert error.errno == 2 and error.strerror == os.strerror(2)


def test_warnings_refuse_when_strict() -> None:
    made = CASES["KW302"]
    made.raise_if_failed()
    assert made.ok and codes.exit_code(made) == 0
    with pytest.raises(errors.WeightsMismatchError):
        made.raise_if_failed(strict=True)
    assert codes.exit_code(made, strict=True) == 1
    CASES["good"].raise_if_failed(strict=True)


def test_a_good_file_is_three_lines() -> None:
    assert len(str(CASES["good"]).split("\n")) == 3
    loaded = Report(
        **{**{name: getattr(CASES["good"], name) for name in CASES["good"].__dataclass_fields__}, "loaded": True}
    )
    assert str(loaded).startswith("model.weights.h5: loaded, all 6 variables match")


def test_names_with_control_characters_do_not_reach_the_text() -> None:
    evil = report_cases.Layer("a\nerror[KW000] forged: \x1b[31m\u202e", "layers/x\r\n", "Dense", {"kernel": (2, 2)})
    made = report(file(evil), model(evil), raw(302, "warning", file_group=0), raw(303, "note", file_group=0, group=0))
    for written in (made.render(all=True), made.render(concise=True), repr(made)):
        assert "\x1b" not in written and "\u202e" not in written and "\r" not in written
        assert not any(line.startswith("error[KW000]") for line in written.split("\n"))
    assert made.findings[0].layer == evil.name, "data keeps the name as it is"


def test_a_code_that_is_new_to_a_builder_still_makes_a_report() -> None:
    for number in codes.CATALOGUE:
        made = report(file(A), model(A), raw(number))
        assert made.findings and made.render(all=True)
        after = build.build_report(path="x.h5", file=file(A), errors=[CoreFailure(number)])
        assert after.findings and after.render(all=True)


@pytest.mark.parametrize(
    ("kind", "variable", "path", "rank", "expected"),
    [
        ("Dense", "kernel", "d/kernel", 2, ["input features", "units"]),
        ("Conv2D", "kernel", "c/kernel", 4, ["kernel height", "kernel width", "input channels", "filters"]),
        ("Conv1DTranspose", "kernel", "c/kernel", 3, ["kernel length", "filters", "input channels"]),
        (
            "DepthwiseConv2D",
            "depthwise_kernel",
            "c/k",
            4,
            ["kernel height", "kernel width", "input channels", "depth multiplier"],
        ),
        ("Embedding", "embeddings", "e/embeddings", 2, ["vocabulary size (input_dim)", "embedding size (output_dim)"]),
        ("LSTMCell", "recurrent_kernel", "l/lstm_cell/recurrent_kernel", 2, ["units", "4 x units"]),
        ("Bidirectional", "kernel", "b/forward_gru/gru_cell/kernel", 2, ["input features", "3 x units"]),
        ("BatchNormalization", "moving_mean", "bn/moving_mean", 1, ["channels"]),
        ("EinsumDense", "kernel", "mha/query/kernel", 3, ["query features", "heads", "key size (key_dim)"]),
        ("EinsumDense", "kernel", "mha/attention_output/kernel", 3, ["heads", "value size", "output features"]),
        ("My", "w", "my/w", 2, None),
        ("Dense", "kernel", "d/kernel", 3, None),
    ],
)
def test_axes_have_a_meaning(kind: str, variable: str, path: str, rank: int, expected: list[str] | None) -> None:
    found = axes.axes_of(kind, variable, path, rank)
    assert (None if found is None else [axis.name for axis in found]) == expected


def test_a_prediction_of_wrong_loading_counts_the_variables() -> None:
    made = report(
        file(A),
        model(A),
        pairs=[(0, 0, "path", "same")],
        keras_pairs=[(1, 0, "path", "same")],
        prediction=predicts("loads_wrong"),
    )
    assert made.prediction is not None and made.prediction.wrong == 1


def test_findings_are_ordered_by_severity() -> None:
    made = report(
        file(A), model(A), raw(316, "note", a=1), raw(302, "warning", file_group=0), raw(301, group=0, related=[0])
    )
    assert [finding.severity for finding in made.findings] == ["error", "warning", "note"]


def test_findings_are_hashable_data() -> None:
    finding: Any = CASES["KW303"].findings[0]
    assert isinstance(finding, Finding)
    with pytest.raises(AttributeError):
        finding.code = "KW000"


@pytest.mark.parametrize(
    ("layers", "layout", "suggested"),
    [
        ([("layers/dense", (784, 128)), ("layers/dense_1", (128, 10))], "keras-3", "(None, 784)"),
        ([("layers/dense", (10, 64)), ("layers/dense_1", (64, 10))], "keras-3", "(None, 10)"),
        ([("layers/conv2d", (3, 3, 1, 8)), ("layers/dense", (784, 10))], "keras-3", "(None, height, width, 1)"),
        ([("layers/dense", (16, 2)), ("layers/lstm/cell", (5, 64))], "keras-3", "(None, length, 5)"),
        ([("layers/embedding", (1000, 16)), ("layers/dense", (16, 2))], "keras-3", None),
        ([("layers/dense", (8, 4)), ("layers/einsum_dense", (9, 4))], "keras-3", None),
        ([("b", (7, 4)), ("a", (4, 2))], "legacy", "(None, 7)"),
        ([("layers/batch_normalization", (4,))], "keras-3", None),
    ],
)
def test_the_input_shape_that_a_file_suggests(
    layers: list[tuple[str, tuple[int, ...]]], layout: str, suggested: str | None
) -> None:
    held = file(*(report_cases.Layer(path, path, "", {"0": shape}) for path, shape in layers), layout=layout)
    text = report(held, model(), raw(311), pairs=[]).render()
    assert "build" in text
    assert f"`model.build({suggested})`" in text if suggested else "suggests" not in text


def test_a_damaged_file_is_one_finding() -> None:
    cut = {"faults": ((202, 100, "", "", 100, 200),), "size": 100}
    made = report(report_cases.FakeFile(**cut), model(A), raw(310), raw(301, group=0, related=[0, 1]), pairs=[])
    assert [finding.code for finding in made.findings] == ["KW202"]


def test_a_renamed_layer_is_not_also_left_over() -> None:
    old, new = report_cases.dense("old", "old", 4, 4), report_cases.dense("new", "new", 4, 4)
    gone, left = raw(301, "warning", group=0, other=0, related=[0, 1]), raw(302, "warning", file_group=0, other=0)
    made = report(file(old, layout="legacy"), model(new), gone, left, path="w.h5", pairs=[])
    assert [finding.code for finding in made.findings] == ["KW301"]
    assert any("`old`" in note for note in made.findings[0].notes)


def test_a_wrong_checksum_is_what_keras_raises_too() -> None:
    held = file(A, content="keras")
    plan = report_cases.FakePlan(wanted=2, pairs=report_cases.same(2), prediction=predicts("loads"))
    wrong = [CoreFailure(205, detail="model.weights.h5")]
    made = build.build_report(path="m.keras", file=held, model=model(A), plan=plan, errors=wrong)
    assert made.prediction is not None and made.prediction.error is not None
    assert made.prediction.error.type == "BadZipFile"
    assert "`model.weights.h5`" in made.errors[0].headline


def test_a_pasted_call_names_all_layers_in_the_way() -> None:
    text_ = CASES["KW307-heads"].render()
    assert text_.count('skip=["h1", "h2"]') == 2


def test_no_call_is_pasted_that_cannot_load() -> None:
    wide = raw(307, group=0, file_group=0, tensor=0, variable=0, related=[1])
    other = raw(305, group=1, other=-1, a=1, b=1)
    fit = report_cases.dense("b", "layers/dense_1", 16, 16)
    small, big = report_cases.dense("a", "layers/dense", 4, 4), report_cases.dense("a", "layers/dense", 4, 5)
    assert "skip=" in report(file(small, fit), model(big, fit), wide, pairs=[(2, 2, "path", "same")]).render()
    assert (
        "skip=" not in report(file(small, fit), model(big, fit), wide, other, pairs=[(2, 2, "path", "same")]).render()
    )
    assert "skip=" not in report(file(small), model(big), wide, pairs=[]).render()
    torn = file(small, fit, faults={2: (204, 1, "x")})
    assert "skip=" not in report(torn, model(big, fit), wide, pairs=[(2, 2, "path", "same")]).render()


def test_in_legacy_files_the_layer_of_the_top_level_is_skipped() -> None:
    cells = {"forward/gru_cell/kernel": (2, 6), "backward/gru_cell/kernel": (2, 6)}
    both = report_cases.Layer("bi", "bi", "Bidirectional", cells)
    rows = tuple((name, f"bi/{name}", f"bi/{name[:-7]}", (2, 9), "float32", True) for name in cells)
    top = report_cases.dense("o", "o", 3, 3)
    wanted = model(top)
    wanted.groups.insert(0, ("bi", "bi", "Bidirectional", 1, rows))
    wide = raw(307, group=0, file_group=0, tensor=0, variable=0, related=[1])
    short = raw(306, group=0, file_group=0, a=1, b=2)
    held = file(both, top, layout="legacy")
    fits = {"path": "w.h5", "pairs": [(2, 2, "order", "same"), (3, 3, "order", "same")]}
    assert 'skip=["bi"]' in report(held, wanted, wide, **fits).render()
    counted = report(held, wanted, short, **fits)
    assert counted.findings[0].layer == "bi" and "number of weights of `bi`" in str(counted)


@pytest.mark.parametrize(("flavour", "told"), [("keras", True), ("tf_keras", False)])
def test_tf_keras_knows_hdf5_by_its_content(flavour: str, told: bool) -> None:
    dense = report_cases.dense("a", "a", 3, 3)
    made = report(file(dense, layout="legacy"), model(dense, flavour=flavour), path="weights.bin")
    assert ("KW206" in {found.code for found in made.findings}) == told


def test_contents_without_a_path_have_no_keras_call() -> None:
    made = CASES["KW307-bytes"]
    assert made.prediction is None
    assert not any("keras:" in line or '"<bytes>"' in line for line in made.render().split("\n"))


def test_the_cause_of_a_missing_bias_is_certain_or_not_said() -> None:
    def cause(has: report_cases.Layer, wants: report_cases.Layer, **options: Any) -> str | None:
        held = report_cases.FakeFile(**{**vars(file(has)), **options})
        made = report(held, model(wants), raw(306, file_group=0, group=0, a=1, b=2), pairs=[])
        return next(item for item in made.findings if item.code == "KW306").cause

    layer = report_cases.Layer
    bare, full = layer("d", "layers/dense", "Dense", {"kernel": (4, 4)}), report_cases.dense("d", "layers/dense", 4, 4)
    scaled = layer("d", "layers/dense", "Dense", {"kernel": (4, 4), "bias": (4,), "kernel_scale": (4,)}, "int8")
    assert "use_bias=False" in (cause(bare, full) or "")
    assert cause(full, scaled) is None
    assert cause(layer("d", "layers/dense", "Dense", {"kernel": (4, 4), "scale": (4,)}, "int8"), bare) is None
    assert cause(bare, full, faults=((601, 1, "a soft link to x", "layers/dense/vars/1", 0, 0),)) is None


def test_keras_alone_refuses() -> None:
    made = CASES["KW406"]
    assert made.ok and [item.code for item in made.findings] == ["KW406"]
    vague = predicts("raises", error_type="ValueError", error_prefix="Layer '")
    said = str(report(file(A), model(A), prediction=vague))
    assert "raise ValueError, though" in said and "'…" not in said
    renamed = report(file(A), model(A), path="x.h5", prediction=vague)
    assert [item.code for item in renamed.findings] == ["KW206"]


def test_a_cut_file_says_what_is_whole_and_what_is_lost() -> None:
    cut = {"faults": ((202, 99, "", "", 99, 100), (201, 0, "unknown", "", 0, 0)), "size": 99}
    made = report(
        report_cases.FakeFile(**{**vars(file(A, B)), **cut}),
        model(A, B, report_cases.C),
        pairs=[(0, 0, "path", "same")],
    )
    assert [item.code for item in made.findings] == ["KW202"]
    assert "4 tensors are whole, at least 2 that the model wants are lost" in str(made)
    assert "1 byte is missing at the end" in str(made)


def test_variables_that_fit_are_counted_though_their_layer_is_left() -> None:
    old, new = report_cases.dense("d", "layers/dense", 64, 4), report_cases.dense("d", "layers/dense", 128, 4)
    wide = raw(307, group=0, file_group=0, tensor=0, variable=0, axis=0)
    assert report(file(old), model(new), wide, pairs=[]).counts["matched"] == 1


def test_an_archive_zipped_with_its_folder_is_not_called_dangerous() -> None:
    fault = (607, 5, "in a folder of the archive: Keras needs it at the top", "sub/model.weights.h5", 0, 0)
    said = str(report(report_cases.FakeFile(**{**vars(file(A, content="keras")), "faults": (fault,)}), model(A)))
    assert "zip the contents, not the folder: `cd sub && " in said and "unless you know who made it" not in said
    evil = (*fault[:3], "x; rm -rf y/model.weights.h5", 0, 0)
    said = str(report(report_cases.FakeFile(**{**vars(file(A, content="keras")), "faults": (evil,)}), model(A)))
    assert "zip the contents" in said and "cd x" not in said


def test_tf_keras_counts_on_from_keras_2() -> None:
    for version, writer in (("2.15.0", "Keras 2.15.0"), ("2.16.0", "tf_keras 2.16.0"), ("3.0.0", "Keras 3.0.0")):
        assert report(file(A, metadata={"keras_version": version})).contents.written_by == writer  # type: ignore[union-attr]


def test_long_names_are_cut_in_text_and_kept_in_data() -> None:
    long = "n" * 5000
    old, new = report_cases.dense(long, "layers/dense", 4, 4), report_cases.dense(long, "layers/dense", 4, 5)
    wide = raw(307, group=0, file_group=0, tensor=0, variable=0, related=[1])
    made = report(file(old, A), model(new, A), wide, pairs=[(2, 2, "path", "same")])
    assert max(map(len, made.render(all=True).split("\n"))) < 500
    assert made.findings[0].layer == long


def test_a_subclass_is_built_by_calling_it() -> None:
    class Functional:
        pass

    class Network:
        pass

    held = file(report_cases.dense("a", "layers/dense", 784, 128))
    groups = [("", "net", "Network", 0, ())]
    for root, says in ((Network(), 'model(np.zeros((1, 784), "float32"))'), (Functional(), "model.build((None, 784))")):
        built: Any = SimpleNamespace(groups=groups, keras=report_cases.FakeKeras(), untracked=[], objects=[root])
        assert says in report(held, built, raw(311), pairs=[]).render()


def test_what_keras_does_is_said_of_the_outcome_only() -> None:
    gone, nothing = raw(305, group=0, a=1, b=1), raw(310)
    made = report(file(B), model(A), gone, nothing, pairs=[], prediction=predicts("loads_nothing"))
    said = {item.code: item.keras for item in made.findings}
    assert said["KW305"] is None
    assert said["KW310"] is not None and "loaded nothing" in said["KW310"]


def test_layers_that_hold_others_leave_no_empty_row() -> None:
    owner = report_cases.Layer("gru", "layers/gru", "GRU", {})
    made = report(file(A), model(A, owner, B), raw(318, "warning", group=1), raw(318, "warning", group=2), pairs=[])
    rows = next(item for item in made.findings if item.code == "KW318").body
    assert rows == ("b: kernel (16, 16), bias (16,)",)


def test_a_link_does_not_suggest_what_is_gone_too(tmp_path: Path) -> None:
    for name in ("weights_a.h5", "weights_b.h5"):
        (tmp_path / name).symlink_to("weights_c.h5")
    made = build.path_report(tmp_path / "weights_a.h5", CoreFailure(104, errno=2))
    assert "did you mean" not in made.render()
    (tmp_path / "weights_d.h5").write_bytes(b"x")
    again = build.path_report(tmp_path / "weights_a.h5", CoreFailure(104, errno=2))
    assert "weights_d.h5" in again.render() and "weights_b.h5" not in again.render()


def test_warnings_that_refuse_do_not_read_ok() -> None:
    made = CASES["KW302"]
    assert made.render().startswith("model.weights.h5: ok")
    assert made.render(strict=True).startswith("model.weights.h5: refused: warnings are errors here; 1 warning")
    assert str(made.exception()).startswith("model.weights.h5: refused: warnings are errors here")
    assert CASES["good"].render(strict=True) == CASES["good"].render()


def test_every_file_of_the_corpus_has_a_report(corpus: Path) -> None:
    from kwload import _core, inspect

    count = 0
    for path in sorted(item for item in corpus.rglob("*") if item.is_file()):
        try:
            held = _core.File(os.fsencode(path))
        except _core.CoreError as error:
            made = build.path_report(path, error)
        else:
            made = build.build_report(path=path, file=held)
            views = (inspect.table(str(path), held), inspect.tree(str(path), held))
            assert all(line.isprintable() for view in views for line in view.split("\n")), path
            assert json.dumps(inspect.to_dict(str(path), held)).isascii()
        assert len(made.render().split("\n")) <= text.BUDGET, path
        assert all(line.isprintable() for line in made.render(all=True).split("\n")), path
        assert made._repr_html_() and json.loads(made.to_json())["schema"] == 1
        count += 1
    assert count > 500


def test_who_wrote_the_file_is_said_once() -> None:
    for layout, path in (("legacy", "m.weights.h5"), ("legacy-model", "m.h5")):
        old = file(A, layout=layout, metadata={"keras_version": "2.12.0"})
        assert report(old, model(A), path=path).render().count("written by Keras 2.12.0") == 1
