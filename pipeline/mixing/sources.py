"""The sources of a mixture, as a recipe or a command gives them.

Invariants: all that can be refused without opening a file is refused here, as a `RecipeError` that names the source, the key,
the expected value and the cure. Weights are shares of the total: either every source has one, and they sum to 1, or none has.

::

    web:                          # no `input`: the documents of the stage before
      weight: 0.7
      split: [topic, {column: quality_probability, quantiles: 20}]
      weights: {science: 0.6, sports: 0.4}         # of the topics, in this source
      curve: {discard: 0.4, cap: 7}                # over the twentieths of each topic
    code:
      input: [runs/code, more/*.parquet]
      weight: 0.3
      max_repeats: 2
      text: content
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from goldwash.pipeline.mixing.curve import Curve, CurveError
from goldwash.pipeline.mixing.olmix import shares
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.source import PLAIN, Reading

SHARE_TOLERANCE = 0.0025
"""How far weights may be from a sum of 1: OLMo 3's published percentages sum to 100 within 0.2."""

MOST_REPEATS = 4.0
"""The default cap on repeats: up to four epochs are nearly as good as new data (Muennighoff et al., 2305.16264)."""

MOST_COPIES = 1000
"""The largest cap on repeats."""

OTHER = "other"
"""The bucket of documents whose host is on no list, unless the recipe names it."""


@dataclass(frozen=True)
class Split:
    """One way to divide a source: by a column's values, by quantiles of a score, or by lists of hosts."""

    column: str
    quantiles: int = 0
    """How many parts of equal weight the scores are cut into; 0 for a column of values."""
    hosts: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    """For each bucket, the hosts or the name of a list of hosts; the first list that holds the host of the URL decides."""
    missing: str | None = None
    """The bucket of documents where the column is null; None refuses them. For lists of hosts, of those on no list."""


@dataclass(frozen=True)
class Rehydrate:
    """Repeat documents as often as the crawl had them."""

    column: str = "copy_count"
    most: int = 20
    """Larger counts are taken as this."""


@dataclass(frozen=True)
class Source:
    """A source: its documents, its share of the total, and how it is divided."""

    name: str
    input: tuple[str, ...] = ()
    """Names of inputs, as ``--input`` takes them; none for the documents of the stage before."""
    weight: float | None = None
    """Its share of the total, 0 to 1; None if no source has one."""
    max_repeats: float = MOST_REPEATS
    split: tuple[Split, ...] = ()
    weights: Mapping[str, float] | None = None
    """The share of each bucket in this source, or with a curve of each group of buckets; None: as in the source."""
    curve: Curve | None = None
    over: int | None = None
    """With a curve, the number of the split that it is over."""
    rehydrate: Rehydrate | None = None
    reading: Reading = PLAIN

    @property
    def quantile(self) -> Split | None:
        """The split by quantiles; None if there is none."""
        return next((split for split in self.split if split.quantiles), None)


KEYS = ("input", "weight", "max_repeats", "split", "weights", "curve", "rehydrate", "text", "id", "url", "on_null")


def sources_of(given: Mapping[str, Any], max_repeats: float = MOST_REPEATS) -> tuple[Source, ...]:
    """The sources of a mapping from names to their keys; `RecipeError` for anything that is not as described above."""
    found = tuple(_source(name, values, max_repeats) for name, values in given.items())
    own = [source.name for source in found if not source.input]
    if len(own) > 1:
        raise RecipeError(
            f"stage mix: the sources {', '.join(own)} have no input; at most one can be the documents of the stage before: "
            "give the others an `input`",
            ("sources",),
        )
    return tuple(_weighted(found))


def _weighted(found: Sequence[Source]) -> Sequence[Source]:
    weights = {source.name: source.weight for source in found if source.weight is not None}
    without = [source.name for source in found if source.weight is None]
    if not weights:
        return found
    if without:
        left = 1 - sum(weights.values())
        raise RecipeError(
            f"stage mix: source {without[0]} has no weight, but {next(iter(weights))} has: give each source a weight, or none "
            f"(what the others leave is {left:.6g})",
            ("sources", without[0]),
        )
    whole = _shares(weights, "stage mix, weights of the sources", ("sources",))
    return [replace(source, weight=whole[source.name]) for source in found]


