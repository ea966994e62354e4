"""Languages of sentences that nobody would doubt, and of texts that say nothing."""

import re
import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.classifiers import language
from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.loader import load
from goldwash.classifiers.row_sums import may_be_known
from goldwash.classifiers.subword_vectors import FLUSHED, KEPT_WORDS
from goldwash.classifiers.subwords import WordMemory, without_newlines
from goldwash.filters.fetch import file_digest
from goldwash.filters.ngrams import word_hashes
from goldwash.filters.texts import Texts
from tests.support.strategies import HOSTILE_BATTERY, TEXTS

SENTENCES = {
    "en": "The river carried gold from the mountains down to the plain, and people came to wash it.",
    "de": "Der Fluss trug das Gold aus den Bergen in die Ebene, und die Leute kamen, um es zu waschen.",
    "fr": "La rivière emportait l'or des montagnes vers la plaine, et les gens venaient le laver.",
    "es": "El río llevaba el oro desde las montañas hasta la llanura, y la gente venía a lavarlo.",
    "ru": "Река несла золото с гор на равнину, и люди приходили его мыть.",
    "zh": "中国的首都是北京，这座城市有两千多万人口，是全国的政治和文化中心。",
    "ja": "川は山から平野へと金を運び、人々はそれを洗いに来た。",
    "ar": "حمل النهر الذهب من الجبال إلى السهل وجاء الناس لغسله.",
}


@pytest.mark.parametrize(("code", "sentence"), SENTENCES.items())
@pytest.mark.parametrize("newlines", [" ", ""])
def test_known_sentences(code: str, sentence: str, newlines: str) -> None:
    (label,), (probability,) = language.likeliest(Texts.of([sentence]), newlines=newlines)
    assert label == code
    assert 0.5 < probability <= 1.0001


def test_a_batch_is_its_texts_one_by_one() -> None:
    strings = [*SENTENCES.values(), *HOSTILE_BATTERY, "", SENTENCES["en"] + "\n\n" + SENTENCES["en"]]
    labels, probabilities = language.likeliest(Texts.of(strings))
    for text, label, probability in zip(strings, labels, probabilities, strict=True):
        one = language.likeliest(Texts.of([text]))
        assert (one[0][0], one[1][0]) == (label, probability)


