"""The probe's experiments, and the advice that follows from them.

Two experiments: knowledge in bits per parameter clean, with junk, with repeated junk, and with junk and a tag
(arXiv 2404.05405, section 10); and accuracy by the part of the data that holds the knowledge, at equal rows, with all people
and a quarter of them (arXiv 2505.18091: under a critical ratio nothing is learned, and fewer people bring it back).
Invariants: the advice follows from the measured numbers, and says so if they are inconclusive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from goldwash.evidence import charts
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.probe.experiment import REPEATED, Outcome, Size, Trial, run
from goldwash.evidence.probe.junk import Junk
from goldwash.evidence.probe.meter import most_bits
from goldwash.text_output import html_text

Notify = Callable[[str], None]
CAUTION = (
    "one seed, a model of tens of thousands of parameters, invented facts: the direction is known to hold for larger models "
    "(arXiv 2404.05405), the factors are not; repeat with --seed before you act on a factor below 2"
)
KNOWN, UNKNOWN = 0.5, 0.05


@dataclass(frozen=True)
class Plan:
    """The settings of a probe."""

    people: int
    exposures: tuple[int, ...]
    part: float
    source: Junk
    widths: tuple[int, ...]
    rate: float
    seed: int


@dataclass(frozen=True)
class Finding:
    """Rows for JSON, the same as cells for people, bars (name, value), and a sentence."""

    title: str
    columns: tuple[str, ...]
    cells: Sequence[tuple[str, ...]]
    rows: list[dict[str, Any]]
    bars: list[tuple[str, float]]
    advice: str
    caution: str = CAUTION


def knowledge(plan: Plan, notify: Notify) -> Finding:
    """Bits per parameter: clean at each number of exposures; with junk, repeated junk, and junk and a tag at the largest."""
    if not 0 < plan.part < 1:
        raise EvidenceError(f"--part: expected a part of junk between 0 and 1, found {plan.part:g}")
    most = max(plan.exposures)
    common: dict[str, Any] = {"count": plan.people, "source": plan.source, "seed": plan.seed}
    junk: dict[str, Any] = {"exposures": most, "junk": plan.part, **common}
    trials = [Trial(f"clean, {exposures} exposures", exposures=exposures, **common) for exposures in sorted(plan.exposures)]
    trials += [
        Trial(f"{plan.part:.3g} junk", **junk),
        Trial(f"{plan.part:.3g} junk of {REPEATED} rows, repeated", repeat=True, **junk),
        Trial(f"{plan.part:.3g} junk, the people tagged", tag=True, **junk),
    ]
    outcomes = [_told(trial, Size(plan.widths[0], rate=plan.rate), notify) for trial in trials]
    clean, bad, repeated, tagged = (one.knowledge.per_parameter for one in outcomes[-4:])
    ceiling = most_bits(plan.people) / outcomes[0].knowledge.parameters
    cells = [
        (
            o.trial.name, f"{o.trial.rows:,}", f"{o.knowledge.per_parameter:.4f}", f"{o.knowledge.name_bits:,.0f}",
            f"{o.knowledge.fact_bits:,.0f}", f"{o.knowledge.accuracy:.3f}",
        )
        for o in outcomes
    ]  # fmt: skip
    title = (
        f"{plan.people} people, a model of {outcomes[0].knowledge.parameters:,} parameters; knowing all of them is "
        f"{ceiling:.3f} bits per parameter (lower bound of arXiv 2404.05405, theorem 3.2)"
    )
    columns = ("data", "rows", "bits per parameter", "bits of names", "bits of facts", "accuracy of facts")
    bars = [(o.trial.name, o.knowledge.per_parameter) for o in outcomes]
    return Finding(title, columns, cells, [_row(o) for o in outcomes], bars, advice(clean, bad, repeated, tagged))


def advice(clean: float, bad: float, repeated: float, tagged: float) -> str:
    """A sentence from bits per parameter: clean, with junk, with repeated junk, with junk and a tag."""
    if clean < 0.01:
        return "the model learned almost nothing from clean data: give more --exposures, or fewer --people, and ask again"
    cost = clean / max(bad, 1e-9)
    if cost < 1.2:
        return f"this junk costs little ({bad / clean:.0%} of the knowledge is left): spend your effort elsewhere"
    words = f"this junk costs {_factor(cost)} of the knowledge at equal exposures: remove it"
    if tagged > 1.2 * bad:
        share = (tagged - bad) / (clean - bad)
        words += f"; else tag (with its domain) what is worth knowing: {share:.0%} of the loss comes back"
    else:
        words += "; a tag did not bring it back here"
    if repeated > 1.2 * bad:
        words += f"; junk that repeats costs less ({repeated / clean:.0%} of the knowledge is left)"
    return words


def _factor(cost: float) -> str:
    return f"{1 - 1 / cost:.0%}" if cost < 1000 else "all"


def critical(plan: Plan, ratios: Sequence[float], rows: int, notify: Notify) -> Finding:
    """Accuracy of facts by the people's part of all rows, per width, with all people and a quarter of them."""
    for ratio in ratios:
        if not 0 < ratio <= 1:
            raise EvidenceError(f"--ratio: expected a part of the rows above 0 and at most 1, found {ratio:g}")
    outcomes: list[tuple[int, float, Outcome]] = []
    for width in plan.widths:
        for ratio in sorted(ratios):
            for count in (plan.people, max(plan.people // 4, 2)):
                exposures = round(rows * ratio / count)
                if exposures < 1:
                    raise EvidenceError(
                        f"{rows} rows at a ratio of {ratio:g} do not hold {count} people once; give more --rows"
                    )
                trial = Trial(
                    f"width {width}, ratio {ratio:g}, {count} people",
                    count,
                    exposures,
                    1 - ratio,
                    source=plan.source,
                    seed=plan.seed,
                )
                outcomes.append((width, ratio, _told(trial, Size(width, rate=plan.rate), notify)))
    cells = [
        (
            str(w),
            f"{r:g}",
            str(o.trial.count),
            str(o.trial.exposures),
            f"{o.knowledge.accuracy:.3f}",
            f"{o.knowledge.per_parameter:.4f}",
        )
        for w, r, o in outcomes
    ]
    found = [
        f"width {width}: {_threshold([(r, o) for w, r, o in outcomes if w == width], plan.people)}" for width in plan.widths
    ]
    kept = [{"width": w, "ratio": r, **_row(o)} for w, r, o in outcomes]
    columns = ("width", "ratio", "people", "exposures", "accuracy of facts", "bits per parameter")
    title = f"accuracy of facts by the people's part of {rows:,} rows (arXiv 2505.18091)"
    return Finding(
        title, columns, cells, kept, [(o.trial.name, o.knowledge.accuracy) for _, _, o in outcomes], "; ".join(found)
    )


def _threshold(outcomes: Sequence[tuple[float, Outcome]], people: int) -> str:
    everyone = [(r, o.knowledge.accuracy) for r, o in outcomes if o.trial.count == people]
    fewer = [(r, o.knowledge.accuracy) for r, o in outcomes if o.trial.count != people]
    known = [r for r, accuracy in everyone if accuracy > KNOWN]
    lost = [r for r, accuracy in everyone if accuracy <= KNOWN]
    if not known:
        words = f"no ratio up to {max(r for r, _ in everyone):g} teaches {people} people"
    else:
        words = f"{people} people need a ratio of {min(known):g}" + (f" ({max(lost):g} is too little)" if lost else " or less")
    rescued = [r for r, accuracy in fewer if accuracy > KNOWN and r in lost]
    return words + (f", a quarter of them are learned at {min(rescued):g}: subsample what must be known" if rescued else "")


def _told(trial: Trial, size: Size, notify: Notify) -> Outcome:
    notify(f"training on {trial.name}: {trial.rows:,} rows")
    return run(trial, size)


def _row(one: Outcome) -> dict[str, Any]:
    trial = {key: value for key, value in vars(one.trial).items() if key != "source"}
    return {
        **trial,
        **vars(one.knowledge),
        "bits_per_parameter": one.knowledge.per_parameter,
        "steps": one.steps,
        "loss": one.loss,
    }


def page(finding: Finding) -> str:
    """A page of HTML with the bars, the table and the sentence."""
    most = max((value for _, value in finding.bars), default=0) or 1
    bars = "".join(
        f'<tr><td>{html_text(name)}</td><td style="width:60%;text-align:left"><div style="background:#b8860b;height:1rem;'
        f'width:{100 * value / most:.2f}%"></div></td><td>{value:.4f}</td></tr>\n'
        for name, value in finding.bars
    )
    body = (
        f"<p>{html_text(finding.title)}</p>\n<table>{bars}</table>\n<p><strong>{html_text(finding.advice)}</strong></p>\n"
        f"<p>{html_text(finding.caution)}</p>\n{charts.html_table(finding.columns, finding.cells)}"
    )
    return charts.page([], "goldwash probe", body)
