"""What junk costs, and what a tag or repetition of the junk changes (arXiv 2404.05405, section 10).

Conditions: clean at each number of exposures; then, at the most exposures, with junk that is always fresh, with the same and a
tag in front of the people, and with junk of few distinct rows.
Invariants: exposures of the people are equal, so the runs with junk are longer; costs are shares of the clean knowledge, within
seeds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.estimates import Estimate, estimate
from goldwash.evidence.probe.experiment import Size, Trial
from goldwash.evidence.probe.meter import most_bits
from goldwash.evidence.probe.report import Condition, Finding, Notify, Plan, caution, conditions, row

LEAST = 0.01  # bits per parameter of clean data; below it there is nothing to lose
LITTLE = 0.1  # share of the knowledge whose loss is little


def experiment(plan: Plan, notify: Notify) -> Finding:
    """Train the conditions and say what the junk costs. Raises `EvidenceError` for impossible plans."""
    if not 0 < plan.part < 1:
        raise EvidenceError(f"--part: expected a part of junk between 0 and 1, found {plan.part:g}")
    if any(count < 1 for count in plan.repeats):
        raise EvidenceError(f"--repeat: expected at least 1 distinct row of junk, found {min(plan.repeats)}")
    if len(plan.widths) > 1:
        raise EvidenceError("several --width need --ratio; give one width")
    exposures = sorted(set(plan.exposures))
    found = conditions(_trials(plan, exposures), Size(plan.widths[0], rate=plan.rate), plan.seeds, notify)
    clean, bad, tagged = found[len(exposures) - 1], found[len(exposures)], found[len(exposures) + 1]
    repeated = {c.trial.repeat: c for c in found[len(exposures) + 2 :]}
    cells = [_cells(c, clean) for c in found]
    seeds = ", ".join(map(str, plan.seeds))
    title = (
        f"{plan.people} people, a model of {clean.parameters:,} parameters, seeds {seeds}; knowing all of them is "
        f"{most_bits(plan.people) / clean.parameters:.3f} bits per parameter (lower bound of arXiv 2404.05405, theorem 3.2)"
    )
    columns = ("data", "rows", "bits per parameter", "share of the clean knowledge", "accuracy of facts")
    rows = [{**row(c), "share_of_clean": share(c, clean)} for c in found]
    said = advice(_values(clean), _values(bad), _values(tagged), {n: _values(c) for n, c in repeated.items()})
    bars = [(c.name, c.per_parameter) for c in found]
    return Finding(title, columns, cells, rows, bars, said, caution(len(plan.seeds)))


def _trials(plan: Plan, exposures: Sequence[int]) -> list[Trial]:
    common: dict[str, Any] = {"count": plan.people, "source": plan.source}
    junk: dict[str, Any] = {"exposures": exposures[-1], "junk": plan.part, **common}
    return [
        *(Trial(f"clean, {times} exposures", exposures=times, **common) for times in exposures),
        Trial(f"{plan.part:.3g} junk", **junk),
        Trial(f"{plan.part:.3g} junk, the people tagged", tag=True, **junk),
        *(Trial(f"{plan.part:.3g} junk, {n:,} rows that repeat", repeat=n, **junk) for n in sorted(set(plan.repeats))),
    ]


def _values(condition: Condition) -> tuple[float, ...]:
    return condition.per_parameter.values


def share(condition: Condition, clean: Condition) -> Estimate:
    """The share of the clean knowledge that is left, within seeds; of no knowledge, 0."""
    return ratio(_values(condition), _values(clean))


def ratio(values: Sequence[float], clean: Sequence[float]) -> Estimate:
    """The mean over seeds of a value over the clean one; 0 where the clean one is 0."""
    return estimate([value / whole if whole else 0.0 for value, whole in zip(values, clean, strict=True)])


def _cells(condition: Condition, clean: Condition) -> tuple[str, ...]:
    return (
        condition.name, f"{condition.trial.rows:,}", condition.per_parameter.shown(), share(condition, clean).shown(".1%"),
        condition.accuracy.shown(".3f"),
    )  # fmt: skip


def advice(
    clean: Sequence[float], bad: Sequence[float], tagged: Sequence[float], repeated: Mapping[int, Sequence[float]]
) -> str:
    """Sentences from the bits per parameter of each seed: clean, with junk, with junk and a tag, with junk of n distinct rows.

    A difference is reported only where its interval over seeds excludes zero.
    """
    if estimate(clean).mean < LEAST:
        return "The model learned almost nothing from clean data: give more --exposures, or fewer --people, and ask again."
    left, back = ratio(bad, clean), ratio([a - b for a, b in zip(tagged, bad, strict=True)], clean)
    lost = ratio([a - b for a, b in zip(clean, bad, strict=True)], clean)
    if len(clean) == 1:
        said = [f"With this junk {left.mean:.1%} of the clean knowledge is left, with a tag {ratio(tagged, clean).mean:.1%}."]
    elif not lost.above(0) and left.above(1 - LITTLE):
        said = [
            f"This junk costs nothing that {len(clean)} seeds can show ({left.shown('.0%')} is left): "
            "spend your effort elsewhere."
        ]
    elif not lost.above(0):
        return f"{len(clean)} seeds do not settle what this junk costs ({left.shown('.0%')} is left): give more --seeds."
    elif lost.below(LITTLE):
        said = [f"This junk costs little ({left.shown('.0%')} of the clean knowledge is left): spend your effort elsewhere."]
    else:
        said = [f"This junk costs {lost.shown('.0%')} of the knowledge at equal exposures: remove it."]
        said.append(_of_tag(back, left))
    return " ".join([*said, *_of_repeats({n: ratio(values, clean) for n, values in repeated.items()}, left)])


def _of_tag(back: Estimate, left: Estimate) -> str:
    if back.above(0):
        return (
            f"Where you cannot, put a tag (its domain) in front of what is worth knowing: {(back.mean + left.mean):.0%} of the "
            f"knowledge is then left, {back.shown('.0%')} more than without."
        )
    return f"A tag in front of what is worth knowing is not shown to help ({back.shown('.0%')})."


def _of_repeats(left: Mapping[int, Estimate], fresh: Estimate) -> list[str]:
    """What is left with junk of n distinct rows, and when repetition makes junk harmless."""
    if not left:
        return []
    said = "; ".join(f"{share.shown('.0%')} with {n:,} distinct rows" for n, share in sorted(left.items()))
    few, many = left[min(left)], left[max(left)]
    if few.mean > 1 - LITTLE and many.mean < 0.5:
        end = "junk that repeats is harmless only while its distinct rows are few enough to be memorised beside the facts"
    elif many.mean > 1 - LITTLE:
        end = f"up to {max(left):,} distinct rows, junk that repeats does no harm here"
    elif few.mean < 0.5 or few.mean < fresh.mean:
        end = "repetition does not make this junk harmless"
    else:
        end = "repetition takes away a part of the harm"
    return [f"Of junk that repeats, what is left is {said}: {end}."]
