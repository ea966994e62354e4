"""Embeddings: against wordllama's and model2vec's own code, with encoders of other packages, and with broken files."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers import embeddings
from goldwash.classifiers.embeddings import beginning, embedded, embedding, unit_rows
from goldwash.classifiers.model_file import ModelError
from goldwash.filters.texts import Texts
from tests.support.embeddings import write_embedding

TEXTS = [
    "The river carries gold down from the hills.", "gold", "", "   \n", "Zwölf Boxkämpfer jagen Viktor über den Deich.",
    "数学は楽しい", "the river " * 200, "\U0001f600 \u202e odd",
]  # fmt: skip
WORDS = {"gold": [1.0, 0.0, 0.0], "mud": [0.0, 2.0, 0.0], "river": [0.5, -0.5, 1.0]}


def test_wordllama_is_that_of_its_package():
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama.inference import WordLlamaInference

    weights, tokenizer = embeddings._wordllama()
    theirs = WordLlamaInference(load_file(str(weights))["embedding.weight"], Tokenizer.from_file(str(tokenizer)))
    known = [text for text in TEXTS if text]
    found = embedding("wordllama").embed(known)
    np.testing.assert_allclose(found, theirs.embed(known, norm=True), atol=2e-6)
    assert (found.dtype, found.shape) == (np.float32, (len(known), 256))


@pytest.mark.parametrize("more", ["plain", "weights", "quantised"])
def test_a_model2vec_model_is_that_of_its_package(tmp_path: Path, more: str):
    from model2vec import StaticModel

    tensors = {
        "plain": {},
        "weights": {"weights": np.array([1.0, 0.25, 3.0, 0.5]), "mapping": np.arange(4)},
        "quantised": {"weights": np.array([1.0, 0.25, 3.0, 0.5]), "mapping": np.array([0, 2, 2, 3])},
    }[more]
    folder = write_embedding(tmp_path / "model", WORDS, **tensors)
    texts = ["gold", "mud gold", "river unknown river gold", "unknown", "", "gold " * 100]
    theirs = StaticModel.from_pretrained(str(folder)).encode(texts)
    np.testing.assert_allclose(embedding(str(folder)).embed(texts), theirs, atol=1e-6)


def test_a_text_without_a_known_token_is_zeros(tmp_path: Path):
    model = embedding(str(write_embedding(tmp_path / "model", WORDS)))
    found = embedded(model, Texts.of(["unknown words", "", "gold", "gold mud"]))
    np.testing.assert_allclose(found, [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1 / 5**0.5, 2 / 5**0.5, 0]], atol=1e-7)
    assert embedded(model, Texts.of([])).shape == (0, 3)


@given(st.lists(st.text(), max_size=5), st.integers(1, 20))
def test_a_beginning_is_that_of_the_string(texts, characters):
    rows = Texts.of(texts)
    assert [beginning(rows, n, characters) for n in range(len(texts))] == [text[:characters] for text in texts]


def test_only_the_beginning_counts(tmp_path: Path):
    model = embedding(str(write_embedding(tmp_path / "model", WORDS)))
    one, other = embedded(model, Texts.of(["gold " + "mud " * 50, "gold mu"]), 7)
    np.testing.assert_array_equal(one, other)


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), max_size=4))
def test_unit_rows_have_length_one(values):
    found = unit_rows(np.array(values, np.float64).reshape(-1, 3))
    for row, given_ in zip(found, values, strict=True):
        size = sum(x * x for x in given_)
        assert np.linalg.norm(row) == pytest.approx(1 if size > 0 else 0, abs=1e-6)


FAULTS = {
    "no tensors": (lambda f: f.joinpath("model.safetensors").write_bytes(b"x"), r"not a whole file of safetensors"),
    "cut off": (
        lambda f: f.joinpath("model.safetensors").write_bytes(f.joinpath("model.safetensors").read_bytes()[:-5]),
        r"not a whole file of safetensors",
    ),
    "no tokenizer": (lambda f: f.joinpath("tokenizer.json").write_text("{}"), r"not a whole tokenizer"),
    "missing": (lambda f: f.joinpath("tokenizer.json").unlink(), r"missing: tokenizer\.json"),
    "bad settings": (lambda f: f.joinpath("config.json").write_text("{"), r"not a whole tokenizer"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_models(tmp_path: Path, fault: str):
    folder = write_embedding(tmp_path / "model", WORDS)
    breaks, message = FAULTS[fault]
    breaks(folder)
    with pytest.raises(ModelError, match=message):
        embedding(str(folder))


def test_a_table_of_another_tokenizer(tmp_path: Path):
    one, other = write_embedding(tmp_path / "one", WORDS), write_embedding(tmp_path / "two", {"gold": [1.0], "mud": [2.0]})
    (one / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"has vectors for 3 tokens, and its tokenizer has 4: the files are of two models"):
        embedding(str(one))


def test_other_tensors(tmp_path: Path):
    from safetensors.numpy import save_file

    folder = write_embedding(tmp_path / "model", WORDS)
    save_file({"odd\x1bname": np.zeros(3, np.float32)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"holds odd\\x1bname: expected a matrix called embeddings"):
        embedding(str(folder))


def test_wordllama_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'goldwash\[semantic\]'"):
        embedding("wordllama")


@pytest.mark.parametrize("place", ["nowhere", "hf", "words", ""])
def test_no_such_embedding(place):
    with pytest.raises(ModelError, match="expected wordllama, fastembed:NAME, sentence-transformers:NAME, hf://OWNER/REPO"):
        embedding(place)


@pytest.fixture
def encoders(monkeypatch):
    """Stand-ins for fastembed and sentence-transformers, with their interfaces."""
    made: dict[str, list[object]] = {"calls": []}

    def vectors(texts):
        made["calls"].append(list(texts))
        width = made.get("width", 4)
        return [np.full(width, 1.0 + len(text), np.float32) for text in texts]

    class TextEmbedding:
        def __init__(self, model_name, threads=None):
            if model_name == "unknown":
                raise ValueError(f"Model {model_name} is not supported")
            assert threads == 1

        def embed(self, documents, batch_size=256):
            yield from vectors(documents)

    class SentenceTransformer:
        def __init__(self, name):
            pass

        def encode(self, sentences, show_progress_bar=None):
            assert show_progress_bar is False
            return np.stack(vectors(sentences))

    for name, kind in (("fastembed", TextEmbedding), ("sentence_transformers", SentenceTransformer)):
        module = types.ModuleType(name)
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(embeddings, "version", lambda package: "1.2")
    embeddings._encoder.cache_clear()
    yield made
    embeddings._encoder.cache_clear()


@pytest.mark.parametrize("kind", ["fastembed", "sentence-transformers"])
def test_an_encoder_of_another_package(encoders, kind):
    model = embedding(f"{kind}:BAAI/bge-small-en-v1.5")
    assert model.dimension == 4
    found = model.embed(["gold", "", "  ", "mud"])
    np.testing.assert_allclose(found, [[0.5] * 4, [0] * 4, [0] * 4, [0.5] * 4])
    assert encoders["calls"][-1] == ["gold", "mud"]
    assert model.versions() == {kind: "1.2", "embedding": "BAAI/bge-small-en-v1.5"}
    encoders["width"] = 5
    with pytest.raises(ModelError, match=r"gave numbers of shape \(1, 5\) for 1 texts; expected finite ones of shape \(1, 4\)"):
        model.embed(["gold"])


def test_an_encoder_that_cannot_be_loaded(encoders, monkeypatch):
    with pytest.raises(ModelError, match=r"fastembed:unknown cannot be loaded \(ValueError: Model unknown is not supported\)"):
        embedding("fastembed:unknown")
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(ModelError, match="pip install fastembed"):
        embedding("fastembed:another")


def test_files_decide_the_versions(tmp_path: Path):
    folder = write_embedding(tmp_path / "model", WORDS)
    before = embedding(str(folder)).versions()
    write_embedding(folder, {**WORDS, "gold": [1.0, 0.0, 0.5]})
    after = embedding(str(folder)).versions()
    assert before["embedding"] != after["embedding"]
    assert embedding(str(folder)).embed(["gold"])[0, 2] > 0
    assert json.loads((folder / "config.json").read_text())["hidden_dim"] == 3
