"""``goldwash mix``: a training set from several sources, in given proportions."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import AllowEmpty, EngineFile, On, OtherCode, Out, RayAddress, Set, With, Workers
from goldwash.pipeline.cli.terminal import Column, Row, notify, say, show_table

app = typer.Typer()

TABLE = (
    Column("source"), Column("bucket"), Column("had", True), Column("wanted", True), Column("taken", True),
    Column("repeats", True), Column("left", True, 2),
)  # fmt: skip


@app.command()
def mix(
    out_folder: Out,
    mixture: Annotated[
        str | None, typer.Argument(help="A YAML file with the parameters of the stage mix: sources, tokens, seed ...")
    ] = None,
    source: Annotated[
        list[str],
        typer.Option(
            "--source", help="NAME=PLACE: a run, a stage's folder, shards, Parquet or JSON lines. Several may follow."
        ),
    ] = [],  # noqa: B006
    weight: Annotated[
        list[str], typer.Option("--weight", help="NAME=SHARE of the total, as web=0.7. They sum to 1. Several may follow.")
    ] = [],  # noqa: B006
    most: Annotated[
        list[str], typer.Option("--max-repeats", help="NAME=NUMBER, or a number for all sources. Several may follow.")
    ] = [],  # noqa: B006
    tokens: Annotated[str | None, typer.Option("--tokens", help="The total in tokens, as 8.2B, or all.")] = None,
    bytes_: Annotated[str | None, typer.Option("--bytes", help="The total in bytes of text instead, or all.")] = None,
    documents: Annotated[str | None, typer.Option("--documents", help="The total in documents instead, or all.")] = None,
    bytes_per_token: Annotated[
        float | None, typer.Option("--bytes-per-token", help="An estimate for sources without a column token_count, as 4.5.")
    ] = None,
    ratios: Annotated[
        str | None, typer.Option("--ratios", help="Weights from Olmix's ratios.csv: columns SOURCE or SOURCE:BUCKET.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="The row of --ratios; without it, the only one.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The seed of the draws and of the shuffle.")] = None,
    set: Set = [],  # noqa: B006
    plan: Annotated[bool, typer.Option("--plan", help="Count the sources and print the plan; write no document.")] = False,
    workers: Workers = 0,
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    allow_empty: AllowEmpty = False,
    other_code: OtherCode = False,
) -> None:
    """Mix sources in given proportions: by tokens, with buckets, upsampling by quality, and repeats; shuffled."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.recipes.reading import parsed_setting
    from goldwash.pipeline.stages import mix as stages_mix
    from goldwash.pipeline.storage.locations import join
    from goldwash.pipeline.storage.sealed import read_sealed

    values = _file(mixture) if mixture else {}
    for key, value in (("tokens", tokens), ("bytes", bytes_), ("documents", documents)):
        if value is not None:
            values = {**{k: v for k, v in values.items() if k not in ("tokens", "bytes", "documents")}, key: value}
    more = {"bytes_per_token": bytes_per_token, "seed": seed}
    values |= {key: value for key, value in more.items() if value is not None} | dict(map(parsed_setting, set))
    values["sources"] = _sources(values.get("sources") or {}, source, weight, most, ratios, run)
    cap = next((text for text in most if "=" not in text), None)
    made = stages_mix.Mix.of({**values, **({"max_repeats": _number(cap, "--max-repeats")} if cap else {})})
    settings = engine_settings(on, engine, with_, ray_address, workers)
    settings.check()
    interruption.keeps_work(out_folder)
    names = [name for each in made.parsed for name in each.input]
    made.preflight()
    if plan:
        from goldwash.pipeline.storage.locks import run_lock
        from goldwash.pipeline.storage.ownership import check_apart

        check_apart(out_folder, names, [file.path for _, file in made.own])
        with run_lock(out_folder):
            _show(made.preview([], out_folder, settings.start(progress())))
        return
    options = flow.Options(allow_empty, other_code)
    flow.run_stage(made, [], out_folder, settings.start(progress()), notify, names, options)
    report = read_sealed(join(out_folder, "report.json")) or {}
    _show(report["facts"])
    notes = report["report"]["notes"]
    say(f"kept:    {out_folder}/part-*.parquet ({notes.get('repeats', 0):,} rows are repeats: epoch above 0)")
    say(f"left:    {out_folder}/dropped/part-*.parquet")
    say(f"weights: {out_folder}/mixture/ratios.csv")


