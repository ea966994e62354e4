"""The n-gram model against its twin in plain Python, NLTK and KenLM; its file, whole and damaged."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.model import HEADER, Counter, NgramModel, is_ngram_file
from goldwash.filters.texts import Texts
from tests.reference import witten_bell

Documents = Sequence[Sequence[int]]
VOCAB = 5
DOCUMENTS = st.lists(st.lists(st.integers(0, VOCAB - 1), max_size=12), max_size=8)


def flat(documents: Documents) -> tuple[list[int], list[int]]:
    """Ids and offsets."""
    return [i for d in documents for i in d], np.cumsum([0, *(len(d) for d in documents)]).tolist()


def random_documents(count: int, vocab: int, seed: int) -> list[list[int]]:
    """Documents of skewed tokens, so that n-grams repeat."""
    random = np.random.default_rng(seed)
    return [(random.zipf(1.5, random.integers(0, 40)) % vocab).tolist() for _ in range(count)]


@given(DOCUMENTS, DOCUMENTS, st.integers(1, 6))
def test_probabilities_are_those_of_the_twin(trained: Documents, asked: Documents, order: int) -> None:
    if not any(trained):
        with pytest.raises(ModelError, match="at least one token"):
            NgramModel.train(*flat(trained), VOCAB, order)
        return
    model, twin = NgramModel.train(*flat(trained), VOCAB, order), witten_bell(trained, VOCAB, order)
    expected = [math.log2(twin(d[:i], d[i])) for d in asked for i in range(len(d))]
    assert model.log2_probability(*flat(asked)) == pytest.approx(expected, abs=1e-12)


def test_the_twin_sums_to_one() -> None:
    twin = witten_bell([[0, 1, 2, 1], [3], []], VOCAB, 3)
    for before in ([], [0], [0, 1], [4, 4]):
        assert sum(twin(before, token) for token in range(VOCAB + 1)) == pytest.approx(1)


def test_probabilities_of_a_larger_model_are_those_of_the_twin() -> None:
    documents, asked = random_documents(300, 50, 0), random_documents(20, 60, 1)
    asked = [[i % 50 for i in d] for d in asked]
    twin = witten_bell(documents, 50, 5)
    expected = [math.log2(twin(d[:i], d[i])) for d in asked for i in range(len(d))]
    assert NgramModel.train(*flat(documents), 50).log2_probability(*flat(asked)) == pytest.approx(expected, abs=1e-12)


def test_probabilities_are_those_of_nltk() -> None:
    """NLTK's unigrams are not interpolated with a uniform distribution: ours are, so they are given to it."""
    lm = pytest.importorskip("nltk.lm", reason="nltk is not installed")
    documents = [d for d in random_documents(60, 12, 2) if d]
    end, order = "12", 3

    class Estimator(lm.smoothing.WittenBell):  # type: ignore[misc, name-defined]
        def unigram_score(self, word: str) -> float:
            seen = self.counts.unigrams
            return float((seen[word] + len(seen) / 13) / (seen.N() + len(seen)))

    model = lm.models.InterpolatedLanguageModel(Estimator, order)
    grams = []
    for document in documents:
        whole = [end, *map(str, document), end]
        grams.append([tuple(whole[i - n : i + 1]) for i in range(1, len(whole)) for n in range(min(order, i + 1))])
    model.fit(grams, vocabulary_text=[str(i) for i in range(13)])
    ours = NgramModel.train(*flat(documents), 12, order)
    for document in random_documents(15, 12, 3):
        whole = [end, *map(str, document)]
        expected = [math.log2(model.score(whole[i], whole[max(i - order + 1, 0) : i])) for i in range(1, len(whole))]
        assert ours.log2_probability(document, [0, len(document)]) == pytest.approx(expected, abs=1e-9)


def test_probabilities_are_those_of_kenlm(tmp_path: Path) -> None:
    """KenLM reads the model as back-off weights: p(w | context) where it was seen, else weight(context) p(w | shorter)."""
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed (pip install kenlm)")
    documents, vocab, order = [d for d in random_documents(80, 9, 4) if d], 9, 4
    twin, following = witten_bell(documents, vocab, order), dict[tuple[int, ...], set[int]]()
    for document in documents:
        whole = [vocab, *document, vocab]
        for at in range(1, len(whole)):
            for n in range(min(order, at + 1)):
                following.setdefault(tuple(whole[at - n : at]), set()).add(whole[at])
    ours = NgramModel.train(*flat(documents), vocab, order)
    (tmp_path / "model.arpa").write_text(arpa(ours, following, order), "utf-8")
    read = kenlm.Model(str(tmp_path / "model.arpa"))
    for document in random_documents(20, 9, 5):
        scores = list(read.full_scores(" ".join(f"w{i}" for i in document), bos=True, eos=False))
        expected = [score[0] * math.log2(10) for score in scores]
        assert ours.log2_probability(document, [0, len(document)]) == pytest.approx(expected, abs=1e-4)  # KenLM has float32
        assert [math.log2(twin(document[:i], document[i])) for i in range(len(document))] == pytest.approx(expected, abs=1e-4)


