"""Signals: what a text is like, as a number a text.

Law: a signal is a measurement, never a verdict. It has a name, and ``measure(texts)`` gives an array of one number a text,
kept with the texts. Bounds stand in a `Keep`, bounds' values in recipes. A text's number depends on that text alone, not on
its neighbours, its row or its batch. nan means "this cannot be said of this text" and no `Keep` passes it.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from goldwash.filters.texts import Texts

Values = npt.NDArray[Any]
Measure = Callable[..., Values]

SIGNALS: dict[str, "Signal"] = {}
"""Every signal that has been declared, by name."""

EDITS: dict[str, "Edit"] = {}
"""Every edit that has been declared, by name."""


class SignalError(ValueError):
    """A signal that was declared or used wrongly; the message says how to mend it."""


def plain(value: Any) -> Any:
    """A parameter as it is kept: lists become tuples, so that it can be a key."""
    return tuple(plain(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Declared:
    """A named function of texts, with its parameters bound: what a recipe can call."""

    name: str
    function: Callable[..., Any]
    column: str = "text"
    parameters: tuple[tuple[str, Any], ...] = ()

    def bind(self, **parameters: Any) -> Self:
        """The same with these parameters; an unknown one, or a missing one that has no default, is a `SignalError`."""
        known = self.defaults()
        for name in parameters:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; it has: {', '.join(known) or 'none'}"
                raise SignalError(f"{self.name} has no parameter {name!r}{hint}")
        for name, default in known.items():
            if default is inspect.Parameter.empty and name not in parameters:
                raise SignalError(f"{self.name} needs the parameter {name!r}")
        return replace(self, parameters=tuple(sorted((k, plain(v)) for k, v in parameters.items())))

    def defaults(self) -> dict[str, Any]:
        """The parameters that can be bound, with their defaults."""
        return {k: p.default for k, p in list(inspect.signature(self.function).parameters.items())[1:]}

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]


@dataclass(frozen=True)
class Signal(Declared):
    """A named measurement of texts; ``column`` is the column that it measures, ``text`` or ``url``."""

    def measure(self, texts: Texts) -> Values:
        """One number a text: ``float64[N]`` or ``int64[N]``; made once for these texts."""
        values = texts.remember((self.name, self.parameters), self._measure)
        assert isinstance(values, np.ndarray)
        return values

    __call__ = measure

    def of_rows(self, rows: Sequence[Mapping[str, Any]]) -> Values:
        """One number per document of a signal declared with `per_row`: ``float64[N]``."""
        values = (self.function(row, **dict(self.parameters)) for row in rows)
        return np.fromiter(values, np.float64, len(rows))

    def _measure(self, texts: Texts) -> Values:
        if self.column == "row":
            raise SignalError(f"signal {self.name} sees whole rows (per_row): it can be used in `keep` and `mark`, not here")
        values = np.asarray(self.function(texts, **dict(self.parameters)))
        if values.shape != (len(texts),) or values.dtype.kind not in "iufb":
            raise SignalError(
                f"signal {self.name} gave {values.dtype}{list(values.shape)} for {len(texts)} texts: return one number a text"
            )
        return values


@dataclass(frozen=True)
class Edit(Declared):
    """A named change of texts: ``Texts -> Texts`` of as many rows."""

    def __call__(self, texts: Texts) -> Texts:
        """The texts after the change; the same object where nothing changed."""
        edited = self.function(texts, **dict(self.parameters))
        if not isinstance(edited, Texts) or len(edited) != len(texts):
            raise SignalError(f"edit {self.name} must return Texts of {len(texts)} rows")
        return edited


DeclaredKind = TypeVar("DeclaredKind", bound=Declared)


def _declare(table: dict[str, DeclaredKind], declared: DeclaredKind) -> DeclaredKind:
    earlier = table.get(declared.name)
    here = inspect.getsourcefile(declared.function)
    if earlier and (there := inspect.getsourcefile(earlier.function)) != here:
        raise SignalError(f"two are called {declared.name}: one in {there}, one in {here}; rename yours")
    table[declared.name] = declared
    return declared


def edit(function: Callable[..., Texts]) -> Edit:
    """Declare an edit: a function of `Texts` (and of named parameters) that gives `Texts` of as many rows."""
    return _declare(EDITS, Edit(function.__name__, function))


@overload
def signal(function: Measure) -> Signal: ...
@overload
def signal(*, column: str = "text", name: str | None = None) -> Callable[[Measure], Signal]: ...
def signal(
    function: Measure | None = None, *, column: str = "text", name: str | None = None
) -> Signal | Callable[[Measure], Signal]:
    """Declare a signal: a function of `Texts` (and of named parameters) that gives an array of one number a text."""

    def declare(function: Measure) -> Signal:
        return _declare(SIGNALS, Signal(name or function.__name__, function, column))

    return declare(function) if function else declare


def per_text(function: Callable[..., float]) -> Signal:
    """Declare a signal by a plain function of one string.

    >>> @per_text
    ... def shouting(text: str) -> float:
    ...     return text.count("!") / max(len(text), 1)
    >>> shouting(Texts.of(["hi!!", ""])).tolist()
    [0.5, 0.0]
    >>> _ = SIGNALS.pop("shouting")
    """

    def measure(texts: Texts, **parameters: Any) -> Values:
        return np.fromiter((function(text, **parameters) for text in texts), np.float64, len(texts))

    own = list(inspect.signature(function).parameters.values())[1:]
    measure.__name__, measure.__doc__ = function.__name__, function.__doc__
    measure.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("texts", inspect.Parameter.POSITIONAL_OR_KEYWORD), *own]
    )
    measure.__wrapped__ = function  # type: ignore[attr-defined]
    return signal(measure)


def per_row(function: Callable[..., float]) -> Signal:
    """Declare a signal by a plain function of one document: a dictionary of its columns, ``text`` as it is at that step.

    >>> @per_row
    ... def title_fraction(row) -> float:
    ...     return len(row["title"] or "") / max(len(row["text"]), 1)
    >>> title_fraction.of_rows([{"title": "Gold", "text": "Gold pans"}]).tolist()
    [0.4444444444444444]
    >>> _ = SIGNALS.pop("title_fraction")
    """
    return _declare(SIGNALS, Signal(function.__name__, function, "row"))


@dataclass(frozen=True)
class Keep:
    """Bounds on a signal: ``min`` and ``max`` inclusive, ``above`` and ``below`` strict; nan never passes."""

    signal: Signal
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        low = [b for b in (self.min, self.above) if b is not None]
        high = [b for b in (self.max, self.below) if b is not None]
        if not low and not high:
            raise SignalError(f"keep {self.signal.name}: give min, max, above or below, or leave the step out")
        if low and high and max(low) > min(high):
            raise SignalError(f"keep {self.signal.name}: the lower bound {max(low)} is above the upper bound {min(high)}")

    def passes(self, values: Values) -> npt.NDArray[np.bool_]:
        """Which values lie within the bounds."""
        kept = ~np.isnan(values)
        if self.min is not None:
            kept &= values >= self.min
        if self.max is not None:
            kept &= values <= self.max
        if self.above is not None:
            kept &= values > self.above
        if self.below is not None:
            kept &= values < self.below
        return kept

    @property
    def bounds(self) -> str:
        """The bounds in words, as ``50 <= word_count <= 100000``."""
        text = self.signal.name
        if self.min is not None:
            text = f"{self.min:g} <= {text}"
        if self.above is not None:
            text = f"{self.above:g} < {text}"
        if self.max is not None:
            text = f"{text} <= {self.max:g}"
        if self.below is not None:
            text = f"{text} < {self.below:g}"
        return text