def _file(mixture: str) -> dict[str, Any]:
    """The parameters in a YAML file, at its top or under the key ``mix``."""
    from pathlib import Path

    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.recipes.reading import read

    path = Path(mixture)
    if not path.is_file():
        raise RecipeError(f"no mixture at {mixture}: expected a YAML file with `sources`; or give --source NAME=PLACE")
    values, _ = read(path)
    if isinstance(values, dict) and set(values) == {"mix"}:
        values = values["mix"]
    if not isinstance(values, dict):
        raise RecipeError(
            f"{mixture}: expected parameters, as `sources: ...` and `tokens: 8.2B`, found {type(values).__name__}"
        )
    return dict(values)


def _sources(
    given: Any,
    places: Sequence[str],
    weights: Sequence[str],
    most: Sequence[str],
    ratios: str | None,
    run: str | None,
) -> dict[str, Any]:
    """The sources of the file and of the options; options win.

    Raises `RecipeError` for sources without keys, a name that is there twice or unknown, and ``--run`` without ``--ratios``.
    """
    from goldwash.pipeline.parameters import RecipeError

    if not isinstance(given, Mapping) or not all(values is None or isinstance(values, Mapping) for values in given.values()):
        raise RecipeError(f"sources: expected names with keys, as {{web: {{input: runs/first, weight: 0.7}}}}, found {given!r}")
    if run is not None and ratios is None:
        raise RecipeError(f"--run {run} is a row of Olmix's ratios.csv: give that file, too, as --ratios FILE")
    found: dict[str, Any] = {name: dict(values or {}) for name, values in given.items()}
    found |= _placed(places, given)
    for option, texts, key in (
        ("--weight", weights, "weight"),
        ("--max-repeats", [m for m in most if "=" in m], "max_repeats"),
    ):
        for text in texts:
            name, value = _pair(text, option, "web=0.7")
            _known(name, found, f"{option} {text}")[key] = _number(value, f"{option} {name}")
    if ratios is not None:
        for name, keys in _ratios(ratios, run).items():
            _known(name, found, f"--ratios {ratios}").update(keys)
        for name in found:
            found[name].setdefault("weight", 0.0)
    return found


def _placed(places: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The sources of ``--source``; two of one name are refused."""
    from goldwash.pipeline.parameters import RecipeError

    found: dict[str, Any] = {}
    for text in places:
        name, place = _pair(text, "--source", "web=runs/first")
        if name in given or name in found:
            raise RecipeError(
                f"--source {text}: there is a source {name} already: give each source another name, or one source several "
                "inputs in a file, as `input: [A, B]`"
            )
        found[name] = {"input": [place]}
    return found


def _known(name: str, found: dict[str, Any], place: str) -> dict[str, Any]:
    """The keys of a source; a `RecipeError` with the nearest name where there is none."""
    from goldwash.pipeline.parameters import RecipeError, nearest

    if name not in found:
        raise RecipeError(f"{place}: no source is called {name!r}: {nearest(name, list(found))}")
    keys: dict[str, Any] = found[name]
    return keys


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    from goldwash.pipeline.parameters import RecipeError

    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise RecipeError(f"{option} {text}: expected NAME=VALUE, as {example}")
    return name, value


def _number(text: str, place: str) -> float:
    from goldwash.pipeline.parameters import RecipeError

    try:
        return float(text)
    except ValueError:
        raise RecipeError(f"{place}: expected a number, found {text!r}") from None


def _ratios(file: str, run: str | None) -> dict[str, dict[str, Any]]:
    """The weights of one run of a ``ratios.csv``."""
    from goldwash.pipeline.mixing.olmix import read_ratios, weights_of
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.storage.locations import read_text

    table = read_ratios(read_text(file), file)
    if run is None and len(table) != 1:
        raise RecipeError(f"--ratios {file} has {len(table)} runs: choose one, as --run {next(iter(table))}")
    if run is not None and run not in table:
        raise RecipeError(f"--run {run}: {file} has no such run; it has {', '.join(list(table)[:8])}")
    return weights_of(table[run or next(iter(table))])


def _show(facts: Mapping[str, Any]) -> None:
    """Print what each bucket had, gave and has left, and the warnings."""
    from goldwash.pipeline.mixing.quantities import short

    rows = []
    for row in facts["buckets"]:
        taken, left = row.get("taken"), row.get("left")
        repeats = row["repeats"]
        cells = (
            row["source"], row["bucket"] or "", short(row["had"]), short(row["wanted"]), "" if taken is None else short(taken),
            f"{repeats:.3g}", "" if left is None else short(left),
        )  # fmt: skip
        rows.append(Row(cells))
    say(f"in {facts['unit']}:")
    show_table(TABLE, rows)
    by = facts.get("tokens_by")
    if by and by["files_estimated"]:
        say(f"tokens of {by['files_estimated']:,} files are estimated: {by['bytes_per_token']:g} bytes per token")
    for line in facts["warnings"]:
        notify(f"warning: {line}")
