"""Parameters: plain values from YAML and the command line, checked against the types of a dataclass's fields."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from goldwash.errors import GoldwashError


class RecipeError(GoldwashError):
    """An error in a recipe or a parameter; the message says which, where, and the nearest known name.

    ``place``: the keys that lead to it within its stage, for callers that know the file's lines.
    """

    def __init__(self, message: str, place: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.place = place


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint for a misspelt name.

    >>> nearest("word_cuont", ["word_count", "line_count"])
    "did you mean 'word_count'?"
    """
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def plain(value: Any) -> Any:
    """A value with its lists as tuples, as a frozen dataclass holds it."""
    return tuple(plain(v) for v in value) if isinstance(value, list | tuple) else value


def fits(value: Any, kind: Any) -> bool:
    """Whether a plain value is of a parameter's type.

    >>> fits(3, float), fits(True, int), fits(["a"], tuple[str, ...]), fits(None, float | None)
    (True, False, True, True)
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, k) for k in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, list | tuple) and all(fits(v, arguments[0]) for v in value)
    if kind is Any:
        return True
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    return isinstance(value, kind)


def kind_name(kind: Any) -> str:
    """A parameter's type in words.

    >>> kind_name(typing.Literal["drop", "delete"]), kind_name(float | None)
    ("one of 'drop', 'delete'", 'float | None')
    """
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(kind)))
    return getattr(kind, "__name__", None) or str(kind).replace("typing.", "")
