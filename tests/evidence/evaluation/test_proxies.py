"""Saved proxies as scorers of choices, against a loop that predicts one token at a time."""

import json
from pathlib import Path

import numpy as np
import pytest

from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.classifiers.transformer import Transformer
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.huggingface import boundary
from goldwash.evidence.evaluation.proxies import Proxy
from tests.evidence.cli.test_commands import answers

TEXTS = ["the gold is in the river", "a pan washes the sand away", "é 金 in the hills"] * 20
PAIRS = [("the gold", " is in the river"), ("a pan washes the san", "d away"), ("é", " 金"), ("", "x"), ("", " the river")]


def saved(folder: Path, window: int = 64) -> str:
    """A transformer of random weights, width 8, two blocks."""
    tokenizer = ByteTokenizer.train(TEXTS, 300)
    generator, d = np.random.default_rng(0), 8

    def normal(*shape: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        return generator.normal(0, 0.5, shape).astype(np.float32)

    parameters = {"embedding": normal(tokenizer.vocab + 2, d), "norm": np.ones(d, np.float32)}
    for n in range(2):
        parameters |= {f"{n}.attention_norm": np.ones(d, np.float32), f"{n}.qkv": normal(d, 3 * d), f"{n}.out": normal(d, d)}
        parameters |= {f"{n}.mlp_norm": np.ones(d, np.float32), f"{n}.up": normal(d, 4 * d), f"{n}.down": normal(4 * d, d)}
    path = folder / "model.gpt"
    Transformer(parameters, 2, window, tokenizer).save(path)
    return str(path)


def test_likelihoods_are_those_of_one_token_at_a_time(tmp_path: Path) -> None:
    scorer = Proxy(saved(tmp_path))
    found = scorer.log_likelihoods(PAIRS)
    for value, (context, continuation) in zip(found, PAIRS, strict=True):
        before, whole = scorer.model.ids(context), scorer.model.ids(context + continuation)
        total = 0.0
        for at in range(max(boundary(before.tolist(), whole.tolist()), 1), len(whole)):
            logits = scorer.model.logits(whole[None, :at])[0, -1].astype(np.float64)
            total += logits[whole[at]] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
        assert value == pytest.approx(total, abs=1e-3)


def test_long_contexts_are_cut_and_long_choices_refused(tmp_path: Path) -> None:
    scorer = Proxy(saved(tmp_path, window=12))
    assert scorer.log_likelihoods([("a pan washes the sand away " * 9, "the river")])[0] < 0
    with pytest.raises(EvidenceError, match="does not fit the model's window of 12"):
        scorer.log_likelihoods([("a", " river" * 40)])
    (tmp_path / "broken.gpt").write_bytes(b"nothing")
    with pytest.raises(EvidenceError, match="not a whole transformer"):
        Proxy(str(tmp_path / "broken.gpt"))


def test_the_command(tmp_path: Path) -> None:
    rows = [{"query": "the gold is in the", "choices": ["river", "pan"], "gold": i % 2} for i in range(10)]
    (tmp_path / "task.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = answers("evaluate", "--items", str(tmp_path / "task.jsonl"), "--model", saved(tmp_path))["choices"]["task"]
    assert (found["items"], found["accuracy"]) == (10, 0.5)
    assert found["bits_per_byte"] > 0
