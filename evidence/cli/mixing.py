"""``plan --mixtures``: a design of mixtures to run, Olmix's files, and a proposal from their results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldwash.evidence.cli.answers import Answers, read, write
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import mixtures as mixing
from goldwash.evidence.quantities import quantity, short
from goldwash.text_output import printable

NO_METRICS = ("metric_bpb",)


@dataclass(frozen=True)
class Options:
    """The options of mixtures. ``budget`` is in tokens, None without one."""

    sources: Sequence[str]
    budget: float | None
    runs: int
    ratios: str | None
    metrics: str | None
    most_repeats: float
    kl: float
    seed: int
    out: str | None


def answer(answers: Answers, options: Options) -> None:
    """Print a design or, with results, a proposal."""
    names, tokens, natural = mixing.natural_mixture(_sources(options.sources))
    if options.most_repeats <= 0 or options.kl < 0:
        raise EvidenceError("expected --most-repeats above 0 and --kl of at least 0")
    budget = options.budget or float(tokens.sum())
    most = mixing.caps(tokens, budget, options.most_repeats)
    if options.ratios is None and options.metrics is None:
        _design(answers, options, names, natural, most)
    elif options.ratios is None or options.metrics is None:
        raise EvidenceError("a proposal needs both --ratios and --metrics")
    else:
        swarm = mixing.read_swarm(read(options.ratios, "ratios.csv"), read(options.metrics, "metrics.csv"))
        _propose(answers, options, swarm, dict(zip(names, tokens, strict=True)), budget)


def _sources(given: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in given:
        name, equals, tokens = text.rpartition("=")
        if not equals or not name or name in found:
            raise EvidenceError(
                f"--mixtures: expected NAME=TOKENS, each name once, as web=5T code=300B; found {printable(text)!r}"
            )
        found[name] = quantity(tokens, f"--mixtures {printable(name)}")
    return found


def _design(answers: Answers, options: Options, names: Sequence[str], natural: mixing.Floats, most: mixing.Floats) -> None:
    made = mixing.design(natural, options.runs, options.seed, most=most)
    answers.values["mixtures"] = {"sources": names, "mixtures": made.tolist(), "log_det": mixing.information(made)}
    answers.say()
    answers.say(f"{len(made)} mixtures to run, D-optimal for a quadratic in the weights; the first is the natural one:")
    answers.table(("run", *names), [(f"run_{i + 1:03d}", *(f"{w:.3f}" for w in row)) for i, row in enumerate(made)])
    answers.say("repeat sources in a proxy as often as the target run will: else it picks the wrong mixture (arXiv 2606.07597)")
    answers.say(
        "proxies under 15M parameters rank mixtures with a correlation of 0.73 only, from 15M over 0.89 (arXiv 2602.12237)"
    )
    if options.out is not None:
        write(str(Path(options.out) / "ratios.csv"), mixing.ratios_csv(names, made.tolist()))
        write(str(Path(options.out) / "metrics.csv"), mixing.metrics_csv(NO_METRICS, len(made)))


def _propose(answers: Answers, options: Options, swarm: mixing.Swarm, tokens: dict[str, float], budget: float) -> None:
    lost = sorted(set(swarm.sources) ^ set(tokens))
    if lost:
        raise EvidenceError(
            f"--mixtures and ratios.csv must name the same sources; only in one of them: {', '.join(map(printable, lost))}"
        )
    sizes = np.array([tokens[name] for name in swarm.sources])
    natural, most = sizes / sizes.sum(), mixing.caps(sizes, budget, options.most_repeats)
    law = mixing.fit_log_linear(swarm)
    weights = mixing.propose(law, natural, most, options.kl)
    error = float(np.abs(law.predict(swarm.mixtures) - swarm.values).mean())
    before, after = float(law.predict(natural[None]).mean()), float(law.predict(weights[None]).mean())
    answers.values["proposal"] = {
        "weights": dict(zip(swarm.sources, weights.tolist(), strict=True)), "predicted": after, "natural_predicted": before,
        "mean_absolute_error": error, "runs": len(swarm.runs),
    }  # fmt: skip
    answers.say()
    answers.say(f"proposal from {len(swarm.runs)} runs and {len(swarm.metrics)} metrics (log-linear, arXiv 2602.12237):")
    answers.table(
        ("source", "tokens", "natural", "proposed", "repeats"),
        [
            (name, short(size), f"{share:.3f}", f"{weight:.3f}", f"{weight * budget / size:.2f}")
            for name, size, share, weight in zip(swarm.sources, sizes, natural, weights, strict=True)
        ],
    )
    answers.say(
        f"mean metric: natural {before:.4f}, proposed {after:.4f}; the fit misses its own runs by {error:.2g} on average"
    )
    if len(swarm.runs) <= len(swarm.sources) + 1:
        answers.say(
            f"WARNING: {len(swarm.runs)} runs cannot determine {len(swarm.sources) + 1} coefficients per metric; "
            "run more mixtures"
        )
