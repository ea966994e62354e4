"""``goldwash tokenize``, ``train-tokenizer`` and ``where``: from documents to training tokens, and back."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import (
    AllowEmpty,
    EngineFile,
    IdColumn,
    Inputs,
    On,
    OnNull,
    OtherCode,
    Out,
    RayAddress,
    Set,
    TextColumn,
    UrlColumn,
    With,
    Workers,
    reading_of,
)
from goldwash.pipeline.cli.summaries import show_notes, show_steps
from goldwash.pipeline.cli.terminal import command, notify, say
from goldwash.pipeline.engines.workers import start_early
from goldwash.text_output import printable

if TYPE_CHECKING:
    from goldwash.pipeline.stage import Stage

app = typer.Typer()

TokenizerName = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        help="A tokenizer.json (a path, https:// or hf://OWNER/REPO), tiktoken:NAME or tiktoken:FILE. Without it, a small one "
        "that comes with goldwash.",
    ),
]
Formats = Annotated[
    list[str],
    typer.Option(
        "--format",
        help="What to write: openlm, megatron, nanotron, mds, llmc, nanogpt or olmo. Without it, openlm. Several may follow.",
    ),
]


@app.command()
def tokenize(
    input: Inputs,
    out_folder: Out,
    tokenizer: TokenizerName = None,
    formats: Formats = [],  # noqa: B006
    sequence_length: Annotated[
        int | None, typer.Option(min=2, help="The model's context in tokens. Without it, 2,048.")
    ] = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="Write whole documents, not sequences, for trainers that pack them themselves.")
    ] = False,
    tag: Annotated[
        str | None,
        typer.Option(help="Text before each document, as 'URL: {host}' and two line breaks; not for the last tenth."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="The name of this source, for mixtures.")] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="The recipe that the parameters come from.")] = "baseline",
    workers: Workers = 0,
    set: Set = [],  # noqa: B006
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    text_column: TextColumn = "text",
    id_column: IdColumn = "id",
    url_column: UrlColumn = "url",
    on_null: OnNull = "error",
    allow_empty: AllowEmpty = False,
    other_code: OtherCode = False,
) -> None:
    r"""Turn documents into the tokens that a training run reads: packed, shuffled, in its format.

    \b
    goldwash tokenize --input runs/first/dataset --out tokens --tokenizer hf://EleutherAI/gpt-neox-20b
    goldwash tokenize --input tokens/web tokens/books --out mixed --set weights='{web: 0.7, books: 0.3}'
    """
    start_early(on, workers, input)
    from goldwash.pipeline import flow

    given: dict[str, Any] = {"tokenizer": tokenizer, "sequence_length": sequence_length, "tag": tag, "source": source}
    given = {key: value for key, value in given.items() if value is not None}
    given |= {"formats": formats} if formats else {}
    given |= {"sequence_length": None} if documents else {}
    made = _stage(recipe, given, set)
    options = flow.Options(allow_empty, other_code, reading_of(text_column, id_column, url_column, on_null))
    settings = engine_settings(on, engine, with_, ray_address, workers)
    settings.check()
    run_tokens(made, input, out_folder, settings.start(progress()), options)


def _stage(recipe: str, given: dict[str, Any], settings: list[str]) -> "Stage":
    """The stage with a recipe's parameters, those of the command's own options, and ``--set`` on top."""
    import json

    from goldwash.pipeline.recipes.recipe import stage_alone

    own = [f"{key}={json.dumps(value)}" for key, value in given.items()]
    return stage_alone("tokenize", recipe, [*own, *settings], [], notify)


def run_tokens(made: "Stage", names: list[str], out: str, run: Any, options: Any = None) -> None:
    """Run the stage, and say what it made. ``options``: a `flow.Options`."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.storage.inputs import find_shards
    from goldwash.pipeline.storage.sealed import read_sealed

    options = options or flow.Options()
    made.preflight()
    interruption.keeps_work(out)
    show_notes([made])
    step = flow.run_stage(made, find_shards(names, options.reading), out, run, notify, names, options)
    show_steps([step])
    facts = (read_sealed(f"{out}/report.json") or {}).get("facts", {})
    for name, folders in facts.get("sources_in_several_folders", {}).items():
        notify(
            f"warning: {len(folders)} folders ({printable(', '.join(folders[:5]), 200)}) hold documents of the source "
            f"'{printable(name)}' and share its weight: for weights of their own, tokenise each with another source=NAME"
        )
    say()
    for line in _told(facts, made.config(), out):
        say(line)


