"""The data of a report: findings, a prediction, and what they are about. Text is made elsewhere.

Names that come from a file (``Finding.path``, ``Finding.layer``, ``Report.pairs``) are kept as they are, so that they
can be used as keys; sentences (``headline``, ``body``, ``notes``, ``keras``, ``help``) have them escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from kwload.errors import WeightsError

Severity = Literal["error", "warning", "note"]
Outcome = Literal["loads", "loads_wrong", "loads_part", "loads_nothing", "raises", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause of trouble, or one fact worth knowing.

    Attributes
    ----------
    code : str
        ``"KW307"``; never changes its meaning.
    slug : str
        ``"shape-mismatch"``.
    severity : {"error", "warning", "note"}
        Whether it refuses the load, should be looked at, or is only said.
    headline : str
        One sentence that stands alone.
    layer, variable : str or None
        Where in the model (or in the file, for what only the file has): ``"outer/dense"`` and ``"kernel"``.
    path : str or None
        Where in the file: a tensor or a group, without a leading ``/``.
    expected, found : object
        What the model wants and what the file has: shapes as lists, dtypes and names as text, counts as numbers.
    cause : str or None
        Why, when the facts leave no doubt.
    body : tuple of str
        The lines that show the facts side by side.
    notes : tuple of str
        Further facts.
    keras : str or None
        What Keras does about it.
    help : tuple of str
        What to do, at most four suggestions; the first is the one to try.
    related : tuple of str
        Other variables (or tensors, when only the file has them) with the same cause.
    """

    code: str
    slug: str
    severity: Severity
    headline: str
    layer: str | None = None
    variable: str | None = None
    path: str | None = None
    expected: Any = None
    found: Any = None
    cause: str | None = None
    body: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    keras: str | None = None
    help: tuple[str, ...] = ()
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PredictedError:
    """What Keras raises.

    Attributes
    ----------
    type : str
        Name of the exception's class.
    message : str
        Its text up to the first inserted value; ``""`` when the text is not Keras's own.
    said : str
        As much of the text as is foreseen, with the values that are known.
    """

    type: str
    message: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What Keras would do with this very call.

    Attributes
    ----------
    keras : str
        Which Keras: ``"Keras 3.15.1"`` or ``"tf_keras 2.21.0"``.
    outcome : str
        ``loads`` (each variable gets its own tensor), ``loads_wrong``, ``loads_part``, ``loads_nothing``, ``raises``,
        ``unknown``.
    error : PredictedError or None
        With ``raises``.
    reason : str or None
        With ``unknown``: why nobody can tell.
    assigned : int
        Variables that Keras has overwritten when it raises, or when it returns.
    wrong : int
        With ``loads_wrong``: variables that get a tensor which the evidence gives to another.
    call : str
        What is foreseen: ``"load_weights"`` or ``"load_model"``.
    """

    keras: str
    outcome: Outcome
    error: PredictedError | None = None
    reason: str | None = None
    assigned: int = 0
    wrong: int = 0
    call: str = "load_weights"


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in the file, said in the text of a good report.

    Attributes
    ----------
    phrase : str
        ``"Keras 3 weights"``; what a person calls it.
    written_by : str or None
        ``"Keras 3.15.1, tensorflow"``, as far as the file records it.
    tensors, parameters, nbytes : int
        Of the weights (optimizer and metric state not counted): how many, elements, bytes.
    size : int
        Bytes of the file.
    generation : str or None
        Which Keras it was: ``"Keras 1"``, ``"standalone Keras 2"``, ``"tf.keras"``, ``"tf_keras"``, ``"Keras 2"``,
        ``"Keras 3"``; None when nothing tells.
    evidence : tuple of str
        What tells who wrote it, where it is not recorded.
    """

    phrase: str
    written_by: str | None = None
    tensors: int = 0
    parameters: int = 0
    nbytes: int = 0
    size: int = 0
    generation: str | None = None
    evidence: tuple[str, ...] = ()


class Lost(NamedTuple):
    """A block of zeros inside of a tensor whose other values look random.

    Attributes
    ----------
    first, size : int
        Flat index of the first value that is zero, and how many are.
    nbytes : int
        Bytes, with those of values that are zero in part.
    offset : int or None
        Of the first byte in the file; None when the bytes do not lie plain in it.
    """

    first: int
    size: int
    nbytes: int
    offset: int | None