@pytest.mark.parametrize("text", ["", " ", "!!! ... --- ???", "#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
def test_silent_texts(text: str) -> None:
    labels, probabilities = language.likeliest(Texts.of([text]))
    assert labels.tolist() == [""]
    assert probabilities.tolist() == [0]


@pytest.mark.parametrize("text", ["123", "¿", "\u00a0", "a"])
def test_texts_that_are_nearly_silent_have_a_label(text: str) -> None:
    labels, probabilities = language.likeliest(Texts.of([text]))
    assert labels[0] != ""
    assert probabilities[0] > 0


def test_no_texts() -> None:
    labels, probabilities = language.likeliest(Texts.of([]))
    assert labels.shape == probabilities.shape == (0,)
    assert labels.dtype.kind == "U"
    assert probabilities.dtype == np.float64


def test_deleting_newlines_glues_words() -> None:
    text = "\n".join(["le", "chat", "noir", "dort", "sur", "la", "table", "de", "la", "cuisine"])
    apart = language.likeliest(Texts.of([text]))
    glued = language.likeliest(Texts.of([text]), newlines="")
    alike = language.likeliest(Texts.of([text.replace("\n", "")]))
    assert glued[1].tolist() == alike[1].tolist()
    assert apart[1].tolist() != glued[1].tolist()


def test_the_model_is_the_published_one() -> None:
    assert file_digest(language.located(language.DEFAULT)) == language.PUBLISHED[language.DEFAULT][1]


def test_a_model_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.ftz"
    path.write_bytes(language.located(language.DEFAULT).read_bytes())
    assert language.likeliest(Texts.of([SENTENCES["fr"]]), str(path))[0].tolist() == ["fr"]


def test_a_two_label_model_says_the_likelier_of_its_two(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("__label__a gold\n__label__b mud\n" * 50)
    model = fasttext.train_supervised(str(tmp_path / "lines.txt"), dim=16, epoch=20, thread=1, verbose=0)
    model.save_model(str(tmp_path / "two.bin"))
    labels, probabilities = language.likeliest(Texts.of(["gold", "mud mud", "..."]), str(tmp_path / "two.bin"))
    assert labels.tolist() == ["a", "b", ""]
    assert (probabilities[:2] > 0.5).all()
    assert probabilities[2] == 0


@given(strings=TEXTS, row=st.integers(0, 3))
@example(
    strings=["\n", "", "\n\n", "x" * 64, "x" * 63 + "\n", "\n" + "x" * 64, "é\n" * 50, "x" * 65 + "\n\n" + "y" * 62], row=1
)
@example(strings=["\n".join("x" * n for n in range(90)), "\n" * 200], row=0)
def test_newlines_are_deleted(strings: list[str], row: int) -> None:
    texts = Texts.of(strings)
    for some in (texts, texts.take(np.arange(len(strings))[row:])):
        assert list(Texts(*without_newlines(some.utf8, some.starts, some.ends))) == [text.replace("\n", "") for text in some]


def test_newlines_are_deleted_or_become_spaces() -> None:
    with pytest.raises(ModelError, match="newlines is 'x': expected"):
        language.likeliest(Texts.of(["a"]), newlines="x")


@cache
def native() -> Any:
    return fasttext.load_model(str(language.located(language.DEFAULT)))


def by_fasttext(text: str, newlines: str) -> tuple[str, float]:
    """What the reference does: its own rule for silent texts, then fastText's first label."""
    if all(character in string.punctuation + " " for character in text):
        return "", 0.0
    found = native().f.predict(text.replace("\n", newlines) + "\n", 1, 0.0, "strict")
    return (found[0][1].removeprefix("__label__"), found[0][0]) if found else ("", 0.0)


def assert_agrees(strings: list[str], newlines: str) -> None:
    labels, probabilities = language.likeliest(Texts.of(strings), newlines=newlines)
    for text, label, probability in zip(strings, labels, probabilities, strict=True):
        theirs, likelihood = by_fasttext(text, newlines)
        assert probability == pytest.approx(likelihood, abs=1e-4), ascii(text)
        if likelihood > 0.51:  # of two that are as likely, either may be first
            assert label == theirs, ascii(text)


@pytest.mark.parametrize("newlines", [" ", ""])
@given(strings=TEXTS.map(lambda strings: [text.replace("</s>", "<s>") for text in strings]))
@example(strings=[text for text in HOSTILE_BATTERY if "</s>" not in text])
@example(strings=list(SENTENCES.values()))
def test_as_fasttext_says(newlines: str, strings: list[str]) -> None:
    assert_agrees(strings, newlines)


@pytest.mark.parametrize("text", ["the river</s> </s> den Fluss hinunter und weiter", "gold </s> das Gold aus den Bergen"])
def test_a_written_end_of_line(text: str) -> None:
    assert_agrees([text], " ")


def bucket_of(ngram: str) -> int:
    """fastText's bucket of an n-gram: 32-bit FNV-1a over its bytes, as signed ones."""
    h = 2166136261
    for byte in ngram.encode():
        h = (h ^ (byte | 0xFFFFFF00 if byte >= 128 else byte)) * 16777619 & 0xFFFFFFFF
    return h % 2_000_000


def rows_added(word: str) -> list[list[Any]]:
    """The rows of a word's n-grams as they are added together: more than `FLUSHED` are added before the next letter's."""
    ids = native().get_subwords(word)[1][int(native().get_word_id(word) >= 0) :].tolist()
    present = load(language.located(language.DEFAULT)).kernels.present
    marked, together = f"<{word}>", [list[Any]()]
    for i in range(len(marked)):
        for size in (2, 3, 4):
            bucket = bucket_of(marked[i : i + size])
            if i + size <= len(marked) and int(present[bucket // 64]) >> bucket % 64 & 1:
                together[-1].append(native().get_input_vector(ids.pop(0)))
        if len(together[-1]) > FLUSHED:
            together.append([])
    assert not ids
    return together


def twin_vector(text: str) -> Any:
    """The vector of a text, of fastText's own rows: words in their order, and a word's rows four at a time."""
    total, features = np.zeros(16, np.float32), 0
    for word in [*filter(None, re.split(r"[ \t\n\v\f\r\0]", text.partition("</s>")[0])), "</s>"]:
        if word.startswith("__label__"):
            continue
        own = native().get_word_id(word)
        vector = native().get_input_vector(own) if own >= 0 else np.zeros(16, np.float32)
        features += own >= 0
        for rows in rows_added(word) if word != "</s>" else []:
            features += len(rows)
            rows += [np.zeros(16, np.float32)] * (-len(rows) % 4)
            for a, b, c, d in zip(*[iter(rows)] * 4, strict=True):
                vector = vector + ((a + b) + (c + d))
        total = total + vector
    return total / np.float32(features)


NUMBERED = " ".join(f"{word}{n % 97} {word}" for n in range(300) for word in ("gold", "washed", "Пески"))
SURE = [
    *SENTENCES.values(),
    NUMBERED,
    "gold " * 500,
    "__label__en gold " * 150,
    "gold </s> sand",
    " ".join(["sand"] * 224),
    "x" * 61,
    *(letter * size for letter in ("x", "ж", "金") for size in (1, 2, 3, 30, 31, 32, 33, 62, 63)),
    "q" * 507,
    "q" * 508,  # with "<" and ">", the longest that is gathered with others
    "q" * 509,
    "ж" * 254,
    "金" * 169 + "x",
    *((letters * 4100)[:size] for letters in ("q", "金ж", "x𝄞é") for size in (509, 2045, 2046, 2047, 4030, 4100)),
    *(
        a + letters * 700 + b for letters in ("q", "qrst") for a in ("", "金" * 800) for b in ("", "é", "𝄞" * 600)
    ),  # ASCII lines
    *("q" * size + "𝄞𝄞𝄞" for size in (2030, 2034, 2036, 3990, 4018)),  # "<" and 2,047 bytes more are a line
    " ".join("𝄞" * n + "é" for n in range(1, 60)),
    " ".join(f"{n}" + "jk" * 250 for n in range(9)),  # as many as four lines of words
    " ".join(["été", "__label__x", "a", "über-größe", "naïve", "𝄞𝄞", "x<y>", "<", ">", "<<>>", "é"]),
]


@pytest.mark.parametrize("slots", [1, 4, 1024, KEPT_WORDS])
def test_vectors_are_the_same_to_the_last_bit_whatever_is_cached(slots: int) -> None:
    """With one slot every word puts out another, also among those that are looked up together."""
    kernels = load(language.located(language.DEFAULT)).kernels
    small = replace(kernels, memory=WordMemory(slots, 16))
    wanted = [twin_vector(text) for text in SURE]
    for _ in range(2):
        assert np.array_equal(small.vectors(Texts.of(SURE)), wanted)


MIXED = st.one_of(
    st.text("abcdeisnt", min_size=1, max_size=4),
    st.text(st.sampled_from("etaionsrhlTHEN129.,-'<>_"), min_size=1, max_size=30),
    st.text(st.sampled_from("eatéüßжиПβأن金’𝄞."), min_size=1, max_size=20),
    st.sampled_from(
        ["</s>", "__label__en", "the", "The", "informationen", "q" * 64, "e" * 300, "der" * 200, "das" * 1400, "ж" * 300]
    ),
)


@given(
    strings=st.lists(st.lists(MIXED, max_size=60).map(" ".join), min_size=1, max_size=4),
    slots=st.sampled_from([1, 8, KEPT_WORDS]),
)
def test_vectors_of_mixed_words_are_the_same_to_the_last_bit(strings: list[str], slots: int) -> None:
    kernels = replace(load(language.located(language.DEFAULT)).kernels, memory=WordMemory(slots, 16))
    assert np.array_equal(kernels.vectors(Texts.of(strings)), [twin_vector(text) for text in strings])


def test_the_sieve_lets_every_known_word_pass_and_few_others() -> None:
    kernels = load(language.located(language.DEFAULT)).kernels
    known, others = Texts.of(native().get_words()), Texts.of([f"{n}jk{n}" for n in range(10_000)])
    for texts, least, most in ((known, 1.0, 1.0), (others, 0.0, 0.1)):
        passed = [may_be_known(h, kernels.sieve) for h in word_hashes(texts.utf8, texts.starts, texts.ends)]
        assert least <= np.mean(passed) <= most


def test_threads_do_not_disturb_each_other() -> None:
    """Kernels run without the GIL, and write the words that they have seen."""
    batches = [
        Texts.of([" ".join(f"{word}{n % k}" for n in range(300) for word in ("gold", "Пески"))] * 20) for k in (97, 150, 211)
    ]
    wanted = [language.likeliest(batch)[1].tolist() for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda n: language.likeliest(batches[n % 3])[1].tolist() == wanted[n % 3], range(60)))
    assert all(found)


@pytest.mark.real
@pytest.mark.parametrize("newlines", [" ", ""])
def test_as_fasttext_says_on_real_pages(newlines: str, real: Path) -> None:
    table = pq.read_table(real / "reference" / "heuristics.parquet", columns=["text"])
    assert_agrees(table["text"].to_pylist()[::12], newlines)