def _shares(weights: Mapping[str, float], place: str, keys: tuple[Any, ...]) -> dict[str, float]:
    try:
        return shares(weights, place, SHARE_TOLERANCE)
    except DataError as error:
        raise RecipeError(str(error), keys) from error


class _Keys:
    """The keys of a mapping in a recipe; errors name the place."""

    def __init__(self, values: Any, where: str, place: tuple[Any, ...], known: Sequence[str]) -> None:
        self.where, self.place = where, place
        if not isinstance(values, Mapping):
            raise self.error(f"expected keys and values, found {values!r}")
        for key in values:
            if key not in known:
                raise self.error(f"no key is called {key!r}: {nearest(str(key), known)}")
        self.values = values

    def error(self, message: str, key: str = "") -> RecipeError:
        """An error at one of the keys."""
        return RecipeError(f"{self.where}{', ' + key if key else ''}: {message}", (*self.place, *([key] if key else [])))

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """A number within bounds."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.error(f"expected a number from {least:g} to {most:g}, found {value!r}", key)
        return float(value)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.number(key, default, least, most)
        if value != int(value):
            raise self.error(f"expected a whole number, found {value!r}", key)
        return int(value)

    def text(self, key: str, default: str) -> str:
        """A text that is not empty."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value:
            raise self.error(f"expected a name, found {value!r}", key)
        return value


def _source(name: Any, values: Any, max_repeats: float) -> Source:
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable() or ":" in name:
        raise RecipeError(
            f"stage mix: {name!r} cannot be a source's name; expected printable characters without a colon", ("sources",)
        )
    place = ("sources", name)
    keys = _Keys({} if values is None else values, f"stage mix, source {name}", place, KEYS)
    names = keys.values.get("input") or ()
    names = (names,) if isinstance(names, str) else names
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) and each for each in names):
        raise keys.error(f"expected names of inputs, found {names!r}", "input")
    weight = None if keys.values.get("weight") is None else keys.number("weight", 0, 0, 1)
    on_null = keys.text("on_null", "error")
    if on_null not in ("error", "drop", "empty"):
        raise keys.error(f"expected error, drop or empty, found {on_null!r}", "on_null")
    reading = Reading(keys.text("text", "text"), keys.text("id", "id"), keys.text("url", "url"), on_null)  # type: ignore[arg-type]
    split = _splits(keys)
    curve, over = _curve(keys, split)
    cap = keys.number("max_repeats", max_repeats, 0, MOST_COPIES)
    if not cap > 0:
        raise keys.error("expected a number above 0, found 0", "max_repeats")
    return Source(name, tuple(names), weight, cap, split, _weights(keys, split, curve), curve, over, _rehydrate(keys), reading)


def _weights(keys: _Keys, split: Sequence[Split], curve: Curve | None) -> dict[str, float] | None:
    given = keys.values.get("weights")
    if given is None:
        return None
    if len(split) - (curve is not None) < 1:
        raise keys.error("there is no bucket to give a weight: expected a `split`, and with a curve one more", "weights")
    if not isinstance(given, Mapping) or not given:
        raise keys.error(f"expected a number for each bucket, as {{science: 0.6, sports: 0.4}}, found {given!r}", "weights")
    for bucket, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise keys.error(f"expected a number for bucket {bucket!r}, found {weight!r}", "weights")
    named = {_label(bucket): float(weight) for bucket, weight in given.items()}
    return _shares(named, f"{keys.where}, weights of its buckets", (*keys.place, "weights"))


