"""How much a mixture takes from each bucket, given the contents of the buckets.

Invariants: targets are in the mixture's unit and sum to its total. A bucket that cannot give its target within its cap on
repeats is a `DataError`, raised before any text is copied; it names the source, the bucket, its size and three cures.

Repeats: up to four epochs of one source are nearly as good as new data (Muennighoff et al., 2305.16264); in a mixture, 15 to 20
repeats of a scarce source do no harm (2605.12715). Above these numbers there is a warning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from goldwash.pipeline.mixing.buckets import Parts
from goldwash.pipeline.mixing.curve import CurveError, Solved, solve
from goldwash.pipeline.mixing.quantities import short
from goldwash.pipeline.mixing.sources import Source
from goldwash.pipeline.parameters import nearest
from goldwash.pipeline.storage.failures import DataError
from goldwash.text_output import printable

ALONE, IN_MIXTURE = 4.0, 20.0
"""Repeats above which there is a warning: of a mixture's only source, and of a source among others."""

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Held:
    """The contents of a bucket. ``weight`` counts the crawl's copies where the source is rehydrated, ``once`` does not.

    ``squares``: the sum of the squared weights.
    """

    source: int
    parts: Parts
    documents: int
    weight: int
    squares: float
    once: int = 0

    @property
    def name(self) -> str:
        """The bucket's name; "" in a source that is not split."""
        return "/".join(self.parts)


@dataclass(frozen=True)
class Wanted:
    """The weight wanted from a bucket, and the rate at which its documents are taken to reach it."""

    target: float
    rate: float


@dataclass(frozen=True)
class Plan:
    """The targets of buckets, in the order in which they were given, and the curves by source and group."""

    total: float
    wanted: tuple[Wanted, ...]
    curves: Mapping[tuple[int, str], Solved]


def planned(sources: Sequence[Source], held: Sequence[Held], total: float | None, unit: str) -> Plan:
    """The targets of buckets. ``total``: None for all that the weights allow without repeating anything.

    Raises `DataError` for a source that is empty or too small, and for a weight of a bucket that is not there.
    """
    by_source = [[n for n, bucket in enumerate(held) if bucket.source == s] for s in range(len(sources))]
    for source, numbers in zip(sources, by_source, strict=True):
        if not sum(held[n].documents for n in numbers) and source.weight != 0 and len(sources) > 1:
            raise DataError(f"source {source.name} is empty: it has no document; leave it out, or check its input")
    parts = [_shares(source, [held[n] for n in numbers]) for source, numbers in zip(sources, by_source, strict=True)]
    everything = total is None and all(source.weight is None for source in sources)
    sizes = [float(sum(held[n].weight for n in numbers)) for numbers in by_source]
    if not everything:
        weights = [
            s.weight if s.weight is not None else size / max(sum(sizes), 1) for s, size in zip(sources, sizes, strict=True)
        ]
        whole = _all(sources, held, by_source, weights, parts) if total is None else total
        sizes = [weight * whole for weight in weights]
    wanted, curves = [Wanted(0.0, 0.0)] * len(held), dict[tuple[int, str], Solved]()
    for s, (source, numbers) in enumerate(zip(sources, by_source, strict=True)):
        for group, (share, members) in parts[s].items():
            own, target = [numbers[m] for m in members], sizes[s] * share
            if everything and source.curve is None and source.weights is None:
                rate = min(1.0, source.max_repeats)
                found = [Wanted(rate * held[own[0]].weight, rate)]
            elif source.curve is None:
                found = [_flat(source, held[own[0]], target, unit, sum(sizes))]
            else:
                solved, found = _curved(source, group, [held[n] for n in own], target)
                curves |= {(s, group): solved} if solved else {}
            for n, each in zip(own, found, strict=True):
                wanted[n] = each
    return Plan(sum(sizes), tuple(wanted), curves)


def _shares(source: Source, held: Sequence[Held]) -> dict[str, tuple[float, list[int]]]:
    """The groups of a source, each with its share of the source and its buckets in the order of the curve."""
    members: dict[str, list[int]] = {}
    for n, bucket in enumerate(held):
        members.setdefault("/".join(p for k, p in enumerate(bucket.parts) if k != source.over), []).append(n)
    if source.over is not None:
        over = source.over
        for numbers in members.values():
            numbers.sort(key=lambda n: _order(source, held[n].parts[over]))
    whole = sum(bucket.weight for bucket in held)
    if source.weights is None:
        natural = {name: sum(held[n].weight for n in numbers) for name, numbers in members.items()}
        return {name: (natural[name] / whole if whole else 1 / len(members), numbers) for name, numbers in members.items()}
    for name, weight in source.weights.items():
        if name not in members:
            raise DataError(
                f"source {source.name}: the bucket {printable(repr(name))} has a weight, but no document is in it: "
                f"{printable(nearest(name, list(members)[:50]))}"
            )
        if weight > 0 and not sum(held[n].weight for n in members[name]):
            raise DataError(
                f"source {source.name}: the bucket {printable(repr(name))} has a weight, but its documents are empty"
            )
    return {name: (source.weights.get(name, 0.0), numbers) for name, numbers in members.items()}


