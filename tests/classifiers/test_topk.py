"""Top-k: the share of the k likeliest tokens against plain loops, windows, and models of transformers (tiny, at random)."""

import json
import math
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldwash.classifiers import topk as kind
from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.topk import TopK, log_share, topk
from goldwash.filters.texts import Texts


@dataclass(frozen=True)
class Little:
    """A language model of bytes below 16, whose logits depend on all tokens before."""

    window: int = 8
    odd: str = ""
    file_name = None

    def ids(self, text):
        return np.array([ord(c) % 16 for c in text], np.int64)

    def logits(self, ids):
        sums = np.cumsum(ids, axis=1)[..., None]
        found = np.sin(sums * np.arange(1, 17) + ids[..., None]) * 3
        return found[:, :-1] if self.odd == "short" else np.full_like(found, np.nan) if self.odd == "nan" else found

    def versions(self):
        return {"little": "1"}

    def save(self, path):
        raise AssertionError("has no file")


def plain(text, model, k, tokens):
    """The score by loops: each token but the first is predicted from the tokens before it in its window."""
    ids = model.ids(text)[:tokens].tolist()
    logs = []
    for start in range(0, len(ids) - 1, model.window - 1):
        window = ids[start : start + model.window]
        for n in range(1, len(window)):
            logits = model.logits(np.array([window[:n]]))[0, -1].tolist()
            parts = sorted((math.exp(x) for x in logits), reverse=True)
            logs.append(math.log(math.fsum(parts[:k]) / math.fsum(parts)))
    return math.fsum(logs) / len(logs) if logs else math.nan


@given(st.lists(st.text(max_size=40), max_size=6), st.integers(1, 20), st.integers(2, 9), st.integers(1, 50))
def test_the_score_is_that_of_plain_loops(texts, k, window, tokens):
    model = Little(window)
    found = TopK(model, k, tokens).measure(Texts.of(texts), None)
    wanted = [plain(text, model, k, tokens) for text in texts]
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert not len(found) or np.nanmax(found, initial=-1.0) <= 0


@given(arrays(np.float64, (3, 7), elements=st.floats(-700, 700)), st.integers(1, 9))
def test_the_share_does_not_overflow(logits, k):
    found = log_share(logits, k)
    for row, value in zip(logits, found, strict=True):
        largest = max(row)
        parts = sorted((math.exp(x - largest) for x in row), reverse=True)
        assert value == pytest.approx(math.log(math.fsum(parts[:k]) / math.fsum(parts)), abs=1e-9)
        assert value <= 0


def test_padding_and_neighbours_do_not_matter():
    texts = ["a", "abcdefghijklmnop", "", "xy" * 30, "abc"]
    together = TopK(Little()).measure(Texts.of(texts), None)
    alone = [TopK(Little()).measure(Texts.of([text]), None)[0] for text in texts]
    np.testing.assert_array_equal(together, alone)
    assert np.isnan(together[[0, 2]]).all()


@pytest.mark.parametrize("odd", ["short", "nan"])
def test_a_model_that_gives_other_logits(odd):
    with pytest.raises(ModelError, match=r"the language model gave logits of shape .*expected finite numbers for each token"):
        TopK(Little(odd=odd)).measure(Texts.of(["abc"]), None)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A causal model of transformers with random weights and a tokenizer of words."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'goldwash[hf]'")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'goldwash[hf]'")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    folder = tmp_path_factory.mktemp("tiny")
    words = ["<unk>", *[f"w{n}" for n in range(30)]]
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=31, n_positions=16, n_embd=8, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None,
        initializer_range=0.5,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_a_model_of_transformers(tiny):
    import torch
    from transformers import AutoModelForCausalLM

    texts = ["w1 w2 w3 w4", " ".join(f"w{n % 30}" for n in range(40)), "w1", "", "odd words"]
    found = topk(f"{tiny}#k=3&tokens=37", None).measure(Texts.of(texts), None)
    network = AutoModelForCausalLM.from_pretrained(tiny).eval()
    for value, text in zip(found, texts, strict=True):
        ids = [int(w[1:]) + 1 if w[0] == "w" and w[1:].isdigit() else 0 for w in text.split()][:37]
        logs = []
        for start in range(0, len(ids) - 1, 15):
            window = ids[start : start + 16]
            with torch.no_grad():
                shares = torch.softmax(network(torch.tensor([window])).logits[0].double(), -1)
            logs += [math.log(sum(sorted(row.tolist())[-3:])) for row in shares[: len(window) - 1]]
        assert value == pytest.approx(sum(logs) / len(logs), abs=1e-5) if logs else math.isnan(value)


def test_files_decide_the_versions(tiny):
    found = topk(str(tiny), None).versions()
    assert {"torch", "transformers", "model.safetensors", "config.json"} <= set(found)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", r"the model nowhere cannot be loaded"), ("MODEL#k=0", "topk: k is 0; expected a number above 0"),
        ("MODEL#k=x", "topk: k is 'x'; expected a whole number"),
        ("MODEL#top=3", "'top=3' is no setting; expected k=… or tokens=…"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be(tiny, address, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=message):
        topk(address.replace("MODEL", str(tiny)), None)


def test_a_folder_that_is_no_model(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no such model"}))
    with pytest.raises(ModelError, match=r"cannot be loaded .*give a folder with a causal model and its tokenizer"):
        topk(str(tmp_path), None)


def test_transformers_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    kind.causal.cache_clear()
    with pytest.raises(ModelError, match=r"needs transformers and PyTorch .*pip install 'goldwash\[hf\]'"):
        topk("another", None)
