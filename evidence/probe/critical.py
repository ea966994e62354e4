"""Is there a ratio of knowledge to web text under which nothing is learned? (arXiv 2505.18091)

Runs of equal length in which people fill a given ratio of the rows, for each width: all people, and a random quarter of them,
each of whom is then seen four times as often.
Invariants: a ratio is learned if every seed knows over half of the facts; lost if every seed is at most 5 points above guessing
the commonest value of each fact; partly learned otherwise.
"""

from collections.abc import Sequence

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.probe.experiment import Size, Trial
from goldwash.evidence.probe.report import Condition, Finding, Notify, Plan, caution, conditions, row

KNOWN, ABOVE_GUESSING = 0.5, 0.05
PART = 4  # a quarter of the people is the subsample
BATCH = 16  # the runs are short: smaller batches give more steps


def experiment(plan: Plan, ratios: Sequence[float], rows: int, notify: Notify) -> Finding:
    """Train every ratio at every width. Raises `EvidenceError` for ratios outside (0, 1] and runs that are too short."""
    found: list[tuple[int, float, Condition]] = []
    for width in plan.widths:
        for ratio in sorted(set(ratios)):
            trials = [_trial(plan, width, ratio, rows, count) for count in (plan.people, max(plan.people // PART, 2))]
            found += [
                (width, ratio, c) for c in conditions(trials, Size(width, batch=BATCH, rate=plan.rate), plan.seeds, notify)
            ]
    cells = [
        (
            str(w),
            f"{r:g}",
            str(c.trial.count),
            str(c.trial.exposures),
            c.accuracy.shown(".3f"),
            verdict(c),
            c.per_parameter.shown(),
        )
        for w, r, c in found
    ]
    said = [threshold(width, [(r, c) for w, r, c in found if w == width], plan.people) for width in plan.widths]
    columns = ("width", "ratio", "people", "exposures", "accuracy of facts", "verdict", "bits per parameter")
    return Finding(
        f"accuracy of facts by the people's part of {rows:,} rows (arXiv 2505.18091)", columns, cells,
        [{"width": w, "ratio": r, "verdict": verdict(c), **row(c)} for w, r, c in found],
        [(c.name, c.accuracy) for _, _, c in found], " ".join(said), caution(len(plan.seeds)),
    )  # fmt: skip


def _trial(plan: Plan, width: int, ratio: float, rows: int, count: int) -> Trial:
    if not 0 < ratio <= 1:
        raise EvidenceError(f"--ratio: expected a part of the rows above 0 and at most 1, found {ratio:g}")
    exposures = round(rows * ratio / count)
    if exposures < 1:
        raise EvidenceError(f"{rows:,} rows at a ratio of {ratio:g} do not hold {count} people once; give more --rows")
    return Trial(f"width {width}, ratio {ratio:g}, {count} people", count, exposures, 1 - ratio, source=plan.source)


def verdict(condition: Condition) -> str:
    """Whether the facts are learned, lost or partly learned, by every seed."""
    if min(condition.accuracy.values) > KNOWN:
        return "learned"
    above = condition.of(lambda outcome: outcome.knowledge.accuracy - outcome.knowledge.guess)
    return "lost" if max(above.values) < ABOVE_GUESSING else "partly"


def threshold(width: int, found: Sequence[tuple[float, Condition]], people: int) -> str:
    """A sentence: where all people are learned, where they are lost, and where a quarter of them is learned nevertheless."""
    everyone = {r: verdict(c) for r, c in found if c.trial.count == people}
    fewer = {r: verdict(c) for r, c in found if c.trial.count != people}
    learned = [r for r, said in everyone.items() if said == "learned"]
    short = [r for r, said in everyone.items() if said != "learned" and r < min(learned, default=2.0)]
    lost = [r for r in short if everyone[r] == "lost"]
    if learned:
        words = f"Width {width}: {people} people are learned from a ratio of {min(learned):g} on"
    else:
        words = f"Width {width}: no ratio up to {max(everyone):g} teaches {people} people"
    words += f"; at {max(lost):g} nothing is" if lost else ""
    rescued = [r for r in short if fewer.get(r) == "learned"]
    if rescued:
        words += (
            f"; a random quarter of them is learned at {min(rescued):g} in a run of the same length: where knowledge is scarce "
            "in the mixture, show fewer facts more often"
        )
    return words + "."