def _order(source: Source, name: str) -> int:
    try:
        return int(name)
    except ValueError:
        assert source.over is not None
        raise DataError(
            f"source {source.name}: the curve is over {printable(source.split[source.over].column)}, whose values must be "
            f"whole numbers in rising quality; found {printable(repr(name))}"
        ) from None


def _all(
    sources: Sequence[Source],
    held: Sequence[Held],
    by_source: Sequence[Sequence[int]],
    weights: Sequence[float],
    parts: Sequence[Mapping[str, tuple[float, list[int]]]],
) -> float:
    """The largest total that takes nothing twice: the least of each group's weight divided by its share of the total."""
    limits = []
    for weight, numbers, groups in zip(weights, by_source, parts, strict=True):
        for share, members in groups.values():
            if weight * share > 0:
                limits.append(sum(held[numbers[m]].weight for m in members) / (weight * share))
    if not limits:
        raise DataError(f"the sources {', '.join(s.name for s in sources)} have no weight above 0: nothing would be taken")
    return min(limits)


def _flat(source: Source, bucket: Held, target: float, unit: str, total: float) -> Wanted:
    """A bucket whose documents are all taken at one rate."""
    if not bucket.weight:
        if target > 0:
            raise DataError(f"{_place(source, bucket)} has nothing to take: leave it out, or check its input")
        return Wanted(0.0, 0.0)
    room = source.max_repeats * bucket.weight
    if target > room * (1 + TOLERANCE):
        raise DataError(
            f"{_place(source, bucket)} is too small for its weight: {short(target)} {unit} are wanted, but it has "
            f"{short(bucket.weight)}, and at most {source.max_repeats:g} repeats make {short(room)}: raise max_repeats to "
            f"{target / bucket.weight:.3g}, lower its share of the total to {room / total:.3g}, or ask for at most "
            f"{short(total * room / target)} {unit} in all"
        )
    return Wanted(target, target / bucket.weight)


def _curved(source: Source, group: str, held: Sequence[Held], target: float) -> tuple[Solved | None, list[Wanted]]:
    """The curve of a group, and the amounts wanted from its buckets; no curve where nothing is wanted."""
    assert source.curve is not None
    if not target > 0:
        return None, [Wanted(0.0, 0.0)] * len(held)
    try:
        solved = solve(source.curve, np.array([bucket.weight for bucket in held], np.float64), target)
    except CurveError as error:
        where = f"source {source.name}" + (f", buckets of {printable(group)}" if group else "")
        raise DataError(f"{where}: {error}") from error
    rates = solved.repeats.tolist()
    return solved, [Wanted(rate * bucket.weight, rate) for rate, bucket in zip(rates, held, strict=True)]


def _place(source: Source, bucket: Held) -> str:
    return f"source {source.name}" + (f", bucket {printable(bucket.name)}" if bucket.parts else "")


def warnings(sources: Sequence[Source], repeats: Sequence[tuple[int, str, float]]) -> list[str]:
    """A line for each bucket that is repeated more often than the papers found harmless.

    ``repeats``: source, bucket and its mean repeats.
    """
    alone = sum(source.weight is None or source.weight > 0 for source in sources) == 1
    most, why = (
        (ALONE, "beyond four epochs of one source, each repeat is worth less, arXiv 2305.16264")
        if alone
        else (IN_MIXTURE, "in a mixture, 15 to 20 repeats are harmless, arXiv 2605.12715")
    )
    found = []
    for s, bucket, mean in repeats:
        if mean > most * (1 + TOLERANCE):
            place = f"source {sources[s].name}" + (f", bucket {printable(bucket)}" if bucket else "")
            found.append(f"{place} is repeated {mean:.3g} times ({why})")
    return found


def bounds(bucket: Held, rate: float, width: float = 8.0) -> tuple[float, float]:
    """Rates between which the target of a bucket is reached, up to ``width`` standard deviations.

    The amount taken at a rate differs from its mean by a sum of independent parts; the variance of each is at most a quarter of
    the document's squared weight.
    """
    spread = width * 0.5 * float(np.sqrt(bucket.squares)) / max(bucket.weight, 1)
    return max(rate - spread, 0.0), rate + spread
