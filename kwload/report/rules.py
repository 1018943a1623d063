"""One rule for many names: what the names of the file and of the model have to do with each other, and the option that
says so. A rule is offered only when it sends every pair of layers to each other, and nothing else anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kwload import select
from kwload.report.context import MOST_CHARS, Context
from kwload.report.escape import literal, quote

Pair = tuple[int, int]
"""A group of the file, a group of the model."""

_MOST_PAIRS: Final = 6
"""Entries of a mapping that is written out."""

_FEW: Final = 4
"""Entries that are easier to read than a rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What turns the names of the file into those of the model: a clause, the option's text and its value."""

    said: str
    text: str
    mapping: select.Mapping

    @property
    def option(self) -> str:
        return f"mapping={self.text}"


def holds(context: Context, mapping: select.Mapping, pairs: Sequence[Pair]) -> bool:
    """Whether the mapping gives each layer of the model (second) the group of the file (first), and no other layer
    anything that it does not get already."""
    if context.model is None:
        return False
    try:
        mapped = select.resolve(context.model.groups, context.groups, mapping=mapping).mapped
    except (ValueError, TypeError, re.error, IndexError):
        return False
    if mapped is None or any(mapped[new] != old for old, new in pairs):
        return False
    settled = {new for _, new in pairs}
    above = {_place(context, new) for new in settled}
    return all(
        row < 0
        or new in settled
        or row == context.source(new)
        or not context.rows_of[new]
        or any(_place(context, new).startswith(f"{place}/") for place in above)  # it comes with what is above it
        for new, row in enumerate(mapped)
    )


def rule_of(context: Context, pairs: Sequence[Pair]) -> Rule | None:
    """The rule behind the names of these layers; None when there is none, or they are fewer than two."""
    if len(pairs) < 2:
        return None
    names = [(context.file_layer(old), context.selectable(new)) for old, new in pairs]
    places = [(context.groups[old][0], _place(context, new)) for old, new in pairs]
    for texts in (names, places):
        for rule in _rules(texts):
            if len(rule.text) <= MOST_CHARS and holds(context, rule.mapping, pairs):
                return rule
    return None


def part_rule(context: Context, roots: Sequence[tuple[str, str]], pairs: Sequence[Pair]) -> Rule | None:
    """The rule for paths whose last components differ, wherever these components stand."""
    parts = {old.rpartition("/")[2]: new.rpartition("/")[2] for old, new in roots}
    front = {new.removesuffix(old) for old, new in parts.items()}
    if len(parts) == 1:
        (old, new), *_ = parts.items()
        rule = _regex("", f"(^|/){re.escape(old)}(?=/|$)", rf"\g<1>{_plain(new)}")
    elif all(new.endswith(old) for old, new in parts.items()) and len(front) == 1:
        rule = _regex("", f"(^|/)(?=({'|'.join(map(re.escape, parts))})(/|$))", rf"\g<1>{_plain(front.pop())}")
    else:
        return None
    return rule if len(rule.text) <= MOST_CHARS and holds(context, rule.mapping, pairs) else None


def written_out(context: Context, pairs: Sequence[Pair]) -> str | None:
    """The option with each layer named, by its name where that says which is meant, else by its place."""
    if not pairs or len(pairs) > _MOST_PAIRS:
        return None
    for old, new in (
        (context.file_layer, context.selectable),
        (lambda row: context.groups[row][0], lambda row: _place(context, row)),
    ):
        mapping = {old(a): new(b) for a, b in pairs}
        short = all(0 < len(text) <= MOST_CHARS for text in (*mapping, *mapping.values()))
        if short and len(mapping) == len(pairs) and holds(context, mapping, pairs):
            return f"mapping={as_dict(mapping)}"
    return None


def option_of(context: Context, pairs: Sequence[Pair]) -> str | None:
    """The shortest option that maps these layers."""
    whole = written_out(context, pairs)
    rule = rule_of(context, pairs) if whole is None or len(pairs) > _FEW else None
    return rule.option if rule is not None else whole


def as_dict(mapping: dict[str, str]) -> str:
    return f"{{{', '.join(f'{literal(old)}: {literal(new)}' for old, new in mapping.items())}}}"


def _place(context: Context, group: int) -> str:
    return context.model.groups[group][0] if context.model is not None else ""


