"""Addresses of measures: a place, and settings behind ``#``.

Invariants: ``FILE#k=10&tokens=512`` is the place ``FILE`` with two settings. An unknown setting and a value of another type are
errors. What follows ``#`` never reaches a server.
"""

from typing import Any

from goldwash.classifiers.model_file import ModelError
from goldwash.text_output import printable

TYPES = {int: "a whole number", float: "a number", str: "text"}


def settings(kind: str, address: str, known: dict[str, type]) -> tuple[str, dict[str, Any]]:
    """The place and the settings of an address, of the types in ``known``.

    Raises `ModelError` for an unknown setting, and for a value of another type or, of a number, one that is not above 0.

    >>> settings("topk", "model#k=10", {"k": int})
    ('model', {'k': 10})
    """
    place, mark, rest = address.partition("#")
    found: dict[str, Any] = {}
    for part in rest.split("&") if mark else []:
        name, equals, value = part.partition("=")
        if name not in known or not equals or not value:
            raise ModelError(
                f"{kind}: {printable(part)!r} is no setting; expected {' or '.join(f'{n}=…' for n in known)}, joined by &"
            )
        try:
            found[name] = known[name](value)
        except ValueError as error:
            raise ModelError(f"{kind}: {name} is {printable(value)!r}; expected {TYPES[known[name]]}") from error
        if known[name] is not str and not 0 < found[name] < float("inf"):
            raise ModelError(f"{kind}: {name} is {printable(value)}; expected a number above 0")
    return place, found


def no_label(kind: str, label: str | None) -> None:
    """Refuse a label for a kind that has none."""
    if label is not None:
        raise ModelError(f"{kind}: there are no labels, and the label {printable(label)!r} was asked for: leave it out")
