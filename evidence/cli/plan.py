"""``goldwash plan``: how much data, how strict a filter, how large a model; ``plan --fit`` fits a law to your own runs."""

from typing import Annotated

import typer

from goldwash.evidence.cli.answers import Answers, read

app = typer.Typer()


@app.command()
def plan(
    compute: Annotated[str | None, typer.Option("--compute", help="Training FLOPs, as 1e21.")] = None,
    parameters: Annotated[str | None, typer.Option("--parameters", help="Parameters with embeddings, as 7B.")] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="Training tokens, as 140B.")] = None,
    scale: Annotated[str | None, typer.Option("--scale", help="A DCLM scale: 400M-1x, 1B-1x, 1B-5x, 7B-1x or 7B-2x.")] = None,
    law: Annotated[str, typer.Option("--law", help="The law for keep and serve: epoch, hoffmann or muennighoff.")] = "epoch",
    shape: Annotated[
        str | None, typer.Option("--shape", help="layers=24,width=2048,heads=16,vocabulary=50432: exact FLOPs.")
    ] = None,
    pool: Annotated[str | None, typer.Option("--pool", help="Distinct tokens before the quality filter, as 2T.")] = None,
    filter_name: Annotated[
        str, typer.Option("--filter", help="Published value of filtered tokens: dclm, betr or raw.")
    ] = "dclm",
    multiplier: Annotated[
        list[str] | None,
        typer.Option(
            "--multiplier",
            help="A measured value instead: SHARE=VALUE, as 0.1=2.1, or SHARE=FILE.json of `compare --json`. "
            "Several may follow.",
        ),
    ] = None,
    share: Annotated[list[float] | None, typer.Option("--share", help="Shares to compare. Several may follow.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="The --out of a finished run: pool, share and CPU hours from its funnel.")
    ] = None,
    run_part: Annotated[float, typer.Option("--run-part", help="The part of the crawl that the run processed.")] = 1.0,
    bytes_per_token: Annotated[float, typer.Option("--bytes-per-token", help="Converts a run's bytes to tokens.")] = 4.3,
    serve: Annotated[
        str | None, typer.Option("--serve", help="Tokens of inference, as 2T: the cheapest run of the same quality.")
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", help="Simulate the harm of repeated copies, in a regression with this many features."),
    ] = None,
    mixtures: Annotated[
        list[str] | None,
        typer.Option("--mixtures", help="Sources and their tokens, NAME=TOKENS: mixtures to run. Several may follow."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", help="How many mixtures to run.")] = 16,
    ratios: Annotated[
        str | None, typer.Option("--ratios", help="Olmix's ratios.csv; with --metrics and --mixtures, propose a mixture.")
    ] = None,
    metrics: Annotated[str | None, typer.Option("--metrics", help="Olmix's metrics.csv, lower is better.")] = None,
    most_repeats: Annotated[
        float, typer.Option("--most-repeats", help="How often a source may be repeated in a mixture.")
    ] = 4.0,
    kl: Annotated[
        float, typer.Option("--kl", help="Weight of the KL term that pulls the proposal towards the natural mixture.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="Seed of designs and bootstraps.")] = 0,
    fit: Annotated[str | None, typer.Option("--fit", help="A CSV of runs: fit a law to it.")] = None,
    bootstrap: Annotated[int, typer.Option("--bootstrap", min=0, help="Replicates of the fit's bootstrap.")] = 200,
    least_ratio: Annotated[
        float, typer.Option("--least-ratio", help="Leave runs with fewer tokens per parameter out of the fit.")
    ] = 0.0,
    hold_out: Annotated[
        str | None, typer.Option("--hold-out", help="Fit the runs below these FLOPs, predict those above.")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", help="A folder for charts and CSV files.")] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for standard output.")
    ] = None,
) -> None:
    """Plan a budget: how many tokens, which model size, which share of a crawl to keep, and how sure that is."""
    from goldwash.evidence.cli import budgets, fits, mixing
    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.planning import budget as budget_of
    from goldwash.evidence.quantities import quantity

    answers = Answers(quiet=json == "-")
    if fit is not None:
        above = quantity(hold_out, "--hold-out") if hold_out else None
        fits.answer(answers, read(fit, "a table of runs"), fit, fits.Options(bootstrap, seed, least_ratio, above, out))
    if repeats is not None:
        fits.repeats(answers, repeats)
    size = quantity(parameters, "--parameters") if parameters is not None else None
    data = quantity(tokens, "--tokens") if tokens is not None else None
    flops = quantity(compute, "--compute") if compute is not None else None
    budget = None if {compute, parameters, tokens, scale} == {None} else budget_of(flops, size, data, scale)
    wants = budgets.Wants(law, shape, pool, filter_name, multiplier or [], share or [], run, run_part, bytes_per_token, serve)
    if budget is not None:
        budgets.answer(answers, budget, wants)
    elif pool or run or serve or shape:
        raise EvidenceError("expected a budget: two of --compute, --parameters, --tokens, or --compute alone, or --scale")
    if mixtures:
        total = budget.run.tokens if budget is not None and budget.run is not None else None
        mixing.answer(answers, mixing.Options(mixtures, total, runs, ratios, metrics, most_repeats, kl, seed, out))
    elif ratios or metrics:
        raise EvidenceError("--ratios and --metrics need the sources' sizes: give --mixtures NAME=TOKENS for each source")
    if not answers.values:
        raise EvidenceError("nothing to plan: give a budget (--compute, --scale ...), --fit, --repeats or --mixtures")
    answers.finish(json)