def _rules(names: Sequence[tuple[str, str]]) -> Iterator[Rule]:
    """The rules that turn each first name into the second, the plainest first."""
    if all(old == new for old, new in names):
        return
    yield from _front(names)
    yield from _back(names)
    yield from _middle(names)
    yield from _numbered(names)


def _front(names: Sequence[tuple[str, str]]) -> Iterator[Rule]:
    olds, news = zip(*names, strict=True)
    tail = min((_common(old[::-1], new[::-1]) for old, new in names), default=0)
    old, new = names[0]
    for most in dict.fromkeys((_common(old[::-1], new[::-1]), tail)):
        keep = most
        while keep and keep < min(len(old), len(new)) and not old[len(old) - keep].isalnum():
            keep -= 1  # what joins a prefix to the name is the prefix's
        a, b = old[: len(old) - keep], new[: len(new) - keep]
        if not all(x.startswith(a) and y == b + x[len(a) :] for x, y in zip(olds, news, strict=True)):
            continue
        if not a or not b:
            said = f"each name in the {'model' if b else 'file'} begins with {quote(b or a)}"
        else:
            said = f"{quote(a)} before each name in the file is {quote(b)} in the model"
        yield Rule(said, f"({literal(a)}, {literal(b)})", (a, b))


def _back(names: Sequence[tuple[str, str]]) -> Iterator[Rule]:
    old, new = names[0]
    keep = _common(old, new)
    a, b = old[keep:], new[keep:]
    if not all(x.endswith(a) and y == x[: len(x) - len(a)] + b for x, y in names):
        return
    if not a or not b:
        said = f"each name in the {'model' if b else 'file'} ends with {quote(b or a)}"
    else:
        said = f"{quote(a)} behind each name in the file is {quote(b)} in the model"
    yield _regex(said, f"{re.escape(a)}$", _plain(b))


def _middle(names: Sequence[tuple[str, str]]) -> Iterator[Rule]:
    """One text in the middle is another one."""
    old, new = names[0]
    front = _common(old, new)
    back = _common(old[front:][::-1], new[front:][::-1])
    a, b = old[front : len(old) - back], new[front : len(new) - back]
    if not a:
        return
    # Whole words: half of one is no rule that a person would know again.
    while front and old[front - 1].isalnum():
        front -= 1
        a, b = old[front] + a, old[front] + b
    while back and old[len(old) - back].isalnum():
        a, b = a + old[len(old) - back], b + old[len(old) - back]
        back -= 1
    whole = rf"(?<![^\W_]){re.escape(a)}(?![^\W_])"
    if all(re.subn(whole, _plain(b), x) == (y, 1) for x, y in names):
        yield _regex(f"{quote(a)} in the file is {quote(b)} in the model", whole, _plain(b))


def _numbered(names: Sequence[tuple[str, str]]) -> Iterator[Rule]:
    """Texts around the same numbers: ``block_3_dense`` is ``stage3_fc``."""
    old, new = names[0]
    a, b = re.split(r"\d+", old), re.split(r"\d+", new)
    if len(a) != len(b) or len(a) < 2:
        return
    for x, y in names:
        if re.split(r"\d+", x) != a or re.split(r"\d+", y) != b or re.findall(r"\d+", x) != re.findall(r"\d+", y):
            return
    pattern = "^" + r"(\d+)".join(map(re.escape, a)) + "$"
    replacement = "".join(f"{_plain(part)}\\g<{i}>" for i, part in enumerate(b[:-1], 1)) + _plain(b[-1])
    said = f"{quote('*'.join(a))} in the file is {quote('*'.join(b))} in the model"
    yield _regex(said, pattern, replacement)


def _regex(said: str, pattern: str, replacement: str) -> Rule:
    return Rule(said, f"(re.compile({_raw(pattern)}), {_raw(replacement)})", (re.compile(pattern), replacement))


def _raw(text: str) -> str:
    """As :func:`literal`, with backslashes as they are where that can be."""
    plain = "\\" in text and text.isprintable() and '"' not in text and not text.endswith("\\")
    return f'r"{text}"' if plain else literal(text)


def _plain(text: str) -> str:
    """A replacement that stands for itself."""
    return text.replace("\\", r"\\")


def _common(a: str, b: str) -> int:
    """How many characters two texts share from their beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
