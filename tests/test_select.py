"""only=, skip= and mapping=: from names to rows."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kwload import select


def group(name: str) -> tuple[Any, ...]:
    return (f"layers/{name}", name, "Dense", 0, [("kernel", f"{name}/kernel", name, (2, 2), "float32", True)])


MODEL = [group("encoder"), group("decoder"), group("outer/head")]
FILE = [("layers/dense", "swa_encoder", 1, (), None), ("layers/dense_1", "swa_decoder", 1, (), None)]


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ({"only": "encoder"}, [1, 0, 0]),
        ({"skip": ["*coder"]}, [0, 0, 1]),
        ({"skip": "outer"}, [1, 1, 0]),
        ({"only": ["*coder"], "skip": "decoder"}, [1, 0, 0]),
    ],
)
def test_layers_are_named_by_path_glob_or_what_holds_them(options: dict[str, Any], selected: list[int]) -> None:
    assert select.resolve(MODEL, FILE, **options).selected == bytes(selected)


@pytest.mark.parametrize(
    "mapping",
    [
        {"swa_encoder": "encoder", "swa_decoder": "decoder"},
        ("swa_", ""),
        (re.compile("^swa_(.*)"), r"\1"),
        lambda name: name.removeprefix("swa_"),
    ],
)
def test_each_kind_of_mapping(mapping: Any) -> None:
    assert select.resolve(MODEL, FILE, mapping=mapping).mapped == [0, 1, -1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"only": "encodr"}, "nearest: encoder"),
        ({"skip": "*"}, "leave no layer"),
        ({"only": []}, "leave no layer"),
        ({"mapping": {"swa_encodr": "encoder"}}, "nearest: swa_encoder"),
        ({"mapping": {"swa_encoder": "encodr"}}, "nearest: encoder"),
        ({"mapping": {"swa_encoder": "encoder", "swa_decoder": "encoder"}}, "both"),
        ({"mapping": ("ema_", "")}, "matches no layer"),
    ],
)
def test_what_names_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        select.resolve(MODEL, FILE, **options)


def test_a_mapping_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="mapping must be"):
        select.resolve(MODEL, FILE, mapping=5)  # type: ignore[arg-type]
