"""Values by hand, from the papers' rules (Gopher 2112.11446, table A1; RefinedWeb 2306.01116, G.2; DCLM 2406.11794)."""

from typing import Any

import numpy as np
import pytest

from goldwash.filters import edits, lines, repetition, words  # noqa: F401  (they declare their signals)
from goldwash.filters.edits import KeepLines
from goldwash.filters.links import top_level_domains
from goldwash.filters.signals import EDITS, SIGNALS, Keep, SignalError
from goldwash.filters.texts import Texts

NAN = float("nan")

SIGNAL_VALUES: list[tuple[str, str, float]] = [
    ("mean_word_length", "ab  abcd\n", 3),
    ("mean_word_length", "né 中文", 2),
    ("mean_word_length", " \n", NAN),
    ("symbol_word_ratio", "#a b… c... d. . . e", 4 / 7),
    ("symbol_word_ratio", "......", 2),
    ("symbol_word_ratio", "....", 1),
    ("symbol_word_ratio", ". . . . .", 0.2),
    ("hash_word_ratio", "# #a b", 2 / 3),
    ("ellipsis_word_ratio", "# … b", 1 / 3),
    ("nonalphabetic_word_fraction", "a 1 -- b2", 0.5),
    ("nonalphabetic_word_fraction", "", NAN),
    ("stop_word_count", "The cat, the dog and THE, of", 4),
    ("distinct_stop_word_count", "The cat, the dog and THE, of", 3),
    ("uppercase_fraction", "ABc ", 0.5),
    ("uppercase_fraction", "", 0),
    ("uppercase_fraction", "ÉÉ", 1),
    ("digit_fraction", "12a²", 0.75),  # str.isdigit has superscripts
    ("digit_fraction", "½Ⅷ", 0),
    ("bullet_line_fraction", "* a\n\n - b\n•c\nd\n", 0.75),
    ("bullet_line_fraction", "\n", 0),
    ("ellipsis_line_fraction", "a...\nb…  \nc. . .\nd..\n", 0.75),
    ("character_count", "né𝔘", 3),
    ("counter_line_count", "• 1.2K Views!", 1),
    ("counter_line_count", "1 like", 0),  # plural nouns only
    ("counter_line_count", "3 likes today", 0),
    ("counter_line_count", "K likes", 0),
    ("counter_line_count", "5\u00a0likes", 1),
    # a a b c: every copy (DCLM) and copies after the first (Gopher)
    ("repeated_line_fraction", "a\nbbb\na \n\nc", 0.5),
    ("duplicate_line_fraction", "a\nbbb\na \n\nc", 0.25),
    ("repeated_line_character_fraction", "a\nbbb\na \n\nc", 2 / 6),
    ("duplicate_line_character_fraction", "a\nbbb\na \n\nc", 1 / 6),
    ("repeated_paragraph_fraction", "a\nb\n\n\na\nb\n\nc", 2 / 3),
    ("duplicate_paragraph_character_fraction", "a\nb\n\n\na\nb\n\nc", 3 / 7),
    ("repeated_line_fraction", "once", 0),
    ("repeated_line_fraction", " \n", NAN),
    # "ab c" twice, in 7 characters: 2 * 3 / 7
    ("top_2gram_character_fraction", "ab c, d ab c!", 6 / 7),
    # (a, bb) and (c, dd) twice each: the longer wins, of 14 characters
    ("top_2gram_character_fraction", "a bb 1 a bb 2 ccc dd 3 ccc dd", 10 / 19),
    ("top_2gram_character_fraction", "a b c d", 0),
    ("top_2gram_character_fraction", "A b a b", 0),  # case is told apart
    ("top_3gram_character_fraction", "a a a a", 6 / 4),  # overlapping copies count
    ("top_4gram_character_fraction", "", 0),
    ("repeated_5gram_character_fraction", "a b c d e X a b c d e Y", 10 / 12),
    ("duplicate_5gram_character_fraction", "a b c d e X a b c d e Y", 5 / 12),
    ("repeated_5gram_character_fraction", "a a a a a a a", 1),
    ("duplicate_5gram_character_fraction", "a a a a a a a", 6 / 7),
    ("repeated_10gram_character_fraction", "a b c d e f g h i a b c d e f g h i", 0),
    ("repeated_6gram_character_fraction", "a b c d e f a b c d e f", 1),
    ("duplicate_6gram_character_fraction", "a b c d e f a b c d e f", 0.5),
]


@pytest.mark.parametrize(("name", "text", "value"), SIGNAL_VALUES)
def test_signal(name: str, text: str, value: float) -> None:
    np.testing.assert_array_equal(SIGNALS[name](Texts.of([text])), [value])


ACTIVE = {"only_after_tld": True}  # "This" begins with .th, "Our" with nothing
NO_BARE = {"bare_hosts": False}

