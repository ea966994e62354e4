"""Words without spaces: ICU's and UAX 29's, and the signals that count them."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.edits import KeepLines
from goldwash.filters.segmentation import CUTTERS, SegmentationError, icu, icu_words
from goldwash.filters.signals import SIGNALS, Keep
from goldwash.filters.texts import Texts
from tests.support.strategies import PIECES

icu4py = pytest.importorskip("icu4py")

SENTENCES = {
    "中国科学技术大学的学生今天去图书馆学习。": [
        "中国",
        "科学",
        "技术",
        "大学",
        "的",
        "学生",
        "今天",
        "去",
        "图书",
        "馆",
        "学习",
    ],
    "私は昨日友達と図書館で本を読みました。": [
        "私",
        "は",
        "昨日",
        "友達",
        "と",
        "図書館",
        "で",
        "本",
        "を",
        "読み",
        "ま",
        "した",
    ],
    "ภาษาไทยเป็นภาษาที่มีระดับเสียง": ["ภาษา", "ไทย", "เป็น", "ภาษา", "ที่", "มี", "ระดับ", "เสียง"],
    "ខ្ញុំស្រឡាញ់ប្រទេសកម្ពុជា": ["ខ្ញុំ", "ស្រឡាញ់", "ប្រទេស", "កម្ពុជា"],
    "ພາສາລາວເປັນພາສາ": ["ພາສາ", "ລາວ", "ເປັນ", "ພາສາ"],
    "မြန်မာနိုင်ငံသည်တွင်ရှိသည်": ["မြန်မာနိုင်ငံ", "သည်", "တွင်", "ရှိ", "သည်"],
}
"""A sentence each in Chinese, Japanese, Thai, Khmer, Lao and Burmese, with its words."""


WORD_SIGNALS = (
    "word_count", "fasttext_word_count", "mean_word_length", "longest_word_length", "newline_word_ratio", "symbol_word_ratio",
    "nonalphabetic_word_fraction", "stop_word_count", "distinct_stop_word_count", "top_2gram_character_fraction",
    "repeated_5gram_character_fraction", "duplicate_5gram_character_fraction",
)  # fmt: skip


def cut(strings: list[str], *ways: str) -> Texts:
    return Texts.of(strings).cut_by(np.array([CUTTERS.index(way) for way in ways], np.uint8))


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_of_each_language(sentence: str) -> None:
    assert list(cut([sentence], "icu").words) == SENTENCES[sentence]
    assert len(list(Texts.of([sentence]).words)) == 1


@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=4))
def test_icus_words_are_its_pieces_that_begin_alphanumeric(strings: list[str]) -> None:
    texts = Texts.of(strings)
    starts, ends, parents = icu_words(texts.utf8, texts.starts, texts.ends)
    for n, string in enumerate(strings):
        rows = range(parents[n], parents[n + 1])
        found = [bytes(texts.utf8[starts[row] : ends[row]]).decode() for row in rows]
        assert found == [piece for piece in icu()(string, "en") if piece[0].isalnum()]


@given(st.lists(st.tuples(st.sampled_from([*SENTENCES, "", "one two", "a\n\nb c 中文"]), st.sampled_from(CUTTERS)), max_size=6))
def test_a_mixed_batch_is_its_texts_one_by_one(pairs: list[tuple[str, str]]) -> None:
    batch = cut([text for text, _ in pairs], *(way for _, way in pairs))
    rows = np.arange(len(batch))[::-1]
    for texts, order in ((batch, np.arange(len(batch))), (batch.take(rows), rows)):
        for n, row in enumerate(order):
            own = list(texts.words)[texts.words.parents[n] : texts.words.parents[n + 1]]
            assert own == list(cut([pairs[row][0]], pairs[row][1]).words)
    for name in WORD_SIGNALS:
        signal = SIGNALS[name]
        alone = [signal.measure(cut([text], way))[0] for text, way in pairs]
        np.testing.assert_array_equal(signal.measure(batch), np.array(alone).reshape(-1), err_msg=name)


def test_signals_count_the_words_of_the_cutter() -> None:
    text = "中国科学技术大学的学生。"
    for way, count, mean in (("spaces", 1, 12.0), ("uax29", 11, 1.0), ("icu", 6, 11 / 6)):
        texts = cut([text], way)
        assert SIGNALS["word_count"].measure(texts) == [count]
        assert SIGNALS["fasttext_word_count"].measure(texts) == [count]
        assert SIGNALS["mean_word_length"].measure(texts) == [pytest.approx(mean)]
    stop = SIGNALS["distinct_stop_word_count"].bind(words=("的", "学生", "在"))
    assert stop.measure(cut([text], "icu")) == [2]
    assert stop.measure(cut([text], "spaces")) == [0]


def test_ngrams_are_of_the_words_of_the_cutter() -> None:
    text = "图书馆学习。" * 30
    assert SIGNALS["top_2gram_character_fraction"].measure(cut([text], "icu"))[0] > 0.5
    plain = Texts.of(["one two one two", text])
    mixed = cut(["one two one two", text], "spaces", "icu")
    signal = SIGNALS["top_2gram_character_fraction"]
    assert signal.measure(mixed)[0] == signal.measure(plain)[0]


def test_lines_have_the_cutter_of_their_text_and_edits_keep_it() -> None:
    texts = cut(["中国科学\n学生今天去图书馆", "one two\nthree"], "icu", "spaces")
    assert SIGNALS["word_count"].measure(texts.lines).tolist() == [2, 5, 2, 1]
    left = KeepLines(Keep(SIGNALS["word_count"], min=2))(texts)
    assert list(left) == ["中国科学\n学生今天去图书馆", "one two"]
    assert texts.replace(np.array([1]), Texts.of(["x"])).cutters is texts.cutters


def test_texts_cut_at_spaces_are_as_if_nothing_was_said() -> None:
    assert cut(["a b"], "spaces").cutters is None


def test_without_icu_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icu4py.breakers", None)
    with pytest.raises(SegmentationError, match=r"goldwash\[languages\]"):
        icu()
