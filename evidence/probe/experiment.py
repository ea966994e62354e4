"""One training run of the probe: people, exposures, junk, a tag; and what the model knows at its end.

Invariants: every person is seen exactly ``exposures`` times, in shuffled rounds, or with skew that often on average, in one
shuffled round. Junk fills the given part of all rows, spread evenly over the run. Equal trials and seeds give equal outcomes on
one machine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.probe import meter
from goldwash.evidence.probe.junk import Junk
from goldwash.evidence.probe.people import LENGTH, NAME_PARTS, NAME_POOL, People, biographies, people
from goldwash.evidence.proxies import gpt

Ids = NDArray[np.int32]
MOST_PEOPLE = NAME_POOL ** len(NAME_PARTS)


@dataclass(frozen=True)
class Size:
    """The model and how it is trained."""

    width: int = 32
    layers: int = 2
    heads: int = 2
    batch: int = 32  # of 200 people, 97% of the facts are known after 60 exposures; with 64 rows per batch 37%
    rate: float = 2e-2


@dataclass(frozen=True)
class Trial:
    """``junk`` is a part of all rows, ``repeat`` its distinct rows (0: all are fresh), ``tag`` marks the people.

    ``skew`` is the exponent of a power law: the person of rank r is seen in proportion to r^-skew.
    """

    name: str
    count: int
    exposures: int
    junk: float = 0.0
    repeat: int = 0
    tag: bool = False
    skew: float = 0.0
    source: Junk = field(default_factory=Junk)
    seed: int = 0

    @property
    def rows(self) -> int:
        """Rows of the whole run."""
        return round(self.count * self.exposures / (1 - self.junk))


@dataclass(frozen=True)
class Outcome:
    """A trial and what was learned; ``steps`` of training, ``loss`` the mean of its last tenth."""

    trial: Trial
    knowledge: meter.Knowledge
    steps: int
    loss: float


def run(trial: Trial, size: Size) -> Outcome:
    """Train and measure. Raises `EvidenceError` for impossible trials."""
    if trial.count < 2 or trial.exposures < 1 or not 0 <= trial.junk < 1:
        raise EvidenceError(
            f"{trial.name}: expected at least 2 people, 1 exposure and junk below 1, "
            f"found {trial.count}, {trial.exposures} and {trial.junk:g}"
        )
    if trial.count > MOST_PEOPLE:
        raise EvidenceError(
            f"{trial.name}: expected at most {MOST_PEOPLE:,} people, who have distinct names; found {trial.count:,}"
        )
    them = people(trial.count, np.random.default_rng([trial.seed, 0]))
    shape = gpt.Shape(trial.source.vocabulary, size.width, size.layers, size.heads)
    steps = max(trial.rows // size.batch, 1)
    params, losses = gpt.train(shape, batches(trial, them, size.batch), steps, gpt.Settings(rate=size.rate), trial.seed)
    knowledge = meter.measure(params, shape, them, trial.tag, trial.seed)
    return Outcome(trial, knowledge, steps, float(losses[-max(steps // 10, 1) :].mean()))


def batches(trial: Trial, them: People, size: int) -> Iterator[Ids]:
    """Batches of int32[size, LENGTH] without end; the first ``trial.rows`` rows hold each person ``exposures`` times."""
    generator = np.random.default_rng([trial.seed, 2])
    good, bad = _good(trial, them, generator), _bad(trial, generator)
    given = seen = 0
    while True:
        # The worthy rows of a batch: so many that their share is right after each batch, by running totals.
        seen += size
        wanted = round(seen * (1 - trial.junk)) - given
        given += wanted
        rows = np.concatenate([good(wanted), bad(size - wanted)])
        yield rows[generator.permutation(size)]


def frequencies(trial: Trial) -> NDArray[np.int64]:
    """How often each person is seen, int64[people], with the sum ``count`` x ``exposures``; the first is the most frequent."""
    weights = np.arange(1, trial.count + 1) ** -trial.skew
    ends = np.rint(np.cumsum(weights) / weights.sum() * trial.count * trial.exposures).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0), np.int64)


def _good(trial: Trial, them: People, generator: np.random.Generator) -> "Rows":
    once = np.arange(len(them)) if not trial.skew else np.repeat(np.arange(len(them)), frequencies(trial))

    def more() -> Ids:
        return biographies(them[generator.permutation(once)], generator, trial.tag)[0]

    return Rows(more)


def _bad(trial: Trial, generator: np.random.Generator) -> "Rows":
    if not trial.repeat:
        return Rows(lambda: trial.source.draw(2048, generator))
    known = trial.source.draw(trial.repeat, np.random.default_rng([trial.seed, 3]))
    return Rows(lambda: known[generator.permutation(len(known))])


class Rows:
    """Rows from a source that makes them in blocks."""

    def __init__(self, more: Callable[[], Ids]) -> None:
        self.more, self.left = more, np.empty((0, LENGTH), np.int32)

    def __call__(self, count: int) -> Ids:
        """The next rows, int32[count, LENGTH]."""
        parts, missing = list[Ids](), count
        while missing > len(self.left):
            if len(self.left):
                parts.append(self.left)
                missing -= len(self.left)
            self.left = self.more()
        parts.append(self.left[:missing])
        self.left = self.left[missing:]
        return np.concatenate(parts)
