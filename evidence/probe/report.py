"""A probe's settings, its runs over seeds, and its page.

Invariants: an experiment is a list of conditions; each is trained once per seed. One seed gives every condition the same people
and the same initial parameters, so differences between conditions are taken within seeds. What a finding says follows from
intervals over seeds; where they do not tell two conditions apart, it says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from goldwash.evidence import charts
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.estimates import Estimate, estimate
from goldwash.evidence.probe.experiment import Outcome, Size, Trial, run
from goldwash.evidence.probe.junk import Junk
from goldwash.text_output import html_text

Notify = Callable[[str], None]
MODEL = (
    "The model has tens of thousands of parameters: the factors hold for this size, this data and this length of training. "
    "The paper named above found the direction in larger models."
)


INVENTED = Junk()


@dataclass(frozen=True)
class Plan:
    """The settings of a probe. ``repeats`` are numbers of distinct junk rows; ``people`` and ``rows`` are of one run."""

    people: int = 200
    exposures: tuple[int, ...] = (30, 60)
    part: float = 0.875
    repeats: tuple[int, ...] = (50, 1000)
    source: Junk = INVENTED
    widths: tuple[int, ...] = (32,)
    rate: float = 2e-2
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise EvidenceError(f"--seeds: expected at least one seed, each once, found {self.seeds}")


@dataclass(frozen=True)
class Condition:
    """A condition's outcomes, one per seed, in the order of the plan's seeds."""

    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def trial(self) -> Trial:
        """The trial of the first seed."""
        return self.outcomes[0].trial

    @property
    def parameters(self) -> int:
        """Parameters of the model."""
        return self.outcomes[0].knowledge.parameters

    def of(self, measure: Callable[[Outcome], float]) -> Estimate:
        """A quantity over seeds."""
        return estimate([measure(outcome) for outcome in self.outcomes])

    @property
    def per_parameter(self) -> Estimate:
        """Bits per parameter over seeds."""
        return self.of(lambda outcome: outcome.knowledge.per_parameter)

    @property
    def accuracy(self) -> Estimate:
        """Accuracy of single facts over seeds."""
        return self.of(lambda outcome: outcome.knowledge.accuracy).within(0, 1)


@dataclass(frozen=True)
class Finding:
    """Rows for JSON, the same as cells for people, bars (name, estimate), a sentence to act on, and its limits."""

    title: str
    columns: tuple[str, ...]
    cells: Sequence[tuple[str, ...]]
    rows: list[dict[str, Any]]
    bars: list[tuple[str, Estimate]]
    advice: str
    caution: str


def conditions(trials: Sequence[Trial], size: Size, seeds: Sequence[int], notify: Notify) -> list[Condition]:
    """Train every trial once per seed."""
    total = len(trials) * len(seeds)
    made: list[list[Outcome]] = [[] for _ in trials]
    for number, seed in enumerate(seeds):
        for place, trial in enumerate(trials):
            at = number * len(trials) + place + 1
            notify(f"training {at} of {total}: seed {seed}, {trial.name}: {trial.rows:,} rows")
            made[place].append(run(replace(trial, seed=seed), size))
    return [Condition(trial.name, tuple(outcomes)) for trial, outcomes in zip(trials, made, strict=True)]


def row(condition: Condition) -> dict[str, Any]:
    """A condition for JSON: its settings, estimates, and the outcome of each seed."""
    trial = {key: value for key, value in vars(condition.trial).items() if key not in ("source", "seed")}
    seeds = [
        {
            "seed": o.trial.seed,
            **vars(o.knowledge),
            "bits_per_parameter": o.knowledge.per_parameter,
            "steps": o.steps,
            "loss": o.loss,
        }
        for o in condition.outcomes
    ]
    return {
        **trial, "rows": condition.trial.rows, "parameters": condition.parameters,
        "bits_per_parameter": condition.per_parameter, "accuracy": condition.accuracy, "seeds": seeds,
    }  # fmt: skip


def caution(seeds: int) -> str:
    """The limits of a finding, for a number of seeds."""
    if seeds == 1:
        return f"One seed: no interval, so no difference can be told from chance; give --seeds 3. {MODEL}"
    return (
        f"[..] is the 95% interval of the mean over {seeds} seeds (Student's t); a difference counts where its interval, taken "
        f"within seeds, excludes zero. {MODEL}"
    )


def page(finding: Finding) -> str:
    """A page of HTML with the bars, the sentence, its limits and the table."""
    most = max((max(bar.mean, bar.high if bar.high == bar.high else 0) for _, bar in finding.bars), default=0) or 1
    bars = "".join(
        f'<tr><td>{html_text(name)}</td><td style="width:55%;text-align:left"><div style="position:relative;height:1rem">'
        f"{_bar(bar, most)}</div></td><td>{html_text(bar.shown())}</td></tr>\n"
        for name, bar in finding.bars
    )
    body = (
        f"<p>{html_text(finding.title)}</p>\n<table>{bars}</table>\n<p><strong>{html_text(finding.advice)}</strong></p>\n"
        f"<p>{html_text(finding.caution)}</p>\n{charts.html_table(finding.columns, finding.cells)}"
    )
    return charts.page([], "goldwash probe", body)


def _bar(bar: Estimate, most: float) -> str:
    """The mean as a bar, the interval as a thin line over it."""

    def percent(value: float) -> float:
        return 100 * min(max(value / most, 0), 1)

    mean = f'<div class="mean" style="background:#b8860b;height:1rem;width:{percent(bar.mean):.2f}%"></div>'
    if bar.low != bar.low:
        return mean
    left, right = percent(bar.low), percent(bar.high)
    return (
        f'{mean}<div class="interval" style="position:absolute;top:.45rem;left:{left:.2f}%;width:{right - left:.2f}%;'
        'height:.1rem;background:#333"></div>'
    )
