"""The exceptions of kwload: each is also the exception that Keras users already catch, and carries the report."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwload.report.finding import Report

__all__ = [
    "WeightsError",
    "WeightsFileError",
    "WeightsIsADirectoryError",
    "WeightsMismatchError",
    "WeightsNotFoundError",
    "WeightsPermissionError",
    "WeightsWarning",
]


class WeightsError(Exception):
    """A weight file was refused.

    Attributes
    ----------
    report : Report
        Everything that was found; ``str(error)`` is its text.
    """

    report: Report

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return self.report.render(strict=True)

    def __reduce__(self) -> tuple[type[WeightsError], tuple[Report]]:
        # OSError would pickle errno and file name instead of the report.
        return type(self), (self.report,)


class WeightsMismatchError(WeightsError, ValueError):
    """File and model do not fit each other. ``except ValueError`` catches it, as it catches Keras's own."""


class WeightsFileError(WeightsError, OSError):
    """The file cannot be read or is damaged. ``except OSError`` catches it; ``filename`` is the path."""

    _errno: int | None = None

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.filename = report.path
        if self._errno is not None:
            self.errno = self._errno
            self.strerror = os.strerror(self._errno)


class WeightsNotFoundError(WeightsFileError, FileNotFoundError):
    """Nothing is at the path, or a link that leads nowhere; ``errno`` is ``ENOENT``."""

    _errno = errno.ENOENT


class WeightsPermissionError(WeightsFileError, PermissionError):
    """The file may not be read by this user; ``errno`` is ``EACCES``."""

    _errno = errno.EACCES


class WeightsIsADirectoryError(WeightsFileError, IsADirectoryError):
    """The path is a directory; ``errno`` is ``EISDIR``."""

    _errno = errno.EISDIR


class WeightsWarning(UserWarning):
    """A call of Keras that loads, and that a person should look at (:func:`kwload.install`)."""
