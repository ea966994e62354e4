"""Which number of copies in the data hurts most? (arXiv 2606.24998)

In runs of equal length, a part of the rows consists of copies: R each of few distinct rows. Few copies are nearly fresh; very
many copies of very few rows are soon memorised and take little of the model; in between they are overfitted. It is the
experiment of `goldwash.evidence.laws.repeats` with a transformer in place of a linear regression.
Invariants: the loss is that of fresh rows that are never trained on, the same for every R within a seed; harm is the loss above
that of all fresh rows, within seeds. Rows are those of a junk source: invented people, or the user's text, of which the last
tenth is held out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.estimates import Estimate, estimate
from goldwash.evidence.probe.experiment import Ids, Rows, Size
from goldwash.evidence.probe.junk import Junk
from goldwash.evidence.probe.people import LENGTH
from goldwash.evidence.probe.report import Finding, Notify, Plan, caution
from goldwash.evidence.proxies import gpt

PART = 0.1  # of the rows are copies, as in the paper
HELD_OUT = 1000  # fresh rows on which the loss is measured
BATCH = 16


@dataclass(frozen=True)
class Run:
    """``rows`` of training, `PART` of which are ``copies`` each of their distinct rows."""

    copies: int
    rows: int
    seed: int

    @property
    def distinct(self) -> int:
        """Distinct rows among the copies."""
        return max(round(self.rows * PART / self.copies), 1)


def experiment(plan: Plan, copies: Sequence[int], rows: int, notify: Notify) -> Finding:
    """Train every number of copies, and 1 (all fresh). Raises `EvidenceError` for numbers that the run does not hold."""
    asked, most = sorted({1, *copies}), int(rows * PART)
    if len(asked) < 2 or asked[0] < 1 or asked[-1] > most:
        raise EvidenceError(
            f"--copies: expected numbers from 2 to {most:,}, a tenth of --rows {rows:,}; found {', '.join(map(str, copies))}"
        )
    if len(plan.widths) > 1:
        raise EvidenceError("several --width need --ratio; give one width")
    size, losses = Size(plan.widths[0], batch=BATCH, rate=plan.rate), dict[int, list[float]]()
    for seed in plan.seeds:
        for count in asked:
            run = Run(count, rows, seed)
            notify(f"training seed {seed}, {count:,} copies of {run.distinct:,} rows: {rows:,} rows")
            losses.setdefault(count, []).append(loss(run, plan.source, size))
    harm = {count: harm_of(values, losses[1]) for count, values in losses.items()}
    cells = [
        (f"{n:,}", f"{Run(n, rows, 0).distinct:,}", estimate(losses[n]).shown(), "-" if n == 1 else harm[n].shown("+.4f"))
        for n in asked
    ]
    return Finding(
        f"loss of fresh rows, nats per token, if {PART:.0%} of {rows:,} rows are copies (arXiv 2606.24998)",
        ("copies", "distinct rows", "loss of fresh rows", "above all fresh"), cells,
        [{"copies": n, "distinct": Run(n, rows, 0).distinct, "loss": estimate(losses[n]), "harm": harm[n]} for n in asked],
        [(f"{n:,} copies", harm[n]) for n in asked[1:]], advice(losses), caution(len(plan.seeds)),
    )  # fmt: skip


def harm_of(values: Sequence[float], fresh: Sequence[float]) -> Estimate:
    """The loss above that of all fresh rows, within seeds."""
    return estimate([value - base for value, base in zip(values, fresh, strict=True)])


def split(source: Junk) -> tuple[Junk, Junk]:
    """The source of training rows and that of held-out rows. Raises `EvidenceError` where the text is too short for both."""
    if source.words is None:
        return source, source
    cut = len(source.words) * 9 // 10
    if len(source.words) - cut < 2 * LENGTH:
        raise EvidenceError(
            f"--copies needs at least {20 * LENGTH} words of text, a tenth of them held out; found {len(source.words)}"
        )
    return replace(source, words=source.words[:cut]), replace(source, words=source.words[cut:])


def loss(run: Run, source: Junk, size: Size) -> float:
    """Train one run; nats per token of the held-out rows."""
    training, rest = split(source)
    held = rest.draw(HELD_OUT, np.random.default_rng([run.seed, 4]))
    shape = gpt.Shape(source.vocabulary, size.width, size.layers, size.heads)
    steps = max(run.rows // size.batch, 1)
    params, _ = gpt.train(shape, batches(run, training, size.batch), steps, gpt.Settings(rate=size.rate), run.seed)
    parts = [gpt.token_losses(params, held[i : i + 250], shape) for i in range(0, len(held), 250)]
    return float(np.concatenate(parts).sum() / (held[:, 1:] != gpt.PAD).sum())


def batches(run: Run, source: Junk, size: int) -> Iterator[Ids]:
    """Batches of int32[size, LENGTH] without end: fresh rows, and copies in shuffled rounds, spread evenly over the run."""
    generator = np.random.default_rng([run.seed, 5])
    known = source.draw(run.distinct, np.random.default_rng([run.seed, 6]))
    fresh, again = Rows(lambda: source.draw(2048, generator)), Rows(lambda: known[generator.permutation(len(known))])
    seen = given = 0
    while True:
        seen += size
        wanted = round(seen * PART) - given
        given += wanted
        rows = np.concatenate([fresh(size - wanted), again(wanted)])
        yield rows[generator.permutation(size)]


def advice(losses: dict[int, list[float]]) -> str:
    """Where the harm peaks, if it does, by losses per seed for each number of copies."""
    harm = {count: harm_of(values, losses[1]) for count, values in losses.items() if count != 1}
    worst = max(harm, key=lambda count: harm[count].mean)
    if len(losses[1]) == 1:
        return f"In this seed {worst:,} copies hurt most ({harm[worst].shown('+.4f')})."
    if not harm[worst].above(0):
        return f"No number of copies is shown to hurt ({worst:,}: {harm[worst].shown('+.4f')}): give more --seeds or --rows."
    words = f"{worst:,} copies hurt most ({harm[worst].shown('+.4f')})"
    fewer, more = min(harm), max(harm)
    ends = [end for end in (fewer, more) if end != worst]
    apart = [end for end in ends if harm_of(losses[worst], losses[end]).above(0)]
    if len(apart) == 2:
        words += (
            f", more than {fewer:,} and than {more:,}: the harm peaks in between, so remove rows with that many copies first"
        )
    elif worst in (fewer, more):
        words += f", which is the {'least' if worst == fewer else 'largest'} number tried: no peak inside them"
    else:
        words += "; the seeds do not show that both ends of the range hurt less: give more --seeds"
    return f"{words}."
