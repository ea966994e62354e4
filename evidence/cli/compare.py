"""``goldwash compare``: which dataset teaches more, measured in bits per byte of target texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldwash.evidence.cli.answers import Answers, note, write
from goldwash.pipeline.cli.options import TextColumn

if TYPE_CHECKING:
    from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
    from goldwash.evidence.compare.documents import Named
    from goldwash.evidence.compare.experiment import Comparison, Settings
    from goldwash.evidence.compare.learners import Learner

app = typer.Typer()

Targets = Annotated[
    list[str],
    typer.Option(
        "--targets",
        help="Texts to predict, as PLACE or NAME=PLACE: files of texts, a run, a stage, mmlu or another benchmark known by "
        "name, or sample. Several may follow.",
    ),
]
Proxy = Annotated[
    list[str], typer.Option("--proxy", help="What is trained: ngram (no extra), gpt (extra proxy: JAX), or both.")
]
Size = Annotated[str, typer.Option("--size", help="gpt: 0.5M, 1M, 2M, 4M, 8M, 15M or 30M parameters.")]
Rates = Annotated[
    list[float] | None,
    typer.Option("--rate", help="gpt: learning rates, 1e-3 ... 1e-5; several may follow, and a flip of the ranking is said."),
]
Order = Annotated[int, typer.Option("--order", help="ngram: the longest n-gram.")]
Budget = Annotated[
    str | None,
    typer.Option("--tokens", help="Tokens of each sample, as 2M. Without it, half of the smallest dataset; at most 2M."),
]
Seeds = Annotated[int, typer.Option("--seeds", help="Samples per dataset.")]
Seed = Annotated[int, typer.Option("--seed", help="The first seed.")]
Points = Annotated[int, typer.Option("--points", help="Budgets on the curve, each twice the one before.")]
Repeats = Annotated[float, typer.Option("--repeats", help="Passes over each sample.")]
RunTokens = Annotated[
    str | None,
    typer.Option("--run-tokens", help="Tokens of the large run: a dataset that has fewer is repeated here as often as there."),
]
Vocabulary = Annotated[int, typer.Option("--vocabulary", help="Tokens of the tokenizer that is trained on the datasets.")]
TokenizerFile = Annotated[
    str | None, typer.Option("--tokenizer", help="A byte-level tokenizer.json to use instead, for all datasets.")
]
Kinds = Annotated[bool, typer.Option("--kinds", help="Also by kind of bytes: prose, digits, URLs, white space, non-ASCII.")]
Overlap = Annotated[
    float,
    typer.Option("--overlap", help="Leave out a target text if a dataset holds this fraction of its words, in runs of 13."),
]
Page = Annotated[str | None, typer.Option("--out", help="Write a page with tables and curves to this .html file.")]
Save = Annotated[
    str | None,
    typer.Option("--save", help="Write the models of the first seed to this folder: .ngram for perplexity:, .gpt for topk:."),
]
Json = Annotated[str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for stdout.")]


@app.command()
def compare(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="A=PLACE B=PLACE...", help="Datasets: runs, stages, folders or files. Others are compared to the first."
        ),
    ],
    targets: Targets,
    proxy: Proxy = ["ngram"],  # noqa: B006
    size: Size = "0.5M",
    rate: Rates = None,
    order: Order = 5,
    tokens: Budget = None,
    seeds: Seeds = 5,
    seed: Seed = 0,
    points: Points = 6,
    repeats: Repeats = 1.0,
    run_tokens: RunTokens = None,
    vocabulary: Vocabulary = 4096,
    tokenizer: TokenizerFile = None,
    kinds: Kinds = False,
    overlap: Overlap = 0.5,
    text_column: TextColumn = "text",
    out: Page = None,
    save: Save = None,
    json: Json = None,
) -> None:
    """Compare datasets: train small models on equal samples of each, and measure target texts in bits per byte."""
    from dataclasses import replace

    from goldwash.evidence.compare import experiment, report

    check_page(out)
    settings = settings_of(tokens, seeds, seed, points, repeats, run_tokens, vocabulary, overlap)
    given = [replace(named(text, "dataset"), column=text_column) for text in datasets]
    if save is not None:
        Path(save).mkdir(parents=True, exist_ok=True)
    made = tokenizer_at(tokenizer)
    data = experiment.gather(given, [named(text, "target") for text in targets], settings, note, made)
    found = experiment.compare(data, learners_of(proxy, size, rate, order, data.tokenizer.vocab), settings, note, save)
    answers = Answers(quiet=json == "-")
    answers.values.update(report.values(found))
    show(answers, found, kinds)
    if out is not None:
        write(out, report.page(found, "goldwash compare", kinds))
    answers.finish(json)


def show(answers: Answers, found: "Comparison", kinds: bool) -> None:
    """The tables and sentences of a comparison."""
    from goldwash.evidence.compare import report

    answers.say(report.headline(found))
    for one in report.tables(found, kinds):
        answers.say()
        answers.say(one.title)
        answers.table(one.columns, one.rows)
    answers.say()
    for line in report.sentences(found):
        answers.say(line)


def check_page(out: str | None) -> None:
    """Refuse a page that is no HTML, before anything is trained."""
    from goldwash.evidence.errors import EvidenceError

    if out is not None and not out.endswith(".html"):
        raise EvidenceError(f"--out: expected an .html file, found {out}")


def named(text: str, what: str) -> "Named":
    """NAME=PLACE, or a place, whose name is the last part without its ending. Raises `EvidenceError` for an empty one."""
    from goldwash.evidence.compare.documents import Named
    from goldwash.evidence.errors import EvidenceError

    name, equals, place = text.partition("=")
    if not equals or "/" in name or ":" in name:  # a path or a URL may hold an equals sign
        name, place = Path(text.rstrip("/")).name.partition(".")[0], text
    if not name.strip() or not place.strip():
        raise EvidenceError(f"{what}: expected NAME=PLACE, found {text!r}")
    return Named(name.strip(), (place,))


def settings_of(
    tokens: str | None,
    seeds: int,
    seed: int,
    points: int,
    repeats: float,
    run_tokens: str | None,
    vocabulary: int,
    overlap: float,
) -> "Settings":
    """The settings that options name."""
    from goldwash.evidence.compare.experiment import Settings
    from goldwash.evidence.quantities import quantity

    budget = int(quantity(tokens, "--tokens")) if tokens is not None else None
    run = quantity(run_tokens, "--run-tokens") if run_tokens is not None else None
    return Settings(budget, seeds, seed, points, repeats, run, vocabulary, overlap)


def tokenizer_at(path: str | None) -> "ByteTokenizer | None":
    """The tokenizer of a file; None where no file is named."""
    from goldwash.classifiers.ngram.tokenizer import ByteTokenizer

    return ByteTokenizer.load(path) if path is not None else None


def learners_of(proxies: Sequence[str], size: str, rates: Sequence[float] | None, order: int, vocab: int) -> "list[Learner]":
    """The learners that options name. Raises `EvidenceError` for an unknown proxy, and where JAX is not installed."""
    from goldwash.evidence.compare.learners import Ngrams, Transformer
    from goldwash.evidence.errors import EvidenceError

    out: list[Learner] = []
    for proxy in dict.fromkeys(proxies):
        if proxy == "ngram":
            out.append(Ngrams(vocab, order))
        elif proxy == "gpt":
            from goldwash.evidence.proxies import gpt  # noqa: F401  (says early that JAX is missing)

            out += [Transformer(vocab, size, rate) for rate in rates or [1e-3]]
        else:
            raise EvidenceError(f"--proxy: expected ngram or gpt, found {proxy!r}")
    return out