EDIT_VALUES: list[tuple[str, dict[str, Any], str, str]] = [
    ("squeeze_newlines", {}, "a\n\n\n\nb\n\nc\n \n\n\nd", "a\n\nb\n\nc\n \n\nd"),
    ("squeeze_newlines", {"max": 1}, "\n\na\n\n", "\na\n"),
    ("squeeze_newlines", {"max": 2}, "a\r\n\r\n\r\nb", "a\r\n\r\nb"),
    ("remove_urls", {}, "See http://example.com/a?b=c#d for it", "See for it"),
    ("remove_urls", {}, "See\n\n  example.com", "See"),
    ("remove_urls", {}, "Mail me@example.com, now", "Mail, now"),
    ("remove_urls", {}, "Run main.py in asp.net", "Run in"),
    ("remove_urls", {}, "It ended here.It began", "It ended here.It began"),
    ("remove_urls", {}, "a.comx a.com_ x", "a.comx a.com_ x"),
    ("remove_urls", {}, "x" * 300 + ".com", "x" * 44),
    ("remove_urls", {}, "a" + " " * 12 + "b.com", "a  "),
    ("remove_urls", {}, "at 192.168.0.1:80/x, or v1.2.3", "at, or v1.2.3"),
    ("remove_urls", {}, "https://пример.рф/путь x", "https://пример.рф/путь x"),  # only ASCII before the last dot
    ("remove_urls", {}, "see a.рф/x y", "see y"),
    ("remove_urls", {}, "http://a.com", ""),
    ("remove_urls", ACTIVE, "This is example.com.", "This is"),
    ("remove_urls", ACTIVE, "Our is example.com.", "Our is example.com."),
    ("remove_urls", ACTIVE, " This is example.com", " This is example.com"),
    ("remove_urls", ACTIVE, "Our is 1.2.3.4", "Our is"),  # addresses always
    ("remove_urls", NO_BARE, "main.py www.a.com/x http://b.org me@c.com", "main.py me@c.com"),
    ("remove_urls", NO_BARE, "v1.2.3.4 http://1.2.3.4/x ftp://a.com", "v1.2.3.4"),
    ("remove_urls", {"tlds": ["zz"]}, "a.zz b.com", " b.com"),
    ("delete_phrase", {"phrase": "items in cart"}, "3 items in cart\nb", "3\nb"),
    ("delete_phrase", {"phrase": "items in cart"}, " Items in Cart \nb", "b"),
    ("delete_phrase", {"phrase": "items in cart", "max_words": 3}, "b\n3 items in cart", "b\n3 items in cart"),
    ("delete_phrase", {"phrase": "Sign-in", "position": "prefix"}, "Sign-in now\nto Sign-in", "now\nto Sign-in"),
    (
        "delete_phrase",
        {"phrase": "Read more...", "position": "suffix"},
        "x\nand Read more...\nread more>>>",
        "x\nand\nread more>>>",
    ),
    (
        "delete_phrase",
        {"phrase": "Read more...", "position": "suffix", "dot_is_any_character": True},
        "x\nand Read more>>>\nRead more\nread more... x",
        "x\nand\nRead more\nread more... x",
    ),
    ("delete_phrase", {"phrase": "Read more...", "position": "suffix"}, " a \n", "a"),
]


@pytest.mark.parametrize(("name", "parameters", "text", "after"), EDIT_VALUES)
def test_edit(name: str, parameters: dict[str, Any], text: str, after: str) -> None:
    assert list(EDITS[name].bind(**parameters)(Texts.of([text]))) == [after]


@pytest.mark.parametrize(
    ("signal", "bounds", "options", "text", "after"),
    [
        ("uppercase_fraction", {"max": 0.5}, {}, "SHOUT\nAbCd\n\nABc\n", "AbCd"),
        ("digit_fraction", {"max": 0.999999}, {}, "a\n123\n1 2\n\nb", "a\n1 2\n\nb"),
        ("counter_line_count", {"max": 0}, {}, "a\n3 likes\n1 like", "a\n1 like"),
        ("word_count", {"min": 2}, {"strip": False}, "\na b\none\n \n\nc d\n", "\na b\n\nc d\n"),
        ("word_count", {"min": 2}, {"empty": False}, "\na b\none\n \n\nc d\n", "a b\nc d"),
        ("word_count", {"min": 9}, {}, "one", ""),
    ],
)
def test_keep_lines(signal: str, bounds: dict[str, float], options: dict[str, bool], text: str, after: str) -> None:
    assert list(KeepLines(Keep(SIGNALS[signal], **bounds), **options)(Texts.of([text]))) == [after]


@pytest.mark.parametrize("text", ["sign-in now", "3 items in cart", "a sign-in"])
def test_delete_phrase_in_a_text_of_one_line(text: str) -> None:
    phrase = "items in cart" if "cart" in text else "sign-in"
    edited = EDITS["delete_phrase"].bind(phrase=phrase)(Texts.of([text, "x"]))
    assert [t.strip() for t in edited] == [text.replace(phrase, "").strip(), "x"]


def test_an_unknown_position() -> None:
    with pytest.raises(ValueError, match="give one of: anywhere, prefix, suffix"):
        EDITS["delete_phrase"].bind(phrase="x", position="middle")(Texts.of(["x"]))


def test_phrases_ignore_case_beyond_ascii() -> None:
    edited = EDITS["delete_phrase"].bind(phrase="читать далее")(Texts.of(["x\nтекст ЧИТАТЬ ДАЛЕЕ"]))
    assert list(edited) == ["x\nтекст"]


@pytest.mark.parametrize("noun", ["просмотров", "j'aime", ""])
def test_counters_of_other_alphabets_are_refused(noun: str) -> None:
    with pytest.raises(SignalError, match="has other characters than ASCII letters"):
        SIGNALS["counter_line_count"].bind(nouns=("likes", noun))(Texts.of(["3 likes"]))


@pytest.mark.parametrize("name", ["stop_word_count", "distinct_stop_word_count"])
def test_a_stop_word_listed_twice_counts_once(name: str) -> None:
    assert SIGNALS[name].bind(words=("The", "the"))(Texts.of(["the"])).tolist() == [1]


def test_top_level_domains() -> None:
    known = top_level_domains()
    assert {"com", "uk", "museum", "рф", "भारत", "zippo", "py", "it"} <= set(known)
    assert len(known) > 1500
    assert all(tld == tld.lower() and "." not in tld for tld in known)
