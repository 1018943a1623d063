"""How two nets differ once their layers are paired: layers that only one has, and what each layer is called with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Final

from kwload.meaning.net import INPUT, Call, GraphChange, GraphKind, Ref, Unit, words
from kwload.meaning.pair import Pairs, call_refs, same_kind, to_stored
from kwload.meaning.tidy import Tidy

_MOST: Final = 1000

# Classes without weights that certainly compute something else than their input.
_SURE: Final = frozenset(
    words(
        """
Activation UnitNormalization Add Subtract Multiply Average Maximum Minimum Dot Rescaling ThresholdedReLU
MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D GlobalMaxPooling1D
GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
"""
    )
)
# Classes with weights of which the findings on structure speak.
_WEIGHTED: Final = frozenset(
    words(
        """
Dense EinsumDense Embedding ReversibleEmbedding Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D LocallyConnected1D LocallyConnected2D
BatchNormalization LayerNormalization GroupNormalization RMSNormalization SpectralNormalization Normalization PReLU
SimpleRNN LSTM GRU RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional TimeDistributed MultiHeadAttention
GroupedQueryAttention
"""
    )
)


def differences(stored: Tidy, live: Tidy, pairs: Pairs, path: str) -> list[GraphChange]:
    """The differences of two nets, of which *path* is the place in the model: ``""`` or ``"outer/"``."""
    return _Join(stored, live, pairs, path).run()


class _Join:
    """Two nets whose layers are paired. What only one of them has is looked through, where it has one input."""

    def __init__(self, stored: Tidy, live: Tidy, pairs: Pairs, path: str) -> None:
        self.pairs = Pairs(dict(pairs.stored_of), dict(pairs.live_of), pairs.inputs)
        self.stored = replace(stored, passed=dict(stored.passed))
        self.live = replace(live, passed=dict(live.passed))
        self.path = path
        self.found: list[GraphChange] = []

    def run(self) -> list[GraphChange]:
        """The differences, in the order of the model."""
        self._replaced()
        self._left(self.stored, set(self.pairs.live_of), "removed")
        self._left(self.live, set(self.pairs.stored_of), "added")
        self._inputs()
        for b in self.live.kept:
            if b in self.pairs.stored_of:
                self._calls(self.pairs.stored_of[b], b)
        self._outputs()
        return self.found

    def _replaced(self) -> None:
        """Pairs layers of different classes that are called with the same."""
        free: dict[tuple[tuple[Ref, ...], ...], list[int]] = defaultdict(list)
        for a in reversed(self.stored.kept):
            if a not in self.pairs.live_of:
                unit = self.stored.net.units[a]
                free[tuple(tuple(call_refs(self.stored, unit.kind, call)) for call in unit.calls)].append(a)
        for b in self.live.kept:
            if b in self.pairs.stored_of or not free:
                continue
            unit = self.live.net.units[b]
            calls = [[to_stored(self.pairs, ref) for ref in call_refs(self.live, unit.kind, c)] for c in unit.calls]
            signature = tuple(tuple(ref for ref in refs if ref is not None) for refs in calls)
            if not free.get(signature) or any(ref is None for refs in calls for ref in refs):
                continue
            a = free[signature].pop()
            old = self.stored.net.units[a]
            self.pairs.add(b, a)
            if not (same_kind(self.stored, self.live, a, b) or _has_weights(old) or _has_weights(unit)):
                sure = _is_sure(old) and _is_sure(unit)
                self._add("replaced", self._name(self.live, b), (old.cls,), (unit.cls,), sure)

    def _left(self, net: Tidy, paired: set[int], kind: GraphKind) -> None:
        """States the layers that the other side has not, and looks through them."""
        for row in net.kept:
            if row in paired:
                continue
            unit = net.net.units[row]
            single = len(unit.calls) == 1 and len(unit.calls[0].refs) == 1
            before = self._name(net, net.follow(unit.calls[0].refs[0])[0], unit.calls[0].refs[0]) if single else ""
            if single:
                net.passed[row] = unit.calls[0].refs[0]
            if not _has_weights(unit):
                old, new = ((unit.cls, before), ()) if kind == "removed" else ((), (unit.cls, before))
                self._add(kind, self._name(net, row), old, new, _is_sure(unit))

    def _inputs(self) -> None:
        ours, theirs = self.live.net.inputs, self.stored.net.inputs
        if len(ours) != len(theirs) or self.pairs.inputs != list(range(len(ours))):
            self._add("model-inputs", self.path.rstrip("/"), tuple(theirs), tuple(ours))

    def _calls(self, a: int, b: int) -> None:
        """Whether a layer is called with the same on both sides."""
        old, new = self.stored.net.units[a], self.live.net.units[b]
        name = self._name(self.live, b)
        if len(old.calls) != len(new.calls):
            self._add("calls", name, (str(len(old.calls)),), (str(len(new.calls)),))
            return
        for one, two in zip(old.calls, new.calls, strict=True):
            if not self._same_refs(old.kind, one, two):
                self._add("inputs", name, self._names(self.stored, one.refs), self._names(self.live, two.refs))
                return

    def _same_refs(self, kind: str, one: Call, two: Call) -> bool:
        theirs = call_refs(self.stored, kind, one)
        ours = [to_stored(self.pairs, ref) for ref in call_refs(self.live, kind, two)]
        if None in ours or any(ref[0] not in self.pairs.live_of for ref in theirs if ref[0] != INPUT):
            return True  # one of them is stated already
        if any(ref[1] >= len(self.live.net.inputs) for ref in theirs if ref[0] == INPUT):
            return True
        if one.slots != two.slots or kind in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
            return sorted(theirs) == sorted(ref for ref in ours if ref is not None)
        return theirs == ours

    def _outputs(self) -> None:
        theirs = [self.stored.follow(ref) for ref in self.stored.net.outputs]
        ours = [to_stored(self.pairs, self.live.follow(ref)) for ref in self.live.net.outputs]
        if None in ours and len(ours) == len(theirs):
            return
        if theirs != ours:
            old, new = self.stored.net.outputs, self.live.net.outputs
            name = self.path.rstrip("/")
            self._add("outputs", name, self._names(self.stored, old), self._names(self.live, new))

    def _names(self, net: Tidy, refs: list[Ref]) -> tuple[str, ...]:
        return tuple(self._name(net, net.follow(ref)[0], ref) for ref in refs)

    @staticmethod
    def _name(net: Tidy, row: int, ref: Ref | None = None) -> str:
        if row != INPUT:
            return net.net.units[row].name
        names = net.net.inputs
        which = net.follow(ref)[1] if ref is not None else 0
        return (names[which] if which < len(names) else "") or "the input"

    def _add(
        self,
        kind: GraphKind,
        layer: str,
        stored: tuple[str, ...] = (),
        live: tuple[str, ...] = (),
        sure: bool = True,
    ) -> None:
        if len(self.found) < _MOST:
            self.found.append(GraphChange(kind, f"{self.path}{layer}" if layer else "", stored, live, sure))


def _has_weights(unit: Unit) -> bool:
    if unit.source is not None:
        try:
            return bool(unit.source.weights)
        except Exception:  # noqa: BLE001 - a user's property; an operation has none
            return False
    return unit.kind in _WEIGHTED or "layers" in (unit.config or ())


def _is_sure(unit: Unit) -> bool:
    return unit.kind in _SURE and not unit.custom and not unit.operation
