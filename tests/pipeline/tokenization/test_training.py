"""Training a tokenizer on documents."""

import json

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.html.extractors import resiliparse
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.sample.crawl import pages
from goldwash.pipeline.tokenization.tokenizers import MODELS, load
from goldwash.pipeline.tokenization.training import Settings, train
from tests.pipeline.conftest import shard

TEXTS = [f"The miners of camp {n} found gold in the gravel; the café counted {n * n} nuggets." for n in range(400)]


@pytest.fixture(scope="module")
def trained() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(train(TEXTS, Settings(390, ("<|pad|>",))))


@given(st.text())
def test_every_text_comes_back(trained, text):
    trained.encode_special_tokens = True
    assert trained.decode(trained.encode(text).ids, skip_special_tokens=False) == text


def test_what_it_has(trained):
    assert trained.get_vocab_size() == 390
    assert [trained.token_to_id(token) for token in ("<|endoftext|>", "<|pad|>")] == [0, 1]
    assert train(TEXTS, Settings(390, ("<|pad|>",))) == train(iter(TEXTS), Settings(390, ("<|pad|>",)))


def test_the_built_in_tokenizer_is_the_sample_crawls():
    """`MODELS` has what this code makes of the sample crawl, whose pages about Python differ by its version."""
    texts = [resiliparse(page.html.decode("utf-8", "replace")) for page in pages() if page.status == 200]
    made, held = json.loads(train(texts, Settings(4096))), json.loads((MODELS / "goldwash.json").read_text("utf-8"))
    merges, kept = ({tuple(pair) for pair in each["model"]["merges"]} for each in (made, held))
    assert len(merges & kept) > 0.95 * len(kept)
    assert {key: value for key, value in made.items() if key != "model"} == {k: v for k, v in held.items() if k != "model"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 256}, "vocabulary is 256; expected 257 or more"),
        ({"vocabulary": 257, "specials": ("<a>",)}, "expected 258 or more: 256 bytes and 2 special tokens"),
        ({"specials": ("<a>", "<a>")}, "expected distinct ones"),
        ({"specials": ("<|endoftext|>",)}, "expected distinct ones beside"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(RecipeError, match=message):
        Settings(**settings)


def test_too_little_text_for_a_vocabulary():
    with pytest.raises(RecipeError, match=r"the texts give \d+ tokens, and 32,768 were asked for: give --vocabulary \d+, or"):
        train(["gold and gold"], Settings())


def test_the_command(cli, tmp_path):
    for n in range(2):
        shard(tmp_path / "in" / f"{n}.parquet", TEXTS[n * 200 : n * 200 + 200])
    out = tmp_path / "mine.json"
    code, printed, error = cli("train-tokenizer", "--input", tmp_path / "in", "--out", out, "--vocabulary", 390)
    assert code == 0, error
    assert "390 tokens" in printed
    assert load(str(out)).size == 390
    code, printed, error = cli(
        "train-tokenizer", "--input", tmp_path / "in", "--out", tmp_path / "part.json", "--vocabulary", 300, "--megabytes", 0.01
    )
    assert code == 0, error
    assert "training on 1" in error
    done = cli(
        "tokenize", "--input", tmp_path / "in", "--out", tmp_path / "t", "--tokenizer", out, "--format", "llmc", "--workers", 1
    )
    assert done[0] == 0, done[2]
    assert "documents: 400 documents" in done[1]
    again = cli("export", tmp_path / "t", "--format", "mds", "--out", tmp_path / "m", "--workers", 1)
    assert again[0] == 0, again[2]
    assert (tmp_path / "m" / "mds" / "index.json").exists()
    assert cli("export", tmp_path / "in", "--format", "mds", "--out", tmp_path / "n")[0] == 1


def test_no_text_to_train_on(cli, tmp_path):
    shard(tmp_path / "in" / "0.parquet", ["", ""])
    code, _, error = cli("train-tokenizer", "--input", tmp_path / "in", "--out", tmp_path / "x.json")
    assert code == 1
    assert "there is no text to train a tokenizer on" in error