def arpa(model: NgramModel, following: dict[tuple[int, ...], set[int]], order: int) -> str:
    """The model in ARPA's format, from its own table."""

    def row_of(gram: Sequence[int]) -> int:
        row = gram[0] + 1
        for token in gram[1:]:
            row = row_of_key(model, row << 24 | token)
        return row

    def weights(gram: Sequence[int]) -> tuple[int, int]:
        value = int(model.table[row_of(gram) if gram else 0, 1])
        return value & 0xFFFFFFFF, value >> 32

    def probability(gram: Sequence[int]) -> float:
        occurrences, after = weights(gram[:-1])
        lower = probability(gram[1:]) if len(gram) > 1 else 1 / (model.vocab + 1)
        return (weights(gram)[0] + after * lower) / (occurrences + after)

    def word(token: int, first: bool) -> str:
        return f"w{token}" if token != model.vocab else "<s>" if first else "</s>"

    lines: list[list[str]] = [[] for _ in range(order + 1)]
    for context, tokens in following.items():
        for token in sorted(tokens):
            gram = (*context, token)
            words = " ".join(word(t, i == 0 and len(gram) > 1) for i, t in enumerate(gram))
            backoff = ""
            if gram in following:
                occurrences, after = weights(gram)
                backoff = f"\t{math.log10(after / (occurrences + after)):.9f}"
            lines[len(gram)].append(f"{math.log10(probability(gram)):.9f}\t{words}{backoff}")
    occurrences, after = weights((model.vocab,))
    lines[1].append(f"-99\t<s>\t{math.log10(after / (occurrences + after)):.9f}")
    lines[1] = [line.partition("</s>")[0] + "</s>" if "</s>" in line else line for line in lines[1]]
    lines[1].append(f"{math.log10(1 / (model.vocab + 1)):.9f}\t<unk>")
    head = "\n".join(["\\data\\", *(f"ngram {n}={len(lines[n])}" for n in range(1, order + 1))])
    body = "\n\n".join("\n".join([f"\\{n}-grams:", *lines[n]]) for n in range(1, order + 1))
    return f"{head}\n\n{body}\n\n\\end\\\n"


def row_of_key(model: NgramModel, key: int) -> int:
    """The row of a key, by looking at all of them."""
    found = np.flatnonzero(model.table[model.vocab + 2 :, 0] == key)
    assert len(found) == 1
    return int(found[0]) + model.vocab + 2


def test_documents_added_in_parts_and_several_times_give_the_same_counts() -> None:
    documents = random_documents(50, 20, 6)
    whole = NgramModel.train(*flat(documents * 3), 20)
    counter = Counter(*flat(documents), 20)
    for part in (documents[:20], documents[20:21], documents[21:]):
        counter.add(*flat(part), times=3)
    asked = flat(random_documents(9, 20, 7))
    assert counter.model().log2_probability(*asked).tolist() == whole.log2_probability(*asked).tolist()


def test_more_of_the_same_costs_fewer_bits() -> None:
    steps = random_documents(450, 30, 8)
    documents = [
        np.cumsum([s % 3 for s in d], dtype=int).__mod__(30).tolist() for d in steps
    ]  # each token follows from the last
    asked = flat(documents[400:])
    bits = [-NgramModel.train(*flat(documents[:n]), 30).log2_probability(*asked).sum() for n in (4, 40, 400)]
    assert bits == sorted(bits, reverse=True)


