"""A small transformer that is trained on texts and kept: the language model of `topk:FILE.gpt`.

Invariants: tokens are numbered as `goldwash.classifiers.transformer` says. Equal texts, settings and seeds give an equal file
on one machine. Rows are windows of the texts, one after the other, in a new random order in each pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.classifiers.train import published
from goldwash.classifiers.transformer import BLOCK, Transformer
from goldwash.evidence.errors import EvidenceError
from goldwash.filters.texts import Texts

ROWS, LENGTH = 16, 128
VOCABULARY = 4096

Notify = Callable[[str], None]


def train_transformer(
    texts: Sequence[str],
    out: str | Path,
    shape: tuple[int, int, int] = (64, 4, 4),
    tokens: int = 1_000_000,
    rate: float = 3e-3,
    seed: int = 0,
    notify: Notify = lambda _: None,
) -> Transformer:
    """Train on texts, and write ``model.gpt`` into the folder ``out``; ``shape``: width, layers and heads.

    ``tokens``: how many are seen, with repeats. Raises `EvidenceError` without JAX, for texts without a token, and where
    training diverges.
    """
    from goldwash.evidence.proxies import gpt

    unique = sorted({text for text in texts if text})
    if not unique:
        raise EvidenceError("there is no text to train on: give other files")
    tokenizer = ByteTokenizer.train(unique, VOCABULARY)
    stream = _stream(unique, tokenizer)
    steps = max(1, tokens // (ROWS * LENGTH))
    width, layers, heads = shape
    notify(f"training on {len(stream):,} tokens of {len(unique):,} texts: {steps:,} steps of {ROWS * LENGTH:,} tokens")
    made = gpt.Shape(tokenizer.vocab + 2, width, layers, heads)
    params, losses = gpt.train(
        made, batches(stream, ROWS, LENGTH, np.random.default_rng(seed)), steps, gpt.Settings(rate=rate), seed
    )
    notify(f"loss {losses[0]:.2f} at the first step, {losses[-min(len(losses), 20) :].mean():.2f} over the last")
    found = kept(params, heads, LENGTH, tokenizer)
    with published(out, ("model.gpt",)) as halves:
        found.save(halves / "model.gpt")
    return found


def kept(params: Mapping[str, Any], heads: int, window: int, tokenizer: ByteTokenizer) -> Transformer:
    """The parameters of `evidence.proxies.gpt` as a transformer that is saved and scores without JAX."""
    arrays = {name: np.asarray(params[name], np.float32) for name in ("embedding", "norm")}
    arrays |= {f"{n}.{name}": np.asarray(block[name], np.float32) for n, block in enumerate(params["blocks"]) for name in BLOCK}
    return Transformer(arrays, heads, window, tokenizer)


def _stream(texts: Sequence[str], tokenizer: ByteTokenizer) -> NDArray[np.int32]:
    """The texts' ids, one text after the other, each after an end: ``int32[*]``."""
    parts = [np.zeros(0, np.int32)]
    for k in range(0, len(texts), 1000):
        some = Texts.of(texts[k : k + 1000])
        ids, offsets = tokenizer.encode(some)
        parts.append(np.insert(ids.astype(np.int32) + 1, offsets[:-1], tokenizer.vocab + 1))
    return np.concatenate(parts)


def batches(stream: NDArray[np.int32], rows: int, length: int, random: np.random.Generator) -> Iterator[NDArray[np.int32]]:
    """Batches of ``int32[rows, length + 1]`` without end: passes over the stream's windows, in a new order of windows each."""
    count = max(1, len(stream) // length)
    stream = np.resize(stream, count * length + 1)
    held = np.zeros((0, length + 1), np.int32)
    while True:
        while len(held) < rows:
            starts = random.permutation(count) * length
            held = np.concatenate([held, stream[starts[:, None] + np.arange(length + 1)]])
        yield held[:rows]
        held = held[rows:]
