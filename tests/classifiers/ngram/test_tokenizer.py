"""Byte-level tokenizers: exact bytes, huge texts, tokenizers that change texts."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram import tokenizer
from goldwash.classifiers.ngram.tokenizer import ByteTokenizer, byte_alphabet, cut
from goldwash.filters.texts import Texts
from tests.support.strategies import HOSTILE_BATTERY

TEXTS = ["Gold is washed from gravel in a pan.", "The pan turns; the gold stays. \t\n", "é 漢字漢字 \U0001f600 42"] * 9
MADE = ByteTokenizer.train(TEXTS, 300)


def test_the_alphabet_is_the_librarys() -> None:
    from tokenizers import pre_tokenizers

    assert set(byte_alphabet()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(byte_alphabet().values()) == list(range(256))


@pytest.mark.parametrize("texts", [TEXTS, HOSTILE_BATTERY], ids=["plain", "hostile"])
def test_the_bytes_of_tokens_are_the_texts(texts: list[str]) -> None:
    ids, offsets = MADE.encode(Texts.of(texts))
    for row, text in enumerate(texts):
        tokens = ids[offsets[row] : offsets[row + 1]]
        assert b"".join(MADE.pieces[i] for i in tokens) == text.encode()
        assert MADE.byte_counts[tokens].sum() == len(text.encode())


@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_texts_are_encoded_exactly(texts: list[str]) -> None:
    ids, offsets = MADE.encode(Texts.of(texts))
    assert len(offsets) == len(texts) + 1
    assert b"".join(MADE.pieces[i] for i in ids) == "".join(texts).encode()


def test_tokens_need_not_be_utf8() -> None:
    ids, _ = MADE.encode(Texts.of(["\U0001f601"]))  # shares three bytes with one that was seen
    assert len(ids) > 1
    assert sum(len(MADE.pieces[i]) for i in ids) == 4


def test_a_huge_text_is_encoded_in_pieces_and_no_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(TEXTS * 4) + "   end"
    whole, _ = MADE.encode(Texts.of([text]))
    for longest in (64, 100, 1000):
        monkeypatch.setattr(tokenizer, "PIECE", longest)
        pieces, offsets = MADE.encode(Texts.of(["a", text, "b"]))
        assert pieces[offsets[1] : offsets[2]].tolist() == whole.tolist()


@given(st.text(max_size=60), st.integers(4, 20))
def test_pieces_are_short_whole_characters_and_nothing_is_lost(text: str, longest: int) -> None:
    pieces = cut(text.encode(), longest)
    assert b"".join(pieces) == text.encode()
    assert all(0 < len(piece) <= longest for piece in pieces)
    assert "".join(piece.decode() for piece in pieces) == text


def test_equal_texts_give_an_equal_tokenizer_in_another_process() -> None:
    program = (
        "from goldwash.classifiers.ngram.tokenizer import ByteTokenizer\nimport sys\n"
        f"sys.stdout.write(ByteTokenizer.train({TEXTS!r}, 300).definition)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == MADE.definition


def test_a_tokenizer_that_changes_texts_is_refused() -> None:
    changed = json.loads(MADE.definition)
    changed["pre_tokenizer"]["add_prefix_space"] = True
    with pytest.raises(ModelError, match="the 1 bytes of row 1 became tokens of 2"):
        ByteTokenizer(json.dumps(changed)).encode(Texts.of([" x", "x"]))
    changed = json.loads(MADE.definition)
    changed["normalizer"] = {"type": "NFC"}
    with pytest.raises(ModelError, match="changes texts"):
        ByteTokenizer(json.dumps(changed)).encode(Texts.of(["e\u0301"]))


def test_other_kinds_of_tokenizers_are_refused(tmp_path: object) -> None:
    from tokenizers import Tokenizer, models

    words = Tokenizer(models.WordLevel({"漢\x1b[31m": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(ModelError, match="not written in the byte-level alphabet") as refused:
        _ = ByteTokenizer(words.to_str()).pieces
    assert "\x1b" not in str(refused.value)
    letters = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    with pytest.raises(ModelError, match="no token for some bytes"):
        _ = ByteTokenizer(letters.to_str()).pieces
    with pytest.raises(ModelError, match="cannot be read"):
        _ = ByteTokenizer("{}").pieces
    with pytest.raises(ModelError, match="no tokenizer at"):
        ByteTokenizer.load("nowhere.json")
    with pytest.raises(ModelError, match="at least 257"):
        ByteTokenizer.train(TEXTS, 256)


def test_empty_texts_have_no_token() -> None:
    ids, offsets = MADE.encode(Texts.of(["", ""]))
    assert (ids.tolist(), offsets.tolist()) == ([], [0, 0, 0])
    ids, offsets = MADE.encode(Texts.of([]))
    assert (len(ids), offsets.tolist()) == (0, [0])
    assert ids.dtype == np.int32
