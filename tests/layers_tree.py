"""What the table of layers says of a layer and all that is inside it, and of how much less it may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kwload.spec.layers import Where, signature_of
from kwload.spec.layers.policy import policy_of
from kwload.spec.signature import Signature, Sub, Var


def expanded(kind: str, config: Mapping[str, Any], shape: Any, where: Where, policy: str = "float32") -> dict[str, Any]:
    """The tree below a layer: ``{"variables": [...], attribute: tree or list of trees}``."""
    found = signature_of(kind, config, shape, where)
    assert found is not None, kind
    return {"output": found.output_shape, **spread(found, config, where, policy)}


def spread(found: Signature, config: Mapping[str, Any], where: Where, policy: str) -> dict[str, Any]:
    own = policy_of(config.get("dtype")).variable_dtype or policy
    tree: dict[str, Any] = {"variables": []}
    for part in found.parts:
        if isinstance(part, Var):
            tree["variables"].append((part.name, part.shape, part.dtype or own, part.trainable))
            tree.setdefault("same", []).extend([part.same_as] * (part.same_as is not None))
        else:
            tree[part.attribute] = below(part, where, own)
    return tree


def below(part: Sub, where: Where, policy: str) -> Any:
    if not isinstance(part.layer, str):
        items = part.layer.values() if isinstance(part.layer, Mapping) else part.layer
        return [below(item, where, policy) for item in items]
    return expanded(part.layer, part.config, part.input_shape, where, policy)


NOT_PARTS = ("variables", "output", "same")


def order(tree: dict[str, Any]) -> list[Any]:
    """All variables: the layer's own, then those of its sub-layers."""
    found = list(tree["variables"])
    for key, value in tree.items():
        if key in NOT_PARTS:
            continue
        for item in value if isinstance(value, list) else [value]:
            found += order(item)
    return found


def in_order(tree: dict[str, Any]) -> list[Any]:
    """All variables, the kernel that two have once."""
    twice = [way.rpartition("/")[2] for way in tree.get("same", [])]
    found = order(tree)
    return [each for at, each in enumerate(found) if not (each[0] in twice and each in found[:at])]


def dimmed(shape: Any) -> Iterator[Any]:
    """*shape* with less known of it: each length, the last, all of them, the rank, and which inputs there are."""
    yield None
    if isinstance(shape, list):
        for at, one in enumerate(shape):
            for less in dimmed(one):
                yield [*shape[:at], less, *shape[at + 1 :]]
        yield shape[0]
        return
    yield (None,) * len(shape)
    for at in range(1, len(shape)):
        yield (*shape[:at], None, *shape[at + 1 :])


def fits(less: Any, more: Any, loose: bool = False) -> bool:
    """Whether *less* says nothing else than *more*, nor more."""
    if less is None or (loose and isinstance(more, int)):
        return True
    if isinstance(less, (list, tuple)):
        return (
            isinstance(more, type(less)) and len(less) == len(more) and all(map(fits, less, more, [loose] * len(less)))
        )
    return bool(less == more)


def assert_known_less(less: dict[str, Any], more: dict[str, Any]) -> None:
    assert fits(less["output"], more["output"]), (less["output"], more["output"])
    assert len(less["variables"]) == len(more["variables"])
    for one, other in zip(less["variables"], more["variables"], strict=True):
        assert one[0] == other[0] and one[2:] == other[2:]
        assert fits(one[1], other[1]), (one, other)
    assert set(less) == set(more)
    for key in set(more) - set(NOT_PARTS):
        both = (item if isinstance(item, list) else [item] for item in (less[key], more[key]))
        for one, other in zip(*both, strict=True):
            assert_known_less(one, other)
