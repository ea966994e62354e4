"""The faster library: its ids are those of the libraries that it stands for, and a difference never passes unnoticed."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.tokenization import faster
from goldwash.pipeline.tokenization.faster import DifferentIdsError, each_once, every_character, in_forms
from goldwash.pipeline.tokenization.tokenizers import ENCODINGS, MODELS, load
from goldwash.pipeline.tokenization.training import Settings, train
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.tokenization.test_tokenizers import tiktoken_file, vocabulary

FILE = MODELS / "goldwash.json"


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> dict[str, str]:
    """A tokenizer of each kind by its name."""
    folder = tmp_path_factory.mktemp("faster")
    found = {"goldwash": "goldwash"}
    for encoding in ENCODINGS:
        found[encoding] = f"tiktoken:{tiktoken_file(folder, encoding, 2000)}"
    facts = json.loads(FILE.read_text("utf-8"))
    for name, pattern in (("qwen", faster.QWEN_2), ("llama", faster.LLAMA_3)):
        facts["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern
        facts["model"]["ignore_merges"] = name == "llama"
        (folder / f"{name}.json").write_text(json.dumps(facts), "utf-8")
    facts["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    (folder / "gpt2.json").write_text(json.dumps(facts), "utf-8")
    own = {"Llama 3": "llama", "Qwen 2": "qwen", "GPT-2": "gpt2"}
    return {**found, **{name: str(folder / f"{file}.json") for name, file in own.items()}}


NAMES = ["goldwash", *ENCODINGS, "Llama 3", "Qwen 2", "GPT-2"]


def assert_equal(name: str, texts: list[str]) -> None:
    one, other = load(name), load(name, fast=False)
    assert one.faster is not None
    assert other.faster is None
    for found, expected in zip(one.encode(texts), other.encode(texts), strict=True):
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("name", NAMES)
@given(texts=st.lists(st.text() | st.text("ab '\n\t 12.é金\u0301"), max_size=4))
def test_equal_ids(names, name, texts):
    assert_equal(names[name], texts)


@pytest.mark.parametrize("name", NAMES)
def test_equal_ids_for_texts_that_look_like_special_tokens(names, name):
    specials = list(load(names[name]).backend.specials)
    assert_equal(
        names[name], [form.format(text) for text in specials for form in ("{0}", "a {0}b", "{0}{0}", " {0}\n", "<{0}")]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_equal_ids_for_every_character(names, name):
    assert_equal(names[name], in_forms(every_character()))


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_equal_ids_on_real_pages(names, name, real):
    assert_equal(names[name], pages(real)[::40])


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("pattern", [*ENCODINGS, "Llama 3", "goldwash"])
def test_equal_ids_with_a_vocabulary_of_those_pages(names, pattern, real, tmp_path):
    """With 16,384 tokens, trained on the pages, so that words have many merges."""
    texts = pages(real)
    facts = json.loads(train(texts[::4], Settings(16_384)))
    if pattern in ENCODINGS:
        alphabet = {character: byte for byte, character in enumerate(byte_alphabet())}
        words = [word for word in sorted(facts["model"]["vocab"], key=facts["model"]["vocab"].get) if "<|" not in word]
        data = [bytes(alphabet[c] for c in word) for word in words]
        path = tmp_path / f"{pattern}.tiktoken"
        path.write_text("".join(f"{base64.b64encode(word).decode()} {n}\n" for n, word in enumerate(data)))
        assert_equal(f"tiktoken:{path}", texts[::2])
        return
    cutter = json.loads(Path(names[pattern] if pattern != "goldwash" else FILE).read_text("utf-8"))["pre_tokenizer"]
    (tmp_path / "t.json").write_text(json.dumps({**facts, "pre_tokenizer": cutter}), "utf-8")
    assert_equal(str(tmp_path / "t.json"), texts[::4])


def pages(real: Path) -> list[str]:
    found: list[str] = pq.read_table(real / "reference" / "heuristics.parquet", columns=["text"])["text"].to_pylist()
    return found


def byte_alphabet() -> list[str]:
    """GPT-2's character for each byte: printable ones stand for themselves, others follow from 256 on."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


OTHER = r"\p{Lu}?\p{Ll}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"


