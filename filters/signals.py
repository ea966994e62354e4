"""Signals: measurements of texts, one number per text; edits; and bounds on signals.

Invariants:

- A signal measures and never judges. It has a name, and ``measure(texts)`` returns one number per text, memoised on the texts.
- Bounds are in a `Keep`, their values in recipes.
- The number of a text depends on that text alone, not on its neighbours, its row or its batch.
- nan means that the text has no such number, and passes no `Keep`.

A package adds signals and edits through an entry point in the group ``goldwash.signals`` that names a module (or object) whose
import declares them. Plug-ins are loaded once per process, when a name is not found among the others.
"""

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.filters.texts import Texts

Values = npt.NDArray[Any]
Measure = Callable[..., Values]

GROUP = "goldwash.signals"
"""The group of entry points that plug-ins use."""


class SignalError(GoldwashError, ValueError):
    """A signal or edit that was declared or used wrongly; the message gives the cure."""


def plain(value: Any) -> Any:
    """A parameter in hashable form: lists become tuples."""
    return tuple(plain(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Declared:
    """A named function of texts with bound parameters, which a recipe can call."""

    name: str
    function: Callable[..., Any]
    column: str = "text"
    parameters: tuple[tuple[str, Any], ...] = ()

    def bind(self, **parameters: Any) -> Self:
        """A copy with these parameters; `SignalError` for an unknown parameter, or a missing one without a default."""
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
    def bound(self) -> dict[str, Any]:
        """All parameters with their values; the required ones that are not bound yet have none."""
        return {**self.defaults(), **dict(self.parameters)}

    def same(self, other: "Declared") -> bool:
        """Whether the other is this function with the same values of all parameters."""
        return self.function is other.function and self.bound == other.bound

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]


@dataclass(frozen=True)
class Signal(Declared):
    """A named measurement of texts; ``column`` is the column that it measures, ``text`` or ``url``."""

    def measure(self, texts: Texts) -> Values:
        """One number per text, ``float64[N]`` or ``int64[N]``; computed once for these texts."""
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
            raise SignalError(
                f"signal {self.name} sees whole rows (per_row): it can be used in `keep`, `mark` and `column`, not here"
            )
        values = np.asarray(self.function(texts, **dict(self.parameters)))
        if values.shape != (len(texts),) or values.dtype.kind not in "iufb":
            raise SignalError(
                f"signal {self.name} returned {values.dtype}{list(values.shape)} for {len(texts)} texts: "
                "return one number per text"
            )
        return values


@dataclass(frozen=True)
class Edit(Declared):
    """A named change of texts: ``Texts -> Texts`` with the same number of rows."""

    tally: Callable[..., Mapping[str, int]] | None = None
    """What the edit counts in texts before it changes them, for the report: called as the function is."""

    def counted(self, texts: Texts) -> Mapping[str, int]:
        """The counts of `tally` by name; empty for an edit without one."""
        return self.tally(texts, **dict(self.parameters)) if self.tally else {}

    def __call__(self, texts: Texts) -> Texts:
        """The edited texts; the same object if nothing changed."""
        edited = self.function(texts, **dict(self.parameters))
        if not isinstance(edited, Texts) or len(edited) != len(texts):
            raise SignalError(f"edit {self.name} must return Texts of {len(texts)} rows")
        return edited


DeclaredKind = TypeVar("DeclaredKind", bound=Declared)


class Declarations(MutableMapping[str, DeclaredKind]):
    """Declared signals or edits by name. A name that is not here, or a request for all names, loads the plug-ins first."""

    def __init__(self) -> None:
        self.here: dict[str, DeclaredKind] = {}

    def __getitem__(self, name: str) -> DeclaredKind:
        if name not in self.here:
            load_plugins()
        return self.here[name]

    def __setitem__(self, name: str, declared: DeclaredKind) -> None:
        self.here[name] = declared

    def __delitem__(self, name: str) -> None:
        del self.here[name]

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(tuple(self.here))

    def __len__(self) -> int:
        load_plugins()
        return len(self.here)


SIGNALS: Declarations[Signal] = Declarations()
"""Every declared signal, by name."""

EDITS: Declarations[Edit] = Declarations()
"""Every declared edit, by name."""

PROVIDERS: dict[str, str] = {}
"""The package and version that declared a signal or edit, for those that a plug-in declared."""

_loaded: set[str] = set()


def load_plugins() -> None:
    """Load the entry points of the group ``goldwash.signals``, each once per process.

    Raises `SignalError` with the name of a plug-in that fails.
    """
    for entry in _plugins(entry_points, tuple(sys.path)):
        if entry.value not in _loaded:
            _loaded.add(entry.value)  # first: a plug-in may look up signals while it loads
            before = {*SIGNALS.here, *EDITS.here}
            try:
                entry.load()
            except Exception as error:
                _loaded.discard(entry.value)
                raise SignalError(
                    f"plug-in {entry.name} ({entry.value}) of {_package(entry)} failed: {type(error).__name__}: {error}; "
                    "mend it, or uninstall the package"
                ) from error
            PROVIDERS.update(dict.fromkeys({*SIGNALS.here, *EDITS.here} - before, _package(entry)))


@lru_cache(maxsize=1)
def _plugins(read: Callable[..., Iterable[EntryPoint]], path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The plug-ins of the packages on ``path``. Reading every package's metadata takes 20 ms, and a recipe asks 50 times."""
    return tuple(read(group=GROUP))


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"


def _declare(table: Declarations[DeclaredKind], declared: DeclaredKind) -> DeclaredKind:
    earlier = table.here.get(declared.name)
    here = inspect.getsourcefile(declared.function)
    if earlier and (there := inspect.getsourcefile(earlier.function)) != here:
        raise SignalError(f"two are called {declared.name}: one in {there}, one in {here}; rename yours")
    table[declared.name] = declared
    return declared


@overload
def edit(function: Callable[..., Texts]) -> Edit: ...
@overload
def edit(*, tally: Callable[..., Mapping[str, int]]) -> Callable[[Callable[..., Texts]], Edit]: ...
def edit(
    function: Callable[..., Texts] | None = None, *, tally: Callable[..., Mapping[str, int]] | None = None
) -> Edit | Callable[[Callable[..., Texts]], Edit]:
    """Declare an edit: a function of `Texts` (and of named parameters) that returns `Texts` with the same number of rows.

    ``tally``: a function of the same arguments that returns counts for the report, by name.
    """

    def declare(function: Callable[..., Texts]) -> Edit:
        return _declare(EDITS, Edit(function.__name__, function, tally=tally))

    return declare(function) if function else declare


@overload
def signal(function: Measure) -> Signal: ...
@overload
def signal(*, column: str = "text", name: str | None = None) -> Callable[[Measure], Signal]: ...
def signal(
    function: Measure | None = None, *, column: str = "text", name: str | None = None
) -> Signal | Callable[[Measure], Signal]:
    """Declare a signal: a function of `Texts` (and of named parameters) that returns one number per text."""

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
    """Bounds on a signal: ``min`` and ``max`` are inclusive, ``above`` and ``below`` strict; nan never passes."""

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
        """Whether each value is within the bounds: ``bool[N]``."""
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
        """The bounds in words, with every digit: ``50 <= word_count <= 100000``."""
        text = self.signal.name
        if self.min is not None:
            text = f"{_shown(self.min)} <= {text}"
        if self.above is not None:
            text = f"{_shown(self.above)} < {text}"
        if self.max is not None:
            text = f"{text} <= {_shown(self.max)}"
        if self.below is not None:
            text = f"{text} < {_shown(self.below)}"
        return text


def _shown(number: float) -> str:
    """The shortest decimal that is this very number: ``:g`` shows six digits only."""
    return repr(number if isinstance(number, int) else float(number)).removesuffix(".0")
