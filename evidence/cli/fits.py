"""``plan --fit`` and ``plan --repeats``, printed."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldwash.evidence import charts
from goldwash.evidence.cli.answers import Answers, write
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import fit as fitting
from goldwash.evidence.laws import repeats as copies
from goldwash.evidence.laws.parametric import FLOPS_PER_PARAMETER_TOKEN
from goldwash.evidence.laws.runs import read_runs
from goldwash.evidence.quantities import short
from goldwash.text_output import printable


@dataclass(frozen=True)
class Options:
    """The options of a fit. ``hold_out`` is in FLOPs: runs at or above it are predicted, not fitted."""

    bootstrap: int
    seed: int
    least_ratio: float
    hold_out: float | None
    out: str | None


def answer(answers: Answers, text: str, name: str, options: Options) -> None:
    """Fit, print coefficients with standard errors, warnings, predictions of what was held out, and residuals."""
    runs, left_out = read_runs(text, name, options.least_ratio)
    if not len(runs):
        raise EvidenceError(f"{name}: expected runs, found none ({left_out} left out by --least-ratio)")
    compute = FLOPS_PER_PARAMETER_TOKEN * runs.parameters * runs.tokens
    inside = compute < (options.hold_out or math.inf)
    if options.hold_out is not None and (inside.all() or not inside.any()):
        raise EvidenceError(
            f"{name}: --hold-out {options.hold_out:.3g} must separate the runs, "
            f"which go from {compute.min():.3g} to {compute.max():.3g} FLOPs"
        )
    fitted = fitting.fit(runs[inside], options.bootstrap, options.seed)
    _coefficients(answers, fitted, runs[inside], name, left_out)
    if options.hold_out is not None:
        _held_out(answers, fitted, runs[~inside], options.hold_out)
    _residuals(answers, fitted, runs, compute, options.out)


def _coefficients(answers: Answers, fitted: fitting.Fit, runs: fitting.Runs, name: str, left_out: int) -> None:
    law, errors = fitted.law, fitted.errors
    answers.values["fit"] = {
        "runs": len(runs), "left_out": left_out, "coefficients": {n: getattr(law, n) for n in fitting.NAMES},
        "standard_errors": errors, "replicates": len(fitted.replicates), "failed": fitted.failed, "objective": fitted.objective,
    }  # fmt: skip
    dropped = f", {left_out} left out by --least-ratio" if left_out else ""
    answers.say(f"L(N, D) = E + A / N^alpha + B / D^beta on {len(runs)} runs of {printable(name)}{dropped}")
    laws = fitting.laws(fitted)
    rows = []
    for coefficient in fitting.NAMES:
        low, high = fitting.interval([getattr(one, coefficient) for one in laws])
        error = f"{errors[coefficient]:.3g}" if errors else "-"
        rows.append((coefficient, f"{getattr(law, coefficient):.4g}", error, f"[{low:.4g}, {high:.4g}]" if laws else "-"))
    answers.table(("coefficient", "value", "standard error", "95% interval"), rows)
    exponents = [one.beta / (one.alpha + one.beta) for one in laws]
    low, high = fitting.interval(exponents)
    exponent = law.beta / (law.alpha + law.beta)
    answers.values["fit"]["allocation_exponent"] = {"value": exponent, "interval": [low, high] if laws else None}
    answers.say(f"best N grows as C^{exponent:.3f}" + (f" [{low:.3f}, {high:.3f}]" if laws else ""))
    if fitted.failed:
        answers.say(f"{fitted.failed} bootstrap replicates did not converge and were left out")
    if len(runs) < fitting.ENOUGH:
        warning = (
            f"{len(runs)} runs are fewer than {fitting.ENOUGH}: the loss near these runs may be right, but the exponents and "
            "any allocation drawn from them are not to be used. Add runs of other sizes and lengths"
        )
        answers.values["fit"]["warning"] = warning
        answers.say(f"WARNING: {warning}")


def _held_out(answers: Answers, fitted: fitting.Fit, runs: fitting.Runs, above: float) -> None:
    errors = np.expm1(fitting.residuals(fitted.law, runs))
    worst = float(np.abs(errors).max())
    answers.values["fit"]["held_out"] = {"above": above, "runs": len(runs), "worst": worst, "mean": float(errors.mean())}
    answers.say(
        f"{len(runs)} runs at or above {above:.3g} FLOPs are predicted within {worst:.2%} (mean error {errors.mean():+.2%})"
    )


def _residuals(answers: Answers, fitted: fitting.Fit, runs: fitting.Runs, compute: fitting.Floats, out: str | None) -> None:
    errors = 100 * np.expm1(fitting.residuals(fitted.law, runs))
    series = charts.Series("residuals", compute.tolist(), errors.tolist(), line=False)
    chart = charts.Chart("Residuals of the fit", "training FLOPs", "predicted over observed, %", [series], log_x=True)
    answers.values["fit"]["residuals_percent"] = errors.tolist()
    answers.draw(charts.terminal(chart))
    if out is not None:
        write(str(Path(out) / "residuals.svg"), charts.svg(chart))


def repeats(answers: Answers, width: int) -> None:
    """The harm of copies, and where it is worst."""
    if width < 1:
        raise EvidenceError(f"--repeats: expected at least one feature, found {width}")
    rows = copies.harm(width)
    worst = copies.peak(rows)
    answers.values["repeats"] = {"width": width, "rows": rows, "peak": worst, "source": copies.SOURCE}
    answers.say()
    answers.say(f"10% of 2,000 samples are copies; {width} features, 20 seeds ({copies.SOURCE}):")
    answers.table(
        ("copies", "excess error", "standard error"),
        [(str(row.copies), f"{row.excess:.4f}", f"{row.error:.4f}{'  <- worst' if row is worst else ''}") for row in rows],
    )
    last = rows[-1]
    if worst is not rows[0] and worst is not last:
        answers.say(f"harm peaks at {worst.copies} copies: fewer are nearly fresh, more span too little to be overfitted")
    else:
        answers.say(f"no peak inside {rows[0].copies} to {last.copies} copies at {short(width)} features")
