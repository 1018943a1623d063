"""Names from files made safe to print: nothing that moves a cursor, forges a line or turns text around survives."""

from __future__ import annotations

import ast
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwload.report.escape import escape, json_text, literal, quote

anything = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dense/kernel", "dense/kernel"),
        ("größe/核", "größe/核"),
        ("a\nb", "a\\nb"),
        ("a\tb\r", "a\\tb\\r"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u200bc", "a\\u2066b\\u200bc"),
        ("a\u2028b", "a\\u2028b"),
        ("a\u00a0b", "a\\xa0b"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("back\\slash", "back\\\\slash"),
        ("", ""),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_pile_of_marks_is_cut_off() -> None:
    assert escape("e" + "\u0301" * 3) == "e" + "\u0301" * 3
    assert escape("e" + "\u0301" * 6).endswith("\\u0301\\u0301")


def test_long_names_lose_their_middle() -> None:
    shown = escape("a" * 100 + "b" * 100_000, limit=80)
    assert len(shown) == 80
    assert shown.startswith("aaaa") and shown.endswith("bbbb") and "…" in shown


def test_every_character_is_shown_or_escaped() -> None:
    for code in range(0, sys.maxunicode + 1, 7):
        shown = escape(chr(code))
        assert shown.isprintable(), hex(code)
        assert all(unicodedata.category(char)[0] != "C" for char in shown), hex(code)


@given(anything)
def test_the_result_is_one_printable_line(text: str) -> None:
    for shown in (escape(text), escape(text, 40), quote(text), literal(text)):
        assert shown.isprintable()
        assert len(shown.splitlines()) <= 1
    assert len(escape(text, 40)) <= 40


@given(anything, anything)
def test_different_names_stay_different(first: str, second: str) -> None:
    if first != second:
        assert escape(first, 10_000) != escape(second, 10_000)


@given(anything)
def test_a_literal_means_the_text(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


@given(anything)
def test_json_is_ascii_and_means_the_text(text: str) -> None:
    written = json_text({"name": text})
    assert written.isascii() and len(written.splitlines()) == 1
    assert json.loads(written) == {"name": text}


def test_quotes_do_not_end_early() -> None:
    assert quote("a`b") == "`a\\x60b`"
    assert literal('a"b') == "'a\"b'"
    assert literal("plain") == '"plain"'