def test_a_pattern_that_no_test_compares_is_probed_with_all_characters(tmp_path, monkeypatch):
    """The load of one that is compared takes a fraction of the texts."""
    probed: list[list[str]] = []
    agrees = faster.Faster.agrees
    monkeypatch.setattr(faster.Faster, "agrees", lambda self, texts: (probed.append(list(texts)), agrees(self, texts))[1])
    facts = json.loads(FILE.read_text("utf-8"))
    parts = facts["pre_tokenizer"]["pretokenizers"]
    cutters = [
        facts["pre_tokenizer"],
        {"type": "Sequence", "pretokenizers": [{**parts[0], "pattern": {"Regex": OTHER}}, parts[1]]},
        {"type": "Sequence", "pretokenizers": [{**parts[0], "behavior": "MergedWithNext"}, parts[1]]},
    ]
    for n, cutter in enumerate(cutters):
        (tmp_path / f"{n}.json").write_text(json.dumps({**facts, "pre_tokenizer": cutter}), "utf-8")
        load(str(tmp_path / f"{n}.json"))
    every = each_once()
    assert [set(every) <= set(texts) for texts in probed] == [False, True, True]
    assert all(any(len(text) > 10_000 for text in texts) for texts in probed)  # the vocabulary's own tokens


def test_added_tokens_that_are_not_special(tmp_path):
    made = tokenizers.Tokenizer.from_file(str(FILE))
    made.add_tokens(["goldrush", tokenizers.AddedToken("river", single_word=True)])
    made.save(str(tmp_path / "t.json"))
    assert_equal(str(tmp_path / "t.json"), ["a goldrush in the rivers of the river.", "goldrushriver river"])


def test_a_vocabulary_of_another_kind_is_left_to_its_library(tmp_path):
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["</s>"])
    made.save(str(tmp_path / "w.json"))
    assert load(str(tmp_path / "w.json")).faster is None
    plain = Path(vocabulary(tmp_path, ["</s>"]))
    assert load(str(plain)).faster is not None
    facts = json.loads(plain.read_text("utf-8"))
    for change in ({"normalizer": {"type": "Lowercase"}}, {"model": {**facts["model"], "dropout": 0.1}}):
        plain.write_text(json.dumps({**facts, **change}), "utf-8")
        assert load(str(plain)).faster is None


def test_a_run_by_either_has_the_same_tokens(tmp_path):
    shard(tmp_path / "in" / "0.parquet", ["gold in the river", "", "café 金 " * 50])
    tokens = []
    for fast in (True, False):
        stage = STAGES["tokenize"].of({"formats": [], "faster": fast})
        assert (faster.PACKAGE in stage.versions()) == fast
        run_stage(stage, find_shards([str(tmp_path / "in")]), str(tmp_path / str(fast)), here)
        tokens.append([row["tokens"] for row in rows(tmp_path / str(fast))])
    assert tokens[0] == tokens[1]


# --- a library that is wrong


class Wrong:
    """A `fastokens.Tokenizer` that gives another id for a text with ``marked`` in it, and refuses one with ``refused``."""

    marked, refused = "\x02", "\x03"

    def __init__(self, made: Any) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def encode_batch_flat(self, texts: list[str], **options: Any) -> Any:
        if self.refused in texts[0]:
            raise ValueError("match limit exceeded")
        data, ends = self._made.encode_batch_flat(texts, **options)
        return (b"\1" + data[1:] if self.marked in texts[0] else data), ends


@pytest.fixture
def wrong(monkeypatch) -> type[Wrong]:
    import fastokens

    from goldwash.pipeline.tokenization import tokenizers as ours

    real, own = fastokens.Tokenizer, type("Own", (Wrong,), {})
    library = type("Library", (), {"from_json_str": staticmethod(lambda text: own(real.from_json_str(text)))})
    monkeypatch.setattr(fastokens, "Tokenizer", library)
    ours._loaded.cache_clear()
    yield own
    ours._loaded.cache_clear()


def test_a_library_whose_ids_differ_is_not_used(wrong):
    assert load("goldwash").faster is not None
    load.__globals__["_loaded"].cache_clear()
    wrong.marked = "1"
    assert load("goldwash").faster is None


def test_a_difference_while_texts_are_encoded_is_an_error(wrong):
    made = load("goldwash")
    message = r"fastokens .* gives other ids than tokenizers for '.x02': set faster=false"
    with pytest.raises(DifferentIdsError, match=message):
        made.encode(["gold", "x" * 5000 + wrong.marked + "y" * 5000, "gold"])
    assert made.encode(["gold"])[0].tolist() == load("goldwash", fast=False).encode(["gold"])[0].tolist()


def test_a_text_that_it_refuses_is_encoded_by_the_library(wrong):
    text = f"gold {wrong.refused}"
    assert load("goldwash").encode(["a", text])[0].tolist() == load("goldwash", fast=False).encode(["a", text])[0].tolist()


def test_without_the_package_the_library_encodes(monkeypatch):
    from goldwash.pipeline.tokenization import tokenizers as ours

    monkeypatch.setitem(__import__("sys").modules, "fastokens", None)
    ours._loaded.cache_clear()
    made = load("goldwash")
    ours._loaded.cache_clear()
    assert made.faster is None
    assert set(made.versions) == {"tokenizers"}
    assert np.array_equal(made.encode(["gold"])[0], load("goldwash").encode(["gold"])[0])
