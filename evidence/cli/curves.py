"""``goldwash curves``: training logs on one axis, crossings, and the smaller model trained longer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldwash.evidence.cli.answers import Answers, note, write

if TYPE_CHECKING:
    from goldwash.evidence.curves.compare import Axis
    from goldwash.evidence.curves.logs import Curve

app = typer.Typer()


@app.command()
def curves(
    logs: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="Logs: CSV, JSONL, TensorBoard, OpenLM, nanochat, nanotron.")
    ],
    axis: Annotated[str, typer.Option("--axis", help="tokens, flops, seconds or money.")] = "tokens",
    price: Annotated[float | None, typer.Option("--price", help="Price of an hour of the machine, for --axis money.")] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="bpb, validation or loss. Without it, the first that a log has.")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameters", help="LOG=N, for a log that does not print it. Several may follow.")
    ] = None,
    tokenizer: Annotated[
        list[str] | None, typer.Option("--tokenizer", help="LOG=NAME, for a log that does not print it. Several may follow.")
    ] = None,
    tokens_per_step: Annotated[str | None, typer.Option("--tokens-per-step", help="For logs that count steps.")] = None,
    sequence_length: Annotated[
        str | None, typer.Option("--sequence-length", help="For OpenLM's logs, which count samples.")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", help="Write the chart to this .svg or .html file.")] = None,
    json: Annotated[str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for stdout.")] = None,
) -> None:
    """Compare training runs from their logs: which leads where, where they cross, what a smaller model would cost."""
    from goldwash.evidence import charts
    from goldwash.evidence.curves import compare
    from goldwash.evidence.curves.logs import METRICS, Hints, read_curve
    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.quantities import quantity

    if metric is not None and metric not in METRICS:
        raise EvidenceError(f"unknown metric {metric!r}; there are: {', '.join(METRICS)}")
    if out is not None and Path(out).suffix not in (".svg", ".html"):
        raise EvidenceError(f"--out: expected an .svg or .html file, found {out}")
    step = quantity(tokens_per_step, "--tokens-per-step") if tokens_per_step else None
    length = quantity(sequence_length, "--sequence-length") if sequence_length else None
    found = _told([read_curve(log, Hints(step, length, metric)) for log in logs], parameters or [], tokenizer or [])
    compare.check(found)
    if text := compare.doubt(found):
        note(text)
    answers, kind = Answers(quiet=json == "-"), compare.Axis(axis, price)
    _ends(answers, found, kind)
    _crossings(answers, found, kind)
    _deals(answers, found, kind)
    series = [charts.Series(curve.name, *(v.tolist() for v in compare.on_axis(curve, kind))) for curve in found]
    chart = charts.Chart("Training curves", axis, _unit(found[0].metric), series, log_x=True)
    answers.draw(charts.terminal(chart))
    if out is not None:
        write(out, charts.svg(chart) if out.endswith(".svg") else charts.page([chart], "Training curves"))
    answers.finish(json)


def _unit(metric: str) -> str:
    return {"bpb": "bits per byte", "validation": "validation loss, nats per token", "loss": "training loss, nats per token"}[
        metric
    ]


def _told(found: "Sequence[Curve]", parameters: Sequence[str], tokenizers: Sequence[str]) -> "list[Curve]":
    """The curves with distinct names and with what the options add."""
    from dataclasses import replace

    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.quantities import quantity

    curves, seen = [], dict[str, int]()
    for curve in found:
        seen[curve.name] = seen.get(curve.name, 0) + 1
        curves.append(replace(curve, name=f"{curve.name} ({seen[curve.name]})") if seen[curve.name] > 1 else curve)
    names = {curve.name: i for i, curve in enumerate(curves)}
    for option, given in (("--parameters", parameters), ("--tokenizer", tokenizers)):
        for text in given:
            name, equals, value = text.rpartition("=")
            if not equals or name not in names:
                raise EvidenceError(f"{option}: expected LOG=VALUE with a log of {', '.join(names)}; found {text!r}")
            i = names[name]
            size = quantity(value, option) if option == "--parameters" else None
            curves[i] = replace(curves[i], parameters=size) if size else replace(curves[i], tokenizer=value)
    return curves


def _ends(answers: Answers, curves: "Sequence[Curve]", axis: "Axis") -> None:
    from goldwash.evidence.curves import compare
    from goldwash.evidence.quantities import short

    rows, kept = [], []
    for curve in curves:
        x, y = compare.on_axis(curve, axis)
        best = float(compare.envelope(y)[-1])
        kept.append({
            **{key: value for key, value in vars(curve).items() if key != "records"},
            "records": len(curve.records), "x": float(x[-1]), "last": float(y[-1]), "best": best,
        })  # fmt: skip
        ended = {True: "yes", False: "NO", None: "not known"}[curve.finished]
        size = short(curve.parameters) if curve.parameters else "-"
        rows.append((curve.name, str(len(curve.records)), size, short(float(x[-1])), f"{y[-1]:.4f}", f"{best:.4f}", ended))
        if curve.finished is False:
            note(f"{curve.name}: its schedule has not ended: decay will still lower the loss; do not compare it yet")
        if curve.replaced:
            note(f"{curve.name}: {curve.replaced} records were replaced by later ones of a resumed run")
        if curve.diverged:
            note(f"{curve.name}: {curve.diverged} records have no finite {curve.metric}")
    answers.values.update(axis=axis, curves=kept)
    answers.say(f"{_unit(curves[0].metric)}, read from the logs; x is {axis.kind}")
    answers.table(("run", "records", "parameters", axis.kind, "last", "best", "schedule ended"), rows)


def _crossings(answers: Answers, curves: "Sequence[Curve]", axis: "Axis") -> None:
    from goldwash.evidence.curves import compare

    answers.values["crossings"] = kept = []
    for i, first in enumerate(curves):
        for second in curves[i + 1 :]:
            leader, found = compare.crossings(first, second, axis)
            kept.append({"first": first.name, "second": second.name, "leader": leader, "crossings": found})
            if leader is None:
                answers.say(f"{first.name} and {second.name} do not overlap, or are equal, in {axis.kind}")
                continue
            path = "".join(f"; {c.winner} passes at {_at(c.at, axis)}" for c in found[-5:])
            more = f" ({len(found)} crossings; the last 5 are shown)" if len(found) > 5 else ""
            answers.say(f"{first.name} and {second.name}: {leader} leads first{path}{more}")


def _at(x: float, axis: "Axis") -> str:
    """A place on the axis, with its unit."""
    from goldwash.evidence.quantities import short

    return f"a cost of {short(x)}" if axis.kind == "money" else f"{short(x)} {axis.kind}"


def _deals(answers: Answers, curves: "Sequence[Curve]", axis: "Axis") -> None:
    from goldwash.evidence.curves import compare

    answers.values["smaller_longer"] = found = compare.deals(curves, axis)
    for deal in found:
        if deal.reached is None or deal.ratio is None:
            answers.say(f"smaller, longer: {deal.smaller} does not reach {deal.larger}'s {deal.target:.4f} within its log")
        else:
            answers.say(
                f"smaller, longer: {deal.smaller} reaches {deal.larger}'s {deal.target:.4f} at {_at(deal.reached, axis)}, "
                f"{deal.ratio:.2f} times as much, and is {deal.cheaper_to_serve:.2f} times cheaper to serve"
            )
