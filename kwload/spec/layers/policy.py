"""Dtype policies, as configs of Keras 1 to 3 write them (``keras/src/dtype_policies/dtype_policy.py``, 3.15.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kwload.spec.layers.options import MOST, plain

MODES: Final = frozenset({"int8", "int4", "float8", "gptq", "awq"})


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy.

    Attributes
    ----------
    name : str or None
        ``"mixed_float16"``, without the way of quantizing; None when the config leaves it to others.
    mode : str or None
        How kernels are quantized: one of ``int8 int4 float8 gptq awq``.
    bits : int or None
        Of a weight (gptq, awq).
    group : int or None
        Inputs that share a scale; None or -1 where all of a channel do.
    history : int
        How many maxima float8 keeps.
    """

    name: str | None = None
    mode: str | None = None
    bits: int | None = None
    group: int | None = None
    history: int = 1024

    @property
    def variable_dtype(self) -> str | None:
        """The type of variables; None when it is not known."""
        if self.name is None:
            return None
        return "float32" if self.name.startswith("mixed_") else self.name


def policy_of(value: Any) -> Policy:
    """The policy in ``config["dtype"]``: a name, or the record of a policy; what cannot be read says nothing."""
    for _ in range(4):
        if isinstance(value, str):
            return _named(value)
        inner = value.get("config") if isinstance(value, Mapping) else None
        if not isinstance(inner, Mapping):
            return Policy()
        mode, source = inner.get("mode"), inner.get("source_name")
        if isinstance(mode, str):
            found = _named(f"{mode}_from_{source}" if isinstance(source, str) else mode)
            return Policy(found.name, found.mode, found.bits, found.group, _history(inner))
        value = inner.get("default_policy", inner.get("name"))
    return Policy()


def _history(config: Mapping[str, Any]) -> int:
    found = config.get("amax_history_length")
    return found if type(found) is int and 0 < found <= MOST else 1024


def _named(text: str) -> Policy:
    """The policy of ``"int4/128_from_float32"``."""
    before, _, source = text.partition("_from_")
    mode, *numbers = before.split("/")
    if mode not in MODES:
        return Policy(None if text.startswith("_") else text)
    read = [_number(part) for part in numbers]
    if mode in ("gptq", "awq"):
        bits, group = (*read, None, None)[:2]
        return Policy(source or None, mode, bits, group)
    return Policy(source or None, mode, None, read[0] if read else None)


def _number(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() and digits.isascii() and len(digits) < 10 else None


def dtype_for(config: Mapping[str, Any], sublayer: str) -> Any:
    """What a layer hands to a sub-layer as policy: its own, or that of a map of policies by path."""
    value = config.get("dtype")
    inner = value.get("config") if isinstance(value, Mapping) else None
    policies = inner.get("policy_map") if isinstance(inner, Mapping) else None
    if not isinstance(policies, Mapping):
        return value
    found = [policies[path] for path in policies if isinstance(path, str) and path.rpartition("/")[2] == sublayer]
    if len(found) == 1:
        return found[0]
    return plain(inner.get("default_policy")) if isinstance(inner, Mapping) else None
