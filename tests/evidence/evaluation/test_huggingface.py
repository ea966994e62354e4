"""Hugging Face models as scorers: tiny ones with random weights, against a loop that predicts one token at a time."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.huggingface import CausalModel, boundary

TEXTS = [
    "the gold is in the river",
    "a pan washes the sand away",
    "Question: where is the gold?\nAnswer: in the sand",
    "é 金",
] * 5
PAIRS = [
    ("the gold", " is in the river"), ("the", " gold"), ("a pan washes the san", "d away"), ("é", " 金"),
    ("", " the river"), ("", "x"), ("Question: where is the gold?\nAnswer:", " in the sand, in the river, in the pan"),
]  # fmt: skip


def test_where_a_continuation_begins() -> None:
    assert boundary([1, 2], [1, 2, 3, 4]) == 2
    assert boundary([1, 2], [1, 9, 4]) == 1
    assert boundary([], [1]) == 0
    assert boundary([1, 2], [1, 2]) == 2


def model(folder: Path, kind: str, begin: bool = False, vocabulary: int | None = None, context: int = 64) -> str:
    """A model of two layers and its byte-level tokenizer, saved as `from_pretrained` reads them."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, special_tokens=["<end>"], initial_alphabet=alphabet))
    if begin:
        made.post_processor = processors.TemplateProcessing(single="<end> $A", special_tokens=[("<end>", 0)])
    special: dict[str, Any] = {"bos_token": "<end>"} if begin else {}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", **special).save_pretrained(folder)
    size = vocabulary or made.get_vocab_size()
    torch.manual_seed(0)
    if kind == "gpt2":
        config = transformers.GPT2Config(vocab_size=size, n_positions=context, n_embd=16, n_layer=2, n_head=2)
        transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        config = transformers.LlamaConfig(
            vocab_size=size, max_position_embeddings=context, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2,
        )  # fmt: skip
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def twin(scorer: CausalModel, context: str, continuation: str, begin: bool) -> float:
    """One token at a time, from nothing but the tokens before it."""
    torch = scorer.torch
    before = scorer.tokenizer(context, add_special_tokens=False)["input_ids"]
    whole = scorer.tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
    start = boundary(before, whole)
    if begin or start == 0:
        whole, start = [0, *whole], start + 1
    total = 0.0
    for at in range(start, len(whole)):
        with torch.no_grad():
            logits = scorer.model(input_ids=torch.tensor([whole[:at]])).logits[0, -1].double().numpy()
        total += logits[whole[at]] - (logits.max() + math.log(np.exp(logits - logits.max()).sum()))
    return total


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("begin", [False, True])
def test_likelihoods_are_those_of_one_token_at_a_time(tmp_path: Path, kind: str, begin: bool) -> None:
    scorer = CausalModel(model(tmp_path, kind, begin))
    found = scorer.log_likelihoods(PAIRS)
    expected = [twin(scorer, context, continuation, begin) for context, continuation in PAIRS]
    assert found == pytest.approx(expected, abs=1e-4)
    alone = [float(scorer.log_likelihoods([pair])[0]) for pair in PAIRS]
    assert found == pytest.approx(alone, abs=1e-4)


def test_a_context_that_is_too_long_is_cut_at_its_start(tmp_path: Path) -> None:
    scorer = CausalModel(model(tmp_path, "llama", context=16))
    pair = ("a pan washes the sand away " * 8, "the river")
    ids = scorer.tokenizer(pair[0] + pair[1], add_special_tokens=False)["input_ids"][-16:]
    text = scorer.tokenizer.decode(ids)
    assert text.endswith("the river")
    short = text.removesuffix("the river")
    assert scorer.log_likelihoods([pair])[0] == pytest.approx(scorer.log_likelihoods([(short, "the river")])[0], abs=1e-4)
    with pytest.raises(EvidenceError, match="does not fit the model's context of 16"):
        scorer.log_likelihoods([("a", " river" * 40)])


def test_a_tokenizer_of_another_model_and_folders_without_a_model(tmp_path: Path) -> None:
    scorer = CausalModel(model(tmp_path / "small", "gpt2", vocabulary=100))
    with pytest.raises(EvidenceError, match="another model's"):
        scorer.log_likelihoods([("the gold", " is in the river")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvidenceError, match="cannot load the model"):
        CausalModel(str(tmp_path / "empty"))


def test_the_command_on_a_task_file(tmp_path: Path) -> None:
    from tests.evidence.cli.test_commands import answers

    folder = model(tmp_path / "model", "llama")
    rows = [{"query": "the gold is in the", "choices": ["river", "pan", "sky"], "gold": i % 3} for i in range(12)]
    (tmp_path / "task.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = answers("evaluate", "--items", str(tmp_path / "task.jsonl"), "--model", folder)["choices"]["task"]
    assert found["items"] == 12
    assert found["accuracy"] == pytest.approx(1 / 3)  # one of three is always the likeliest, and each is right in turn
    assert found["chance"] == pytest.approx(1 / 3)
    assert 0 < found["bits_per_byte"] < 20