def _told(facts: dict[str, Any], config: dict[str, Any], out: str) -> Iterator[str]:
    """What was made, in lines."""
    for name, counts in facts.get("sources", {}).items():
        yield f"{name or 'documents'}: {counts['documents']:,} documents, {counts['tokens']:,} tokens"
    if not config["formats"]:
        yield f"token shards: {out}/part-*.parquet; write a format of them, or mix them with others:"
        yield f"{command()} tokenize --input {shlex.quote(out)} ... --out DIR --format openlm"
        return
    rows = f"{facts['rows']:,} documents" if facts["row_tokens"] is None else (
        f"{facts['rows']:,} sequences of {facts['row_tokens']:,} tokens"
    )  # fmt: skip
    yield f"written: {rows}, {facts['tokens_packed']:,} tokens and {facts['padding_tokens']:,} of padding"
    for name in config["formats"]:
        yield f"{name}: {out}/{name}"
    yield f"where a token is from: {out}/provenance.parquet"
    if facts["row_tokens"] is not None:
        yield f"what a step trains on: {command()} where {shlex.quote(out)} STEP --batch SEQUENCES"


@app.command("train-tokenizer")
def train_tokenizer(
    input: Inputs,
    out_file: Annotated[str, typer.Option("--out", help="The tokenizer.json to write.")],
    vocabulary: Annotated[
        int, typer.Option(min=257, help="Tokens, those of single bytes and the special ones included.")
    ] = 32_768,
    most_megabytes: Annotated[
        float, typer.Option("--megabytes", min=0.001, help="MB of text to train on: documents from all over the input.")
    ] = 1000.0,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the choice of documents.")] = 0,
    special: Annotated[list[str], typer.Option("--special", help="A further special token. Several may follow.")] = [],  # noqa: B006
    text_column: TextColumn = "text",
) -> None:
    """Train a byte-level BPE tokenizer on your own documents."""
    from goldwash.pipeline.inspect.summary import size
    from goldwash.pipeline.storage.atomic import write_text
    from goldwash.pipeline.storage.inputs import find_shards
    from goldwash.pipeline.storage.ownership import check_file
    from goldwash.pipeline.storage.source import Reading
    from goldwash.pipeline.tokenization.samples import sample
    from goldwash.pipeline.tokenization.tokenizers import load
    from goldwash.pipeline.tokenization.training import Settings, train

    check_file(out_file, (".json",), input)
    settings = Settings(vocabulary, tuple(special))
    shards = find_shards(input, Reading(text_column))
    interruption.keeps(f"{out_file} is written as a whole, at the end: give the same command again.")
    chosen = sample(shards, int(most_megabytes * 1e6), seed)
    notify(f"training on {chosen.documents:,} documents, {size(chosen.bytes)}")
    write_text(out_file, train(chosen.texts(), settings))
    made = load(out_file)
    ids, _ = made.encode(list(chosen.first()))
    told = sum(len(text.encode()) for text in chosen.first()) / max(len(ids), 1)
    say(f"{out_file}: {made.size:,} tokens; {told:.2f} bytes of text per token")
    say(f"use it: {command()} tokenize --input SHARDS --out DIR --tokenizer {shlex.quote(out_file)}")


@app.command()
def where(
    tokens: Annotated[str, typer.Argument(metavar="TOKENS", help="The --out of `goldwash tokenize`, or RUN:tokenize.")],
    step: Annotated[int | None, typer.Argument(metavar="STEP", help="A step of training, counted from 0.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Sequences per step.")] = 1,
    token: Annotated[str | None, typer.Option(help="One token instead of a step: SHARD:NUMBER, both counted from 0.")] = None,
) -> None:
    """Say which documents a step of training, or a token, is from."""
    from goldwash.pipeline.storage.addresses import located
    from goldwash.pipeline.tokenization.provenance import documents_in, facts_in, spans_of_step
    from goldwash.text_output import printable

    folder = located(tokens)
    facts = facts_in(folder)
    spans = [_span(token, facts)] if token is not None else spans_of_step(facts, _asked(step), batch)
    say("shard  tokens  epoch  score  source  host  id")
    for span in spans:
        for row in documents_in(folder, span).to_pylist():
            start, end = max(row["start"], span.start), min(row["end"], span.end)
            score = "-" if row["score"] is None else f"{row['score']:.6g}"
            told = [printable(row[name] or "-") for name in ("source", "host", "id")]
            say("  ".join([str(row["shard"]), f"{start}-{end}", str(row["epoch"]), score, *told]))


def _asked(step: int | None) -> int:
    from goldwash.pipeline.parameters import RecipeError

    if step is None:
        raise RecipeError("give a STEP, or --token SHARD:NUMBER")
    return step


def _span(token: str, facts: dict[str, Any]) -> Any:
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.tokenization.provenance import Span

    shard, colon, number = token.partition(":")
    if not colon or not (shard.isdigit() and number.isdigit()):
        raise RecipeError(f"--token {token}: expected SHARD:NUMBER, as 0:4096")
    if int(shard) >= len(facts["shards"]) or int(number) >= facts["shards"][int(shard)]["tokens"]:
        sizes = f"{len(facts['shards'])} shards"
        raise RecipeError(f"--token {token}: expected a token of one of the {sizes}, each of which about/tokens.json lists")
    return Span(int(shard), int(number), int(number) + 1)
