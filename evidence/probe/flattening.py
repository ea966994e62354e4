"""Do more facts than a run can teach crowd each other out? (arXiv 2604.08519)

Clean runs of equal length: people seen by a power law, the same people all equally often, and the more frequent half of them
equally often. That paper selects by training loss, since real text does not say which fact it states; here that is known, so
the probe measures what a perfect selection gains.
Invariants: all runs have equal rows; the measure is the number of facts known, so leaving people out costs what they knew.
"""

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.estimates import estimate
from goldwash.evidence.probe.experiment import Outcome, Size, Trial
from goldwash.evidence.probe.people import POOLS
from goldwash.evidence.probe.report import Condition, Finding, Notify, Plan, caution, conditions, row


def facts(outcome: Outcome) -> float:
    """How many facts a model knows: accuracy x people x 7."""
    return outcome.knowledge.accuracy * outcome.trial.count * len(POOLS)


def experiment(plan: Plan, skew: float, notify: Notify) -> Finding:
    """Train the three distributions. Raises `EvidenceError` for a skew that is not above 0, and several exposures or widths."""
    if not 0 < skew <= 4:
        raise EvidenceError(f"--skew: expected an exponent above 0 and at most 4, found {skew:g}")
    if len(plan.widths) > 1:
        raise EvidenceError("several --width need --ratio; give one width")
    exposures, half = min(plan.exposures), plan.people // 2
    if half < 2:
        raise EvidenceError(f"--people: expected at least 4 with --skew, found {plan.people}")
    found = conditions(
        [
            Trial(f"power law, exponent {skew:g}", plan.people, exposures, skew=skew),
            Trial("all equally often", plan.people, exposures),
            Trial("half of them, equally often", half, round(exposures * plan.people / half)),
        ],
        Size(plan.widths[0], rate=plan.rate), plan.seeds, notify,
    )  # fmt: skip
    cells = [
        (
            c.name,
            str(c.trial.count),
            str(c.trial.exposures),
            c.of(facts).shown(".0f"),
            c.accuracy.shown(".3f"),
            c.per_parameter.shown(),
        )
        for c in found
    ]
    return Finding(
        f"facts known after {found[0].trial.rows:,} rows, of {plan.people * len(POOLS):,} (arXiv 2604.08519)",
        ("people are seen", "people", "mean exposures", "facts known", "accuracy of facts", "bits per parameter"), cells,
        [{**row(c), "facts_known": c.of(facts)} for c in found], [(c.name, c.of(facts)) for c in found],
        advice(*found), caution(len(plan.seeds)),
    )  # fmt: skip


def advice(skewed: Condition, flat: Condition, half: Condition) -> str:
    """What flattening and pruning gain, within seeds."""
    said = []
    for name, one, other in (
        ("Flattening the frequencies", flat, skewed),
        ("Flattening them and leaving half of the people out", half, skewed),
        ("Leaving half out where all are equally frequent", half, flat),
    ):
        gain = estimate([facts(a) - facts(b) for a, b in zip(one.outcomes, other.outcomes, strict=True)])
        if gain.above(0):
            said.append(f"{name} teaches {gain.shown('.0f')} facts more.")
        elif gain.below(0):
            said.append(f"{name} teaches {estimate([-value for value in gain.values]).shown('.0f')} facts less.")
        else:
            said.append(f"{name} changes the facts known by {gain.shown('.0f')}: not told from chance.")
    return " ".join(said)
