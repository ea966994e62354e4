"""Tokenizers against their own libraries, and vocabularies that cannot be used as they were asked for."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from goldwash.filters.fetch import FetchError
from goldwash.pipeline.tokenization import tokenizers as ours
from goldwash.pipeline.tokenization.token_shards import Vocabulary
from goldwash.pipeline.tokenization.tokenizers import ENCODINGS, MODELS, TokenizerError, load

FILE = MODELS / "goldwash.json"


def vocabulary(folder: Path, specials: list[str], ordinary: str = "!") -> str:
    """A tokenizer.json as Llama 3 has it: ordinary tokens from 0 on, special ones after them."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = [ordinary, *sorted(set(tokenizers.pre_tokenizers.ByteLevel.alphabet()) - {ordinary})]
    vocab = {character: n for n, character in enumerate(alphabet)}
    made.model = tokenizers.models.BPE(vocab, [])
    made.add_special_tokens(specials)
    path = folder / "tokenizer.json"
    made.save(str(path))
    return str(path)


def tiktoken_file(folder: Path, name: str = "cl100k_base", tokens: int = 300) -> Path:
    """A small file of tiktoken: the bytes, and some pairs."""
    words = [bytes([n]) for n in range(256)]
    words += [bytes([97 + n // 26, 97 + n % 26]) for n in range(tokens - 256)]
    path = folder / f"{name}.tiktoken"
    path.write_text("".join(f"{base64.b64encode(word).decode()} {n}\n" for n, word in enumerate(words)))
    return path


# --- the same ids


@given(st.lists(st.text(), max_size=5))
def test_ids_are_the_librarys_and_give_the_text_back(texts):
    made, library = load("goldwash"), tokenizers.Tokenizer.from_file(str(FILE))
    library.encode_special_tokens = True
    ids, lengths = made.encode(texts)
    expected = [library.encode(text, add_special_tokens=False).ids for text in texts]
    assert lengths.tolist() == list(map(len, expected))
    assert ids.tolist() == [token for row in expected for token in row]
    for text, row in zip(texts, expected, strict=True):
        assert library.decode(row, skip_special_tokens=False) == text
        assert made.byte_lengths[row].sum() == len(text.encode())


@given(st.text())
def test_tiktokens_ids_are_its_own(text):
    folder = Path(test_tiktokens_ids_are_its_own.folder)  # type: ignore[attr-defined]
    made = load(f"tiktoken:{folder}/cl100k_base.tiktoken")
    library = made.backend._made  # type: ignore[attr-defined]
    ids, _ = made.encode([text])
    assert ids.tolist() == library.encode_ordinary(text)
    assert library.decode_bytes(ids.tolist()) == text.encode()
    assert made.byte_lengths[ids].sum() == len(text.encode())


@pytest.fixture(autouse=True, scope="module")
def _tiktoken_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiktoken")
    tiktoken_file(folder)
    test_tiktokens_ids_are_its_own.folder = folder  # type: ignore[attr-defined]


def test_a_template_adds_no_token(tmp_path):
    made = tokenizers.Tokenizer.from_file(str(FILE))
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    made.enable_truncation(4)
    made.enable_padding(length=50)
    made.save(str(tmp_path / "tokenizer.json"))
    text = "a longer text of gold and of rivers"
    assert load(str(tmp_path)).encode([text])[0].tolist() == load("goldwash").encode([text])[0].tolist()


@pytest.mark.parametrize("name", ENCODINGS)
def test_encodings_are_those_that_tiktoken_builds(name, monkeypatch):
    seen = {}
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda url, expected_hash: seen.update({url: expected_hash}) or {})
    built = openai_public.ENCODING_CONSTRUCTORS[name]()
    ours_ = ENCODINGS[name]
    assert (ours_.split, dict(ours_.specials)) == (built["pat_str"], built["special_tokens"])
    assert seen == {f"{ours.PUBLISHED}{name}.tiktoken": ours_.sha256}


def test_the_built_in_tokenizer():
    made = load("goldwash")
    assert (made.size, made.end_of_text()) == (4096, 0)
    assert Vocabulary.of(made, 0, "").dtype == np.uint16
    assert FILE.stat().st_size < 130_000


# --- the end of a text


def test_ends_that_vocabularies_have(tmp_path):
    for n, (specials, wanted) in enumerate(
        (
            (["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], "<|end_of_text|>"),
            (["<unk>", "<s>", "</s>"], "</s>"),
            (["<|im_start|>", "<|im_end|>", "<|endoftext|>"], "<|endoftext|>"),
            (["<bos>", "<eos>", "<pad>"], "<eos>"),
        )
    ):
        (tmp_path / str(n)).mkdir()
        made = load(vocabulary(tmp_path / str(n), specials))
        assert made.end_of_text() == 256 + specials.index(wanted)
        assert made.end_of_text(wanted) == made.end_of_text(made.end_of_text()) == made.end_of_text()


LLAMA = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (0, r"eot is 0, which is the ordinary token '!' in .*expected its end-of-text token.*give eot=<\|end_of_text\|>"),
        ("0", r"eot is 0, which is the ordinary token '!'"),
        (999, r"eot is 999, which is no token in"),
        (-1, r"eot is -1, which is no token in"),
        ("<|begin_of_text|>", r"eot is <\|begin_of_text\|>, which does not end a text in .*give eot=<\|end_of_text\|>"),
        (256, r"eot is <\|begin_of_text\|>, which does not end a text"),
        ("<|eot_id|>", r"does not end a text in .*give eot=<\|end_of_text\|>"),
        ("<|reserved_special_token_0|>", "does not end a text"),
        ("<|endoftext|>", r"no special token of .*it has <\|begin_of_text\|>.*did you mean '<\|end_of_text\|>'"),
        ("!", "eot is '!', no special token of"),
        ("\x1b[31m", r"eot is '\\x1b\[31m'"),
    ],
)
def test_the_references_fault_with_llama_3_is_refused_with_the_cure(tmp_path, wanted, message):
    with pytest.raises(TokenizerError, match=message):
        load(vocabulary(tmp_path, LLAMA)).end_of_text(wanted)


def test_a_vocabulary_without_an_end_asks_for_one(tmp_path):
    made = load(vocabulary(tmp_path, ["<custom>"]))
    with pytest.raises(TokenizerError, match=r"no token that is known to end a text: give eot=TOKEN, one of its .*<custom>"):
        made.end_of_text()
    assert made.end_of_text("<custom>") == 256


def test_an_end_that_is_an_ordinary_word_of_the_model_is_refused(tmp_path):
    path = Path(vocabulary(tmp_path, ["</s>"]))
    facts = json.loads(path.read_text())
    facts["added_tokens"] = []
    facts["model"]["vocab"]["</s>"] = 256
    path.write_text(json.dumps(facts))
    with pytest.raises(TokenizerError, match="no token that is known to end a text"):
        load(str(path)).end_of_text()


# --- files that are none


@pytest.mark.parametrize("data", [b"", b"not json", b"{}", b'{"model": 3}', b"\xff\xfe\x00", b"[1, 2]"])
def test_a_file_that_is_no_tokenizer(tmp_path, data):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is no tokenizer .*expected a tokenizer\.json"):
        load(str(path))


@pytest.mark.parametrize("data", ["", "not base64 at all", "QQ== x", "QQ== 0\nQg== 1\n"])
def test_a_file_that_is_not_tiktokens(tmp_path, data):
    path = tmp_path / "cl100k_base.tiktoken"
    path.write_text(data)
    with pytest.raises(TokenizerError, match="is no file of tiktoken"):
        load(f"tiktoken:{path}").encode(["a"])


def test_names_that_are_none(tmp_path):
    with pytest.raises(TokenizerError, match="no tokenizer is called 'gpt9': expected goldwash, a path"):
        load("gpt9")
    with pytest.raises(FetchError, match="no file at"):
        load(str(tmp_path / "nothing.json"))
    with pytest.raises(TokenizerError, match="no encoding is called 'mine'"):
        load(f"tiktoken:{tiktoken_file(tmp_path, 'mine')}")
    with pytest.raises(FetchError, match=r"could not be fetched.*tiktoken:PATH/o200k_base\.tiktoken"):
        load("tiktoken:o200k_base")


def test_a_tiktoken_file_of_another_name(tmp_path):
    made = load(f"tiktoken:{tiktoken_file(tmp_path, 'mine')}::o200k_base")
    assert made.end_of_text() == 199_999
    assert Vocabulary.of(made, made.end_of_text(), "").dtype == np.uint32


def test_tiktokens_own_cache_is_used_and_checked(tmp_path, monkeypatch):
    import hashlib

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    url = f"{ours.PUBLISHED}r50k_base.tiktoken"
    held = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    held.write_bytes(tiktoken_file(tmp_path).read_bytes())
    with pytest.raises(TokenizerError, match=r"has SHA-256 .*; expected that of r50k_base: delete it"):
        load("tiktoken:gpt2")
    digest = hashlib.sha256(held.read_bytes()).hexdigest()
    facts = ENCODINGS["r50k_base"]
    monkeypatch.setitem(ENCODINGS, "r50k_base", ours.Encoding(facts.split, facts.specials, digest))
    assert load("tiktoken:gpt2").encode(["ab"])[0].tolist() == [257]
    assert isinstance(load("tiktoken:gpt2").backend._made, tiktoken.Encoding)


def test_a_tokenizer_is_fetched_once(tmp_path, monkeypatch):
    """hf:// and https:// go through the room of downloads; here another protocol of fsspec stands for them."""
    import fsspec

    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    with fsspec.open("memory://owner/repo/tokenizer.json", "wb") as file:
        file.write(FILE.read_bytes())
    assert load("memory://owner/repo").size == 4096
    fsspec.filesystem("memory").rm("/owner/repo/tokenizer.json")
    assert (
        load("memory://owner/repo/tokenizer.json").encode(["gold"])[0].tolist() == load("goldwash").encode(["gold"])[0].tolist()
    )
