"""The parameters of stages, and the signals and edits of recipes, with their meaning.

Invariants: nothing is written twice. Names, types and defaults are those of the stage's dataclass; the meaning is the string
below the field in the source, the field's docstring.
"""

import ast
import dataclasses
import inspect
import textwrap
import typing
from dataclasses import dataclass

from goldwash.pipeline.parameters import kind_name
from goldwash.pipeline.recipes.reading import written
from goldwash.pipeline.stage import Stage


@dataclass(frozen=True)
class Parameter:
    """A stage's parameter: its type in words, its default as YAML, and its meaning ("" where the source says none)."""

    name: str
    kind: str
    default: str
    meaning: str


def parameters_of(kind: type[Stage]) -> list[Parameter]:
    """The parameters of a stage, in their order."""
    hints, meanings = typing.get_type_hints(kind), _meanings(kind)
    return [
        Parameter(field.name, kind_name(hints[field.name]), _default(field), meanings.get(field.name, ""))
        for field in dataclasses.fields(kind)
    ]


def _default(field: "dataclasses.Field[object]") -> str:
    value = field.default if field.default is not dataclasses.MISSING else None
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    plain = list(value) if isinstance(value, tuple) else value
    text = written(plain, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _meanings(kind: type) -> dict[str, str]:
    """The docstrings of a class's fields, those of its bases included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                found[field.target.id] = " ".join(text.value.value.split())
    return found


def signals_and_edits() -> dict[str, list[tuple[str, str]]]:
    """Names and summaries of the signals and of the edits, sorted."""
    from goldwash.filters.signals import EDITS, SIGNALS
    from goldwash.pipeline import steps as _steps  # noqa: F401  -- declares the families of signals

    return {
        "signals": sorted((name, declared.summary) for name, declared in SIGNALS.items()),
        "edits": sorted((name, declared.summary) for name, declared in EDITS.items()),
    }
