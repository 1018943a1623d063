"""What is said of a path that holds no weight file, and how the end of a name selects Keras's reader."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import kwload
from kwload import paths
from kwload.report.build import path_report
from kwload.report.facts import CoreFailure
from kwload.report.finding import Finding


def found(path: Path | str | bytes, code: int) -> Finding:
    report = path_report(path, CoreFailure(code, errno=2))
    assert not report.ok
    assert report.render().isascii() or report.render()
    return report.findings[0]


def said(finding: Finding) -> str:
    return "\n".join([finding.headline, *finding.body, *finding.notes, *finding.help])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("model.keras", "keras"),
        ("a/b.weights.h5", "weights.h5"),
        ("weights.h5", "h5"),
        ("myweights.h5", "h5"),
        ("x.hdf5", "h5"),
        ("x.weights.json", "weights.json"),
        ("x.H5", "other"),
        ("x", "other"),
        (b"x.keras", "keras"),
        (Path("x.keras"), "keras"),
    ],
)
def test_the_end_of_the_name_selects_the_reader(name: str | bytes | Path, suffix: str) -> None:
    assert paths.suffix_of(name) == suffix


def test_an_absent_file_names_the_nearest(tmp_path: Path) -> None:
    for name in ("model.weights.h5", "model_2.weights.h5", "unrelated.txt"):
        (tmp_path / name).touch()
    text = said(found(tmp_path / "modle.weights.h5", 101))
    assert "model.weights.h5" in text
    assert "unrelated" not in text


def test_an_absent_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    text = said(found(tmp_path / "wieghts" / "deep" / "model.weights.h5", 101))
    assert f"the folder `{tmp_path}/wieghts` does not exist" in text
    assert f'did you mean "{tmp_path}/weights"?' in text


def test_a_checkpoint_prefix_is_known(tmp_path: Path) -> None:
    (tmp_path / "ckpt.index").touch()
    assert "TensorFlow checkpoint" in said(found(tmp_path / "ckpt", 101))


def test_a_tilde_is_not_expanded() -> None:
    assert os.path.expanduser("~/model.weights.h5") in said(found("~/model.weights.h5", 101))


def test_a_relative_path_names_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) in said(found("model.weights.h5", 101))


def test_a_directory_names_what_is_in_it(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"epoch_{number:02}.weights.h5").touch()
    finding = found(tmp_path, 103)
    assert "epoch_00.weights.h5" in said(finding)
    assert len(finding.body) <= 7 and len(finding.help) <= 4


def test_a_saved_model_is_known(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    assert "SavedModel" in said(found(tmp_path, 103))


def test_a_dead_link_names_its_target(tmp_path: Path) -> None:
    (tmp_path / "model_v2.weights.h5").touch()
    link = tmp_path / "latest.weights.h5"
    link.symlink_to("model_v1.weights.h5")
    finding = found(link, 104)
    assert finding.found == "model_v1.weights.h5"
    assert "model_v2.weights.h5" in said(finding)


def test_a_closed_file_names_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.touch()
    path.chmod(0o200)
    text = said(found(path, 102))
    assert "--w-------" in text and "chmod a+r" in text


@pytest.mark.parametrize(
    "name", ["a\x1b[31m\u202e.h5", "x\nerror[KW000] y", os.fsdecode(b"caf\xe9.h5"), "a\0b", "", "x" * 5000]
)
@pytest.mark.parametrize("code", [101, 102, 103, 104, 105, 106, 107, 211, 213])
def test_no_name_makes_it_raise(name: str, code: int) -> None:
    report = path_report(name, CoreFailure(code, detail=name[:100]))
    assert all(line.isprintable() for line in report.render(all=True).split("\n"))
    assert report._repr_html_() and report.to_json().isascii()


def test_only_names_that_are_near_are_offered(tmp_path: Path) -> None:
    for name in ("resnet50_final.weights.h5", "weights_v2.weights.h5"):
        (tmp_path / name).write_bytes(b"")
    for absent, offered in (("weights_v3.weights.h5", "weights_v2.weights.h5"), ("bert.weights.h5", None)):
        with pytest.raises(kwload.WeightsNotFoundError) as raised:
            kwload.open(tmp_path / absent)
        text = str(raised.value)
        assert ("did you mean" in text) == (offered is not None) and (offered or "") in text
        assert "resnet50" not in text
