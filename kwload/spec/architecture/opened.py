"""An architecture for an opened file: whose model it is, what it wants, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kwload.report.facts import FileFacts
from kwload.spec.architecture.adopt import adopted
from kwload.spec.architecture.describe import Described, describe
from kwload.spec.architecture.target import Target, keras_of
from kwload.spec.architecture.things import ArchitectureError
from kwload.spec.asked import Asked


def of_file(
    target: Target, file: FileFacts, asked: Asked | None = None, custom_objects: Mapping[str, Any] | None = None
) -> tuple[Described, Asked]:
    """What an architecture wants of an opened file, and the Keras that would make the model.

    Parameters
    ----------
    target : Target
        From :func:`kwload.spec.architecture.target.read`.
    file : _core.File
        The opened file.
    asked : Asked, optional
        The Keras that the call is about.
    custom_objects : mapping, optional
        Names of the user's own classes -> classes or signatures.

    Raises
    ------
    ArchitectureError
        No model can be made of it; the text says where it stands.
    """
    keras = keras_of(target, file.layout, asked)
    try:
        made = adopted(describe(target.tree, file.layout, keras, custom_objects), file)
    except ArchitectureError as error:
        raise ArchitectureError(f"{target.said}: {error}") from None
    if keras.alone:
        from kwload.spec import unsure

        reason = unsure.of_version(keras)
        made = made if reason is None else replace(made, unsure=reason, open_rows=None)
    return replace(made, said=target.said), keras