def _label(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _splits(keys: _Keys) -> tuple[Split, ...]:
    given = keys.values.get("split") or ()
    given = given if isinstance(given, list | tuple) else (given,)
    found = tuple(_split(keys, n, each) for n, each in enumerate(given))
    if sum(split.quantiles > 0 for split in found) > 1:
        raise keys.error("expected at most one split by quantiles: the others can be columns of values", "split")
    return found


def _split(keys: _Keys, number: int, given: Any) -> Split:
    if isinstance(given, str) and given:
        return Split(given)
    place = (*keys.place, "split", number)
    own = _Keys(given, f"{keys.where}, split", place, ("column", "quantiles", "hosts", "missing"))
    missing = own.values.get("missing")
    if missing is not None and (not isinstance(missing, str) or not missing):
        raise own.error(f"expected the name of a bucket, found {missing!r}", "missing")
    if "hosts" in own.values:
        if "quantiles" in own.values:
            raise own.error("expected hosts or quantiles, not both")
        return Split(own.text("column", "url"), 0, _hosts(own), missing or OTHER)
    if "column" not in own.values:
        raise own.error("expected a column, as {column: topic} or {column: quality_probability, quantiles: 20}")
    quantiles = own.whole("quantiles", 2, 2, 1000) if "quantiles" in own.values else 0
    if quantiles and missing is not None:
        raise own.error("scores that are null have no quantile: score these documents, or drop them first", "missing")
    return Split(own.text("column", ""), quantiles, (), missing)


def _hosts(keys: _Keys) -> tuple[tuple[str, str | tuple[str, ...]], ...]:
    given = keys.values["hosts"]
    if not isinstance(given, Mapping) or not given:
        raise keys.error(
            f"expected a list for each bucket, as {{reference: [wikipedia.org], code: code.txt}}, found {given!r}", "hosts"
        )
    found = []
    for bucket, hosts in given.items():
        whole = isinstance(hosts, list | tuple) and hosts and all(isinstance(host, str) and host for host in hosts)
        if not whole and not (isinstance(hosts, str) and hosts):
            raise keys.error(f"bucket {bucket!r}: expected hosts or the name of a list, found {hosts!r}", "hosts")
        found.append((_label(bucket), hosts if isinstance(hosts, str) else tuple(hosts)))
    return tuple(found)


CURVE_KEYS = ("over", *(field.name for field in fields(Curve)))


def _curve(keys: _Keys, split: Sequence[Split]) -> tuple[Curve | None, int | None]:
    given = keys.values.get("curve")
    if given is None or given is False:
        return None, None
    own = _Keys({} if given is True else given, f"{keys.where}, curve", (*keys.place, "curve"), CURVE_KEYS)
    over = own.values.get("over")
    numbers = [n for n, each in enumerate(split) if (each.quantiles if over is None else each.column == over)]
    if len(numbers) != 1:
        known = ", ".join(each.column for each in split) or "none"
        raise own.error(
            f"a curve needs a split by quantiles, or `over`: one of the columns of the split ({known}), whose values are whole "
            f"numbers in rising quality; found {over!r}",
            "over",
        )
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in own.values.items() if key != "over"}
    for key, value in values.items():
        pair = key in ("power", "rate")
        numbers_ = value if isinstance(value, tuple) else (value,)
        if pair != isinstance(value, tuple) or len(numbers_) != 1 + pair or not all(map(_is_number, numbers_)):
            raise own.error(f"expected {'two numbers' if pair else 'a number'}, found {value!r}", key)
    try:
        curve = Curve(**values)
    except CurveError as error:
        raise own.error(str(error)) from error
    if curve.cap > MOST_COPIES:
        raise own.error(f"expected at most {MOST_COPIES}, found {curve.cap:g}", "cap")
    return curve, numbers[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rehydrate(keys: _Keys) -> Rehydrate | None:
    given = keys.values.get("rehydrate")
    if given is None or given is False:
        return None
    own = _Keys({} if given is True else given, f"{keys.where}, rehydrate", (*keys.place, "rehydrate"), ("column", "most"))
    return Rehydrate(own.text("column", "copy_count"), own.whole("most", 20, 1, MOST_COPIES))
