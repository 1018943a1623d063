"""How a replay ends before its end: with the exception that Keras raises, or with something nobody can foresee."""

from __future__ import annotations


class RaisedError(Exception):
    """Keras raises.

    Attributes
    ----------
    type : str
        The exception's class.
    prefix : str
        Its text up to the first inserted value that is not known; ``""`` when the text is not Keras's own.
    said : str
        As much of the text as is known.
    cause : RaisedError or None
        The error inside, when this one only wraps it.
    is_late : bool
        Whether Keras has loaded the weights by then.
    operation : tuple of (str, str), or None
        Name of the operation, and class of the layer that Keras makes of it, where that is what it stumbles over.
    """

    def __init__(self, kind: str, prefix: str, said: str = "", cause: RaisedError | None = None) -> None:
        super().__init__(kind, prefix)
        self.type = kind
        self.prefix = prefix
        self.said = said or prefix
        self.cause = cause
        self.is_late = False
        self.operation: tuple[str, str] | None = None

    @property
    def root(self) -> RaisedError:
        """The error at the bottom: what is really wrong."""
        return self if self.cause is None else self.cause.root


class UnknownError(Exception):
    """What happens here depends on something that is not in the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CrossedError(UnknownError):
    """Keras connects a layer to the call of another model.

    Attributes
    ----------
    layer : str
        Its name.
    """

    def __init__(self, layer: str) -> None:
        super().__init__("Keras mixes up the calls of a layer that stands inside and outside of another model")
        self.layer = layer


class EndlessError(UnknownError):
    """Keras looks for something again and again, and never returns."""
