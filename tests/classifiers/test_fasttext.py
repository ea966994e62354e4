"""Folds score as fastText does; files that are no models say so."""

import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given

from classifiers.fasttext import Folded, ModelError, Whole, fold, load, save_fold
from filters.texts import Texts
from tests.conftest import ROOT
from tests.strategies import HOSTILE_BATTERY, TEXTS

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


@pytest.mark.real
def test_folded_scores_of_real_pages(make: Callable[..., Path], real: Path) -> None:
    table = pq.read_table(real / "reference" / "heuristics.parquet", columns=["text"])
    assert_scores(make(wordNgrams=2), table["text"].to_pylist()[::12])


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
from classifiers.fasttext import ModelError, load
try:
    load(sys.argv[1])
except ModelError as error:
    sys.exit("ModelError" if "cut.bin" in str(error) else 3)
sys.exit(4)
"""


class TestWhole:
    @pytest.mark.parametrize("labels", [("a", "b", "c"), ("only",)])
    def test_other_label_counts(self, make: Callable[..., Path], labels: tuple[str, ...]) -> None:
        path = make(labels, wordNgrams=2)
        whole = load(path)
        assert isinstance(whole, Whole)
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
        assert isinstance(load(path), Whole)
        native = fasttext.load_model(str(path))
        theirs = [by_fasttext(native, text).get("hq", 0.0) for text in SENTENCES]
        assert load(path).probability(Texts.of(SENTENCES), "hq").tolist() == theirs

    def test_likeliest(self, make: Callable[..., Path]) -> None:
        whole = load(make(("a", "b", "c"), wordNgrams=2))
        assert isinstance(whole, Whole)
        labels, probabilities = whole.likeliest(
            Texts.of(["gold cat gold wäsche", "mud dog\nmud"]), lambda text: text.replace("\n", " ")
        )
        assert labels[0] == "a"
        assert labels[1] in ("b", "c")
        assert ((probabilities > 0.33) & (probabilities <= 1.0001)).all()
        assert probabilities.dtype == np.float64

    def test_likeliest_of_nothing(self, make: Callable[..., Path]) -> None:
        whole = load(make(("a", "b", "c"), wordNgrams=2))
        assert isinstance(whole, Whole)
        labels, probabilities = whole.likeliest(Texts.of([]), str.strip)
        assert (labels, probabilities.tolist()) == ([], [])

    def test_a_label_that_is_not_there(self, make: Callable[..., Path]) -> None:
        assert load(make(("a", "b", "c"), wordNgrams=2)).probability(Texts.of(["gold"]), "zz").tolist() == [0]

    @pytest.mark.parametrize("size", [110, 300, -1, -40, -600])
    def test_truncated(self, make: Callable[..., Path], tmp_path: Path, size: int) -> None:
        """In a process of its own, with a bound on memory: fastText reads beyond the end of such files."""
        (tmp_path / "cut.bin").write_bytes(make(("a", "b", "c"), wordNgrams=2).read_bytes()[:size])
        told = subprocess.run(
            [sys.executable, "-c", LOAD, str(tmp_path / "cut.bin")], cwd=ROOT, capture_output=True, timeout=60, check=False
        )
        assert told.stderr.decode().strip().endswith("ModelError"), (told.returncode, told.stderr.decode()[-500:])


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
        assert isinstance(whole, Whole)
        assert whole.probability(Texts.of(["gold cat"]), "hq")[0] > 0.5


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
