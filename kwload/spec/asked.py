"""The Keras that a call names, which need not be installed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kwload.spec.described import Keras

_LATEST: Final = 99
"""The patch, or minor version, of a version that does not name one."""

_ASKED: Final = re.compile(r"(?:(keras|tf_keras|tf\.keras)[ =v]*)?(?:(\d{1,2})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?)?")
_EXPECTED: Final = (
    'expected a version of Keras ("3", "3.5", "3.8.0", "2.15", "2.3.1", "1.2.2") or of tf_keras ("tf_keras 2.16")'
)


@dataclass(frozen=True, slots=True)
class Asked(Keras):
    """A Keras that a call asks about.

    Attributes
    ----------
    said : str
        As a person reads it: ``"Keras 2.15"``.
    """

    said: str = ""

    @property
    def alone(self) -> bool:
        """Whether it is 1.x, or a 2.x that is no part of TensorFlow."""
        return self.flavour == "keras2"

    @property
    def exact(self) -> tuple[int, ...]:
        """The numbers that were given."""
        return tuple(own for own in self.version if own != _LATEST)

    def is_it(self, keras: Keras) -> bool:
        """Whether *keras* is one of the versions that were asked for."""
        return self.flavour == keras.flavour and keras.version[: len(self.exact)] == self.exact


def parse(text: str) -> Asked:
    """The Keras that *text* names.

    Parameters
    ----------
    text : str
        Keras's own number, in full or its beginning, which means the last of that series: ``"3"``, ``"3.5"``,
        ``"3.8.0"``, ``"2.15"``, ``"2.3.1"``, ``"1.2.2"``; with ``keras`` or ``tf_keras`` in front, or only that.

    Raises
    ------
    ValueError
        For anything else.

    Notes
    -----
    2.0 to 2.3 and 1.x are Keras by itself; from 2.4 on Keras 2 is a part of TensorFlow (2.4: TensorFlow 2.3 and 2.4;
    2.5 to 2.15: the TensorFlow of that number), from 2.16 on it is called tf_keras.
    """
    found = _ASKED.fullmatch(str(text).strip().lower())
    if found is None or not (found[1] or found[2]):
        raise ValueError(f"keras is {text!r}; {_EXPECTED}")
    package = (found[1] or "").replace(".", "_")
    given = [part for part in found.groups()[1:] if part is not None] or ["3" if package == "keras" else "2"]
    major, minor, patch = [*map(int, given), _LATEST, _LATEST][:3]
    old = major == 1 or (major == 2 and minor < 4)
    if not 1 <= major <= 3 or (package == "tf_keras" and (major == 3 or old)):
        raise ValueError(f"keras is {text!r}; {_EXPECTED}")
    flavour = "keras" if major == 3 else "keras2" if old else "tf_keras"
    name = "tf_keras" if major == 2 and (package == "tf_keras" or minor >= 16) and minor != _LATEST else "Keras"
    return Asked(flavour, (major, minor, patch), "", "tensorflow", f"{name} {'.'.join(given)}")
