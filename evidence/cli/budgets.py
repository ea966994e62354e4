"""A budget's answers, printed: the laws, the share to keep, the cost of curation, serving.

Invariants: every number is printed with its source or as an assumption.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from goldwash.evidence import planning
from goldwash.evidence.cli.answers import Answers, note
from goldwash.evidence.compare.saved import measured_multiplier
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.funnel import Funnel, funnel
from goldwash.evidence.laws import kaplan, keep, shape
from goldwash.evidence.laws.uncertainty import WHY_NONE
from goldwash.evidence.quantities import positive, quantity, short


@dataclass(frozen=True)
class Wants:
    """The options of a budget, as they were given."""

    law: str
    shape: str | None
    pool: str | None
    filter: str
    multipliers: Sequence[str]
    shares: Sequence[float]
    run: str | None
    run_part: float
    bytes_per_token: float
    serve: str | None


def answer(answers: Answers, budget: planning.Budget, wants: Wants) -> None:
    """Print and collect every answer for a budget. Options are checked before the first line is printed."""
    made = shape.shape(wants.shape) if wants.shape else None
    served = quantity(wants.serve, "--serve") if wants.serve else None
    found = _funnel(wants)
    pool = quantity(wants.pool, "--pool") if wants.pool else found.pool if found else budget.pool
    multipliers = _check_keep(wants, pool)
    _laws(answers, budget)
    if made is not None:
        _shape(answers, budget, made)
    if pool is not None:
        kept = _keep(answers, budget, wants, pool, multipliers, found)
        if found is not None:
            _curation(answers, budget, kept, found)
    if served is not None:
        _serve(answers, wants.law, budget, served)


def _check_keep(wants: Wants, pool: float | None) -> list[keep.Multiplier]:
    """The multipliers. Raises `EvidenceError` for options that are wrong, and for those that have no effect without a pool."""
    if pool is not None or wants.serve:
        planning.parametric(wants.law)
    elif wants.law != planning.DEFAULT:
        raise EvidenceError("--law chooses the law of the share to keep and of serving: give --pool, --run, --scale or --serve")
    if pool is None and (wants.multipliers or wants.shares):
        raise EvidenceError("--multiplier and --share ask for the share to keep: give --pool, --run or --scale")
    for share in wants.shares:
        if not 0 < share <= 1:
            raise EvidenceError(f"--share: expected a share above 0 and at most 1, found {share:g}")
    return _multipliers(wants)


def _laws(answers: Answers, budget: planning.Budget) -> None:
    answers.values["budget"] = {"compute": budget.compute, "run": budget.run, "scale": budget.scale}
    answers.values["laws"] = found = planning.verdicts(budget)
    if budget.run:
        parameters, tokens = budget.run
        answers.say(
            f"{short(parameters)} parameters, {short(tokens)} tokens ({tokens / parameters:.3g} per parameter): "
            f"{budget.compute:.3g} FLOPs (6 N D)"
        )
        least = kaplan.least_tokens(parameters)
        answers.say(
            f"to stay within 2% of unlimited data this size needs {short(least)} tokens ({kaplan.SOURCE}, equation 4.4)"
        )
    else:
        answers.say(f"{budget.compute:.3g} FLOPs (6 N D), allocated by each law")
    answers.table(
        ("law", "loss of the run", "best N", "best D", "D / N", "best loss", "N is counted"),
        [
            (
                v.law, _with(v.loss, v.loss_interval, "{:.3f}"), _with(v.optimum.parameters, v.parameters_interval),
                _with(v.optimum.tokens, v.tokens_interval), f"{v.optimum.tokens / v.optimum.parameters:.3g}",
                f"{v.optimum_loss:.3f}", v.counts,
            )
            for v in found
        ],
    )  # fmt: skip
    for verdict in found:
        answers.say(f"{verdict.law}: {verdict.source}; C is {verdict.flops}")
    if outside := planning.outside(budget.compute):
        answers.say(f"WARNING: {outside}")
    answers.say(
        f"[..] is a 95% interval by bootstrap; laws without one were {WHY_NONE}. Losses of different laws are not comparable."
    )


def _with(value: float | None, interval: planning.Interval, form: str = "") -> str:
    def shown(number: float) -> str:
        return form.format(number) if form else short(number)

    if value is None:
        return "-"
    return shown(value) + (f" [{shown(interval[0])}, {shown(interval[1])}]" if interval else "")


def _shape(answers: Answers, budget: planning.Budget, made: shape.Shape) -> None:
    answers.values["shape"] = found = planning.exact(made, budget)
    answers.say()
    answers.say(
        f"this shape: {short(found['parameters_with_embeddings'])} parameters with embeddings, "
        f"{short(found['parameters_without_embeddings'])} without; {found['flops_per_token']:.4g} FLOPs per token, "
        f"{found['over_6nd']:.3f} x 6N ({found['source']})"
    )
    if budget.run:
        off = found["parameters_with_embeddings"] / budget.run.parameters
        if not 0.9 < off < 1.1:
            answers.say(f"the shape has {off:.3g} times the parameters of the budget: change --shape or --parameters")
        answers.say(f"exact training FLOPs on {short(budget.run.tokens)} tokens: {found['flops']:.4g}")


def _funnel(wants: Wants) -> Funnel | None:
    if wants.run is None:
        return None
    if not 0 < wants.run_part <= 1:
        raise EvidenceError(f"--run-part: expected a part above 0 and at most 1, found {wants.run_part:g}")
    return funnel(wants.run, wants.run_part, positive(wants.bytes_per_token, "--bytes-per-token"))


def _multipliers(wants: Wants) -> list[keep.Multiplier]:
    if not wants.multipliers:
        return [keep.published(wants.filter, bound) for bound in ("value", "low", "high")]
    points = []
    for text in wants.multipliers:
        share, equals, value = text.partition("=")
        if not equals:
            raise EvidenceError(f"--multiplier: expected SHARE=VALUE, as 0.1=2.1, or SHARE=compare.json; found {text!r}")
        measured = ".json" in value
        found = measured_multiplier(value, note) if measured else quantity(value, "--multiplier value")
        points.append((quantity(share, "--multiplier share"), found))
    return [keep.Multiplier.of(points, "given with --multiplier")]


def _keep(
    answers: Answers, budget: planning.Budget, wants: Wants, pool: float, multipliers: Sequence[keep.Multiplier],
    found: Funnel | None,
) -> planning.Keeping:  # fmt: skip
    shares = tuple(wants.shares) or (*keep.SHARES, *([found.share] if found else []))
    kept = planning.keeping(wants.law, budget, pool, multipliers, shares)
    answers.values["keep"] = kept
    answers.say()
    answers.say(f"which share of {short(pool)} distinct tokens to keep (law {wants.law}; worth of a token: {kept.source};")
    answers.say("repeats decay as in Muennighoff et al. 2023, arXiv 2305.16264):")
    answers.table(
        ("share", "q", "unique", "parameters", "tokens", "epochs", "worth in raw tokens", "loss", ""),
        [_choice(row, kept.best) for row in kept.rows],
    )
    answers.say(f"keep {kept.best.share:.3g}; {_sensitivity(kept)}")
    if kept.best.share < 1:
        answers.say(
            f"that is worth {kept.compute_multiplier:.3g} times the compute on the whole pool, before the cost of curation"
        )
    answers.say(_crossover(kept))
    return kept


def _choice(row: keep.Choice, best: keep.Choice) -> tuple[str, ...]:
    worth = f"{row.quality:.3g}{'' if row.measured else ' (extrapolated)'}"
    epochs = f"{row.epochs:.2f}" if row.epochs < 1000 else short(row.epochs)
    sizes = (short(row.unique), short(row.run.parameters), short(row.run.tokens))
    return (f"{row.share:.3g}", worth, *sizes, epochs, short(row.effective), f"{row.loss:.4f}", _remark(row, best))


def _remark(row: keep.Choice, best: keep.Choice) -> str:
    marks = ["best"] if row.share == best.share else []
    if row.epochs > keep.WARN_MIXTURE_REPEATS:
        marks.append(f"over {keep.WARN_MIXTURE_REPEATS:g} repeats, harmful even inside a mixture (arXiv 2605.12715)")
    elif row.epochs > keep.WARN_REPEATS:
        marks.append(f"over {keep.WARN_REPEATS:g} repeats (arXiv 2305.16264)")
    return "; ".join(marks)


def _sensitivity(kept: planning.Keeping) -> str:
    ends = f"with q at the ends of its range {kept.low.share:.3g} and {kept.high.share:.3g}"
    if kept.within:
        return f"{ends}; the law's uncertainty also allows {', '.join(f'{share:.3g}' for share in kept.within)}"
    return ends


def _crossover(kept: planning.Keeping) -> str:
    if kept.crossover != kept.crossover:
        return f"no filter wins on this pool at any compute from {keep.LEAST_COMPUTE:.0e} FLOPs on"
    if kept.crossover == float("inf"):
        return "a filter wins at every compute up to 1e34 FLOPs"
    return (
        f"beyond {kept.crossover:.2g} FLOPs no filter wins on this pool: all of it, repeated less, is better (arXiv 2605.19407)"
    )


def _curation(answers: Answers, budget: planning.Budget, kept: planning.Keeping, found: Funnel) -> None:
    prices = planning.Prices()
    row = min(kept.rows, key=lambda r: abs(r.share - found.share))
    training = prices.gpu_hours(budget.compute)
    net = prices.net(row.quality, budget.compute, found.cpu_hours)
    answers.values["curation"] = {
        "share": found.share, "pool": found.pool, "kept": found.kept, "cpu_hours": found.cpu_hours, "stages": found.stages,
        "gpu_hours": training, "multiplier": row.quality, "net_multiplier": net, "prices": prices,
    }  # fmt: skip
    answers.say()
    answers.say(
        f"curation: {found.cpu_hours:.3g} CPU hours (bytes of the run over measured rates, docs/benchmarks.md) beside "
        f"{training:.3g} GPU hours of training (assumed: {prices.peak_flops:.3g} FLOP/s peak at {prices.utilisation:.0%})"
    )
    answers.say(
        f"the run kept {found.share:.3g} of its pool: q {row.quality:.3g}, net of curation {net:.3g} "
        f"(assumed: ${prices.gpu_hour:g} per GPU hour, ${prices.cpu_hour:g} per core hour)"
    )


def _serve(answers: Answers, law: str, budget: planning.Budget, served: float) -> None:
    answers.values["serve"] = found = planning.serve(law, budget, served)
    asked, best = found.asked, found.best
    answers.say()
    answers.say(f"serving {short(served)} tokens at the quality of the run (loss {found.loss:.4f}, law {law}; {found.source}):")
    answers.table(
        ("", "parameters", "tokens", "training", "serving", "total FLOPs"),
        [
            (
                name,
                short(one.run.parameters),
                short(one.run.tokens),
                f"{one.training:.3g}",
                f"{one.serving:.3g}",
                f"{one.total:.3g}",
            )
            for name, one in (("as asked", asked), ("cheapest", best))
        ],
    )
    bounds = found.parameters_interval
    spread = (
        f"; 95% interval of its parameters {short(bounds[0])} to {short(bounds[1])}" if bounds else f"; no interval: {WHY_NONE}"
    )
    answers.say(f"the cheapest costs {1 - best.total / asked.total:.1%} less{spread}")
