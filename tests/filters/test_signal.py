"""Declaring signals and edits, bounds, and what a wrong use says."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goldwash.filters import Keep, Texts, edit, per_text, signal
from goldwash.filters.edits import KeepLines
from goldwash.filters.signal import EDITS, SIGNALS, SignalError
from goldwash.filters.words import character_count, stop_word_count, word_count


@pytest.fixture(autouse=True)
def declared_here() -> Iterator[None]:
    """What a test declares is forgotten after it."""
    signals, declared_edits = dict(SIGNALS), dict(EDITS)
    yield
    for table, before in ((SIGNALS, signals), (EDITS, declared_edits)):
        table.clear()
        table.update(before)


VALUES = np.array([-math.inf, -1, 0, 0.5, 1, 2, math.inf, math.nan])


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"min": 0.5}, [0.5, 1, 2, math.inf]),
        ({"max": 0.5}, [-math.inf, -1, 0, 0.5]),
        ({"above": 0.5}, [1, 2, math.inf]),
        ({"below": 0.5}, [-math.inf, -1, 0]),
        ({"min": 0, "max": 1}, [0, 0.5, 1]),
        ({"above": 0, "below": 1}, [0.5]),
        ({"min": 0, "above": 0, "max": 2}, [0.5, 1, 2]),
        ({"min": 1, "max": 1}, [1]),
        ({"above": 1, "below": 1}, []),
        ({"max": math.inf}, [-math.inf, -1, 0, 0.5, 1, 2, math.inf]),
    ],
)
def test_bounds(bounds: dict[str, float], kept: list[float]) -> None:
    assert VALUES[Keep(word_count, **bounds).passes(VALUES)].tolist() == kept


def test_bounds_on_whole_numbers() -> None:
    assert Keep(word_count, min=2, below=4).passes(np.array([1, 2, 3, 4])).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "give min, max, above or below"),
        ({"min": 2, "max": 1}, "lower bound 2 is above"),
        ({"above": 2, "max": 1}, "lower"),
    ],
)
def test_impossible_bounds(bounds: dict[str, float], message: str) -> None:
    with pytest.raises(SignalError, match=message):
        Keep(word_count, **bounds)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"min": 50, "max": 100000}, "50 <= word_count <= 100000"),
        ({"above": 0.65}, "0.65 < word_count"),
        ({"below": 2}, "word_count < 2"),
    ],
)
def test_bounds_in_words(bounds: dict[str, float], said: str) -> None:
    assert Keep(word_count, **bounds).bounds == said


def test_per_text_with_parameters() -> None:
    @per_text
    def occurrences(text: str, needle: str = "a") -> float:
        """How often a needle stands in the text.

        More.
        """
        return text.count(needle)

    texts = Texts.of(["banana", ""])
    assert occurrences(texts).tolist() == [3, 0]
    assert occurrences.bind(needle="n")(texts).tolist() == [2, 0]
    assert occurrences(texts).dtype == np.float64
    assert occurrences.defaults() == {"needle": "a"}
    assert occurrences.summary == "How often a needle stands in the text."
    assert SIGNALS["occurrences"] is occurrences


def test_parameters_have_their_own_memory() -> None:
    texts = Texts.of(["the cat"])
    assert stop_word_count(texts).tolist() == [1]
    assert stop_word_count.bind(words=["cat", "the"])(texts).tolist() == [2]
    assert stop_word_count.bind(words=["dog"])(texts).tolist() == [0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"wrds": ("a",)}, "did you mean 'words'"),
        ({"zzz": 1}, "no parameter 'zzz'; it has: words"),
    ],
)
def test_unknown_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SignalError, match=message):
        stop_word_count.bind(**parameters)


def test_missing_parameter() -> None:
    with pytest.raises(SignalError, match="url_word_count needs the parameter 'phrases'"):
        SIGNALS["url_word_count"].bind(ignoring="-")


def test_no_parameters_at_all() -> None:
    with pytest.raises(SignalError, match="it has: none"):
        word_count.bind(min=3)


@pytest.mark.parametrize(
    "wrong", [lambda t: 1, lambda t: np.zeros((len(t), 2)), lambda t: np.zeros(len(t) + 1), lambda t: np.array(["a"] * len(t))]
)
def test_a_signal_that_gives_no_numbers(wrong: Any) -> None:
    with pytest.raises(SignalError, match="return one number a text"):
        signal(name="wrong")(wrong)(Texts.of(["a", "b"]))


@pytest.mark.parametrize("wrong", [lambda texts: texts.take(np.array([0])), lambda texts: list(texts)])
def test_an_edit_that_gives_other_rows(wrong: Any) -> None:
    with pytest.raises(SignalError, match="must return Texts of 2 rows"):
        edit(wrong)(Texts.of(["a", "b"]))


def test_two_of_one_name(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text("def word_count(texts):\n    return texts.byte_counts\n")
    made: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), made)
    with pytest.raises(SignalError, match=r"two are called word_count: one in .*words.py, one in .*mine.py; rename yours"):
        signal(made["word_count"])
    assert SIGNALS["word_count"] is word_count


def test_a_module_that_is_loaded_again_may_declare_again() -> None:
    for _ in range(2):

        @signal
        def mine(texts: Texts) -> Any:
            """Bytes."""
            return texts.byte_counts

    assert SIGNALS["mine"] is mine


def test_edits_and_line_rules_have_names() -> None:
    assert KeepLines(Keep(word_count, min=1)).name == "lines.word_count"
    assert character_count.name == "character_count"