@pytest.mark.parametrize(
    ("ids", "offsets", "vocab", "order", "message"),
    [
        ([0, 5], [0, 2], 5, 3, "from 0 to 4, found 0 to 5"),
        ([0, -1], [0, 2], 5, 3, "found -1 to 0"),
        ([0, 1], [0, 1], 5, 3, "offsets that rise from 0 to 2"),
        ([0, 1], [0, 3, 2], 5, 3, "offsets that rise"),
        ([], [0, 0], 5, 3, "every document is empty"),
        ([], [0], 5, 3, "every document is empty"),
        ([0], [0, 1], 5, 0, "order from 1"),
        ([0], [0, 1], 0, 3, "vocabulary of 1 to"),
        ([0], [0, 1], 1 << 25, 3, "vocabulary of 1 to"),
    ],
)
def test_tokens_that_are_refused(ids: list[int], offsets: list[int], vocab: int, order: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        NgramModel.train(ids, offsets, vocab, order)


def test_a_table_takes_only_what_it_was_made_for() -> None:
    counter = Counter([0, 1], [0, 2], 400)
    with pytest.raises(ModelError, match="made for"):
        counter.add(*flat(random_documents(2000, 400, 10)))
    with pytest.raises(ModelError, match="add documents first"):
        Counter([0, 1], [0, 2], 400).model()


TEXTS = ["Gold is washed from gravel in a pan.", "The pan turns; the gold stays.", "", "é 漢字 \U0001f600\n\n 42"] * 5


def test_a_model_of_texts_comes_back_from_its_file(tmp_path: Path) -> None:
    model = NgramModel.of_texts(TEXTS, vocabulary=300)
    for name in ("a.ngram", "b.ngram"):
        NgramModel.of_texts(TEXTS, vocabulary=300).save(tmp_path / name)
    assert (tmp_path / "a.ngram").read_bytes() == (tmp_path / "b.ngram").read_bytes()
    assert is_ngram_file(tmp_path / "a.ngram")
    assert not is_ngram_file(tmp_path / "c.ngram")
    back = NgramModel.load(tmp_path / "a.ngram")
    asked = Texts.of([*TEXTS[:4], "never seen: ß"])
    assert back.bits(asked).tolist() == model.bits(asked).tolist()
    assert back.bits(asked)[2] == 0
    assert (back.vocab, back.order, back.bytes) == (model.vocab, model.order, model.bytes)


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.ngram"
    NgramModel.of_texts(TEXTS, vocabulary=300).save(path)
    return path


@pytest.mark.parametrize(
    ("at", "form", "value", "message"),
    [
        (0, "<8s", b"GWNGRAX\n", "is not an n-gram model"),
        (8, "<I", 2, "version 2"),
        (12, "<I", 99, "order 99"),
        (12, "<I", 0, "order 0"),
        (16, "<I", 1 << 30, "vocabulary of"),
        (16, "<I", 0, "vocabulary of 0"),
        (16, "<I", 10**6, "rows for 1000000 tokens"),
        (24, "<Q", 1 << 60, "rows for 300 tokens"),
        (32, "<Q", 1 << 62, "rows for 300 tokens"),
        (32, "<Q", 0, "rows for 300 tokens"),
        (16, "<I", 299, "its tokenizer has 300 tokens|rows are impossible"),
        (HEADER.size + 5, "<B", 255, "checksum"),
        (-3, "<B", 255, "checksum"),
    ],
)
def test_a_damaged_file_is_refused_before_its_numbers_are_used(
    tmp_path: Path, at: int, form: str, value: object, message: str
) -> None:
    path = saved(tmp_path)
    held = bytearray(path.read_bytes())
    struct.pack_into(form, held, at % len(held), value)
    path.write_bytes(held)
    with pytest.raises(ModelError, match=message):
        NgramModel.load(path)


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    held = path.read_bytes()
    for size in (0, 7, 8, 30, HEADER.size, HEADER.size + 100, len(held) - 16, len(held) - 1):
        path.write_bytes(held[:size])
        with pytest.raises(ModelError, match=r"not an n-gram model|truncated|not a whole"):
            NgramModel.load(path)
    with pytest.raises(ModelError, match="no n-gram model at"):
        NgramModel.load(tmp_path / "nowhere")


@pytest.mark.parametrize("fault", ["full", "uncounted", "without a root"])
def test_a_table_that_cannot_be_searched_is_refused(tmp_path: Path, fault: str) -> None:
    model = NgramModel.train(*flat(random_documents(30, 10, 11)), 10)
    table = model.table.copy()
    longer = table[12:]
    if fault == "full":  # a search for a missing key would never end
        longer[longer[:, 0] == 0] = (1 << 24 | 3, 1)
    elif fault == "uncounted":
        longer[np.flatnonzero(longer[:, 0])[0], 1] = 0
    else:
        table[0, 1] = 0
    NgramModel(table, 10).save(tmp_path / "model.ngram")
    with pytest.raises(ModelError, match=r"impossible|are empty"):
        NgramModel.load(tmp_path / "model.ngram")


def test_a_model_without_a_tokenizer_says_so() -> None:
    with pytest.raises(ModelError, match="has no tokenizer"):
        NgramModel.train([0, 1], [0, 2], 2).bits(Texts.of(["x"]))
