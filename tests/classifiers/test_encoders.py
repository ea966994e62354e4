"""Encoders by the real packages sentence-transformers and fastembed, with tiny models that are built here, offline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from goldwash.classifiers import embeddings
from goldwash.classifiers.embeddings import embedded, embedding, unit_rows
from goldwash.classifiers.examples import Example
from goldwash.classifiers.linear import train_head
from goldwash.classifiers.measures import MeasureScorer
from goldwash.filters.texts import Texts

WORDS = ["[PAD]", "[UNK]", *(f"w{n}" for n in range(30))]
TEXTS = ["w1 w2 w3", "w4", "", "w5 w1 " * 40, "unknown w7", " \n"]


@pytest.fixture(autouse=True)
def no_memory():
    """Encoders are kept per process: each test makes its own."""
    embeddings._encoder.cache_clear()
    yield
    embeddings._encoder.cache_clear()


def words() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return tokenizer


def numbers(text: str, most: int) -> list[int]:
    return [WORDS.index(word) if word in WORDS else 1 for word in text.split()][:most]


def test_sentence_transformers(tmp_path: Path) -> None:
    """The mean of a BERT's last layer, computed by PyTorch without the package."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make readers")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: make readers")
    package = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed: make readers")
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32,
    )  # fmt: skip
    network = transformers.BertModel(config).eval()
    network.save_pretrained(tmp_path / "bert")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words(), unk_token="[UNK]", pad_token="[PAD]", model_max_length=32
    ).save_pretrained(tmp_path / "bert")
    layer = Transformer(str(tmp_path / "bert"))
    package.SentenceTransformer(modules=[layer, Pooling(8, pooling_mode="mean")], device="cpu").save(str(tmp_path / "model"))

    def mean(text: str) -> Any:
        with torch.no_grad():
            return network(torch.tensor([numbers(text, 32)])).last_hidden_state[0].mean(0).numpy()

    found = embedded(embedding(f"sentence-transformers:{tmp_path / 'model'}"), Texts.of(TEXTS))
    check(found, mean)
    scores(f"sentence-transformers:{tmp_path / 'model'}", tmp_path)


def test_fastembed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of a table's rows, as an ONNX model in the folder where fastembed keeps what it has fetched."""
    fastembed = pytest.importorskip("fastembed", reason="fastembed is not installed: make readers")
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: make readers")
    from fastembed.common.model_description import ModelSource, PoolingType

    table = np.random.RandomState(0).standard_normal((len(WORDS), 4)).astype(np.float32)
    folder = tmp_path / "tiny"
    folder.mkdir()
    onnx.save(_gathering(onnx, table), folder / "model.onnx")
    words().save(str(folder / "tokenizer.json"))
    for name, facts in {
        "config": {"pad_token_id": 0},
        "tokenizer_config": {"model_max_length": 32, "pad_token": "[PAD]"},
        "special_tokens_map": {"pad_token": "[PAD]", "unk_token": "[UNK]"},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(facts))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    fastembed.TextEmbedding.add_custom_model(
        "goldwash/tiny", PoolingType.MEAN, True, ModelSource(url="http://localhost/tiny"), 4, "model.onnx"
    )
    found = embedded(embedding("fastembed:goldwash/tiny"), Texts.of(TEXTS))
    check(found, lambda text: table[numbers(text, 32)].mean(0))
    scores("fastembed:goldwash/tiny", tmp_path)


def _gathering(onnx: Any, table: np.ndarray) -> Any:
    """An ONNX model that looks tokens up in a table."""
    from onnx import TensorProto, helper, numpy_helper

    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"]) for name in names]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["rows", "length", table.shape[1]])
    node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([node], "tiny", inputs, [output], [numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def check(found: np.ndarray, mean: Any) -> None:
    """Rows of length 1 in the direction of the mean; zeros for texts without a word."""
    for row, text in zip(found, TEXTS, strict=True):
        wanted = unit_rows(np.asarray(mean(text))[None])[0] if text.strip() else np.zeros(found.shape[1])
        np.testing.assert_allclose(row, wanted, atol=1e-5)


def scores(place: str, folder: Path) -> None:
    """A head on the embedding is trained, and scores by the address of the recipe."""
    sides = [[Example(f"w{k} w{k + 1} w{k + n % 3}", "a") for n in range(9)] for k in (2, 20)]
    report = train_head(*sides, place, folder / "head")
    package = place.partition(":")[0]
    assert report["embedding"][package]
    texts = Texts.of(["w2 w3", "w20 w21", ""])
    values = MeasureScorer("embedding", str(folder / "head" / "model.head")).columns(texts, None)
    one, other, none = values["embedding_probability"].to_pylist()
    assert one > 0.5 > other
    assert none is None
