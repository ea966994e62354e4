"""``goldwash proxy``: a small transformer trained on the user's texts, to score others by (`topk:FILE.gpt`)."""

from typing import Annotated

import typer

from goldwash.evidence.cli.answers import note

app = typer.Typer()


@app.command()
def proxy(
    positive: Annotated[
        list[str], typer.Option(help="Good texts: files or folders as for `goldwash train --positive`. Several may follow.")
    ],
    out: Annotated[str, typer.Option("--out", help="The folder for model.gpt.")],
    width: Annotated[int, typer.Option("--width", help="Features of a token; a multiple of twice the heads.")] = 64,
    layers: Annotated[int, typer.Option("--layers", help="Blocks.")] = 4,
    heads: Annotated[int, typer.Option("--heads", help="Heads of attention.")] = 4,
    tokens: Annotated[int, typer.Option("--tokens", help="Tokens that are seen in training, with repeats.")] = 1_000_000,
    rate: Annotated[float, typer.Option("--rate", help="The highest learning rate.")] = 3e-3,
    seed: Annotated[int, typer.Option("--seed", help="The seed of parameters and order.")] = 0,
) -> None:
    """Train a small transformer on good texts, for the scorer topk."""
    from goldwash.classifiers.examples import examples
    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.proxies.saved import train_transformer
    from goldwash.pipeline.cli.classifiers import sources
    from goldwash.pipeline.storage.formats.parquet_rows import with_texts

    if tokens < 1 or not 0 < rate < 1:
        raise EvidenceError(f"expected --tokens of at least 1 and a --rate between 0 and 1, found {tokens} and {rate:g}")
    texts = [e.text for path in positive for part in sources(path) for e in examples(part, joined=with_texts)]
    train_transformer(texts, out, (width, layers, heads), tokens, rate, seed, note)
    note(f"use it: goldwash score topk:{out}/model.gpt --input SHARDS --out DIR")