class Values(NamedTuple):
    """What the values of a tensor are.

    Attributes
    ----------
    size : int
        How many.
    nan, inf : int
        How many are NaN, and infinite.
    nan_at, inf_at : int or None
        Flat index of the first of them.
    low, high : float or int or None
        Range of the finite values; None when there are none, and for complex ones.
    zeros : int
        How many are zero; of complex ones their parts.
    overflow, flushed, inexact : int
        How many become infinite, NaN or another integer when they take the type of the variable; become zero and were
        not; lose a fraction, an imaginary part or digits of an integer. Rounding is not counted.
    lost : Lost or None
        A block that was lost.
    """

    size: int
    nan: int
    nan_at: int | None
    inf: int
    inf_at: int | None
    low: float | None
    high: float | None
    zeros: int
    overflow: int
    flushed: int
    inexact: int
    lost: Lost | None


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What :func:`kwload.check` and :func:`kwload.load_weights` found.

    Attributes
    ----------
    path : str
        The file, as it was given.
    format : str
        The layout's slug (``"keras-3"``, ``"legacy"``, …), or the content's when it is no weight file.
    findings : tuple of Finding
        Errors first, then warnings, then notes.
    pairs : tuple of (str, str)
        Path of the tensor in the file and of the variable that gets it.
    prediction : Prediction or None
        What Keras would do; None when no Keras could be asked (nothing was read).
    undecidable : tuple of tuple of str
        Groups of layers that nothing in file or model can tell apart.
    counts : mapping of str to int
        ``wanted`` variables of this call, ``matched``, ``missing``, ``unused`` tensors of the file, ``errors``,
        ``warnings``, ``notes``.
    times : mapping of str to float
        Seconds by step.
    contents : Contents or None
        What was found in the file, if it could be opened.
    loaded : bool
        Whether the values were assigned to the model.
    values : mapping of str to Values
        What was seen of the values of each tensor that the call loads, by its path in the file; empty with
        ``values=False``.
    architecture : str or None
        Where the architecture stands that the file was held against; None for a live model.
    """

    path: str
    format: str
    findings: tuple[Finding, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    prediction: Prediction | None = None
    undecidable: tuple[tuple[str, ...], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    contents: Contents | None = None
    loaded: bool = False
    values: Mapping[str, Values] = field(default_factory=dict)
    architecture: str | None = None

    @property
    def ok(self) -> bool:
        """True when there is no error: every variable that this call selects gets its own tensor."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the load."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that a person should look at."""
        return self._of("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """The findings that are only said."""
        return self._of("note")

    def _of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def exception(self) -> WeightsError:
        """The exception that carries this report, of the class that its findings call for."""
        from kwload.report.codes import error_class

        return error_class(self.errors or self.warnings)(self)

    def raise_if_failed(self, strict: bool = False) -> None:
        """Raise when the load is refused.

        Parameters
        ----------
        strict : bool
            Warnings refuse too.

        Raises
        ------
        WeightsMismatchError
            File and model do not fit (a ``ValueError``).
        WeightsFileError
            The file is absent, may not be read, or is damaged (an ``OSError``; its subclasses say which).
        """
        if self.errors or (strict and self.warnings):
            raise self.exception()

    def render(self, all: bool = False, concise: bool = False, strict: bool = False) -> str:
        """The report as text.

        Parameters
        ----------
        all : bool
            Everything; without it, as much as fits into 40 lines.
        concise : bool
            Verdict and headlines only.
        strict : bool
            Warnings refuse too, and the verdict says so.
        """
        from kwload.report import text

        return text.render(self, all=all, concise=concise, strict=strict)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data; the keys are those of :meth:`to_json`."""
        from kwload.report import json

        return json.to_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """The report as a JSON text of one object with ``"schema": 1``, in ASCII."""
        from kwload.report import json

        return json.to_json(self, indent=indent)

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        from kwload.report import text

        return f"<kwload.Report {text.verdict(self)}>"

    def _repr_html_(self) -> str:
        from kwload.report import html

        return html.render(self)
