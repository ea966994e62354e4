"""Multiple choice: every layout, scoring against a plain twin, and bad files."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.choices import Item, read_items, score

ROWS: list[tuple[dict[str, Any], tuple[str, str], int]] = [
    ({"query": "2 + 2 is", "choices": ["4", "5"], "gold": 0}, ("2 + 2 is", " 4"), 0),
    ({"context_options": ["so Ann", "so Bob"], "continuation": "was gone", "gold": 0}, ("so Ann", " was gone"), 0),
    ({"question": "Gold?", "choices": ["Fe", "Au"], "answer": 1}, ("Question: Gold?\nAnswer:", " Au"), 1),
    ({"question": "Gold?", "choices": ["Fe", "Au"], "answer": "B"}, ("Question: Gold?\nAnswer:", " Au"), 1),
    (
        {"question": "Gold?", "choices": {"text": ["Fe", "Au"], "label": ["1", "2"]}, "answerKey": "2"},
        ("Question: Gold?\nAnswer:", " Au"), 1,
    ),
    ({"ctx": "He pans", "endings": ["gold.", "music."], "label": "0"}, ("He pans", " gold."), 0),
    ({"goal": "Find gold", "sol1": "pan", "sol2": "sleep", "label": 0}, ("Find gold", " pan"), 0),
    ({"sentence": "The pan beat the sieve as _ was new.", "option1": "the pan", "option2": "the sieve", "answer": "1"},
     ("The pan beat the sieve as the pan", " was new."), 0),
    ({"premise": "It rained.", "choice1": "I got wet.", "choice2": "I slept.", "question": "effect", "label": 0},
     ("It rained therefore", " i got wet."), 0),
]  # fmt: skip


@pytest.mark.parametrize(("row", "pair", "gold"), ROWS)
def test_layouts(tmp_path: Path, row: dict[str, Any], pair: tuple[str, str], gold: int) -> None:
    path = tmp_path / "task.jsonl"
    path.write_text(json.dumps(row) + "\n\n")
    item = read_items(str(path))[0]
    assert item.gold == gold
    assert item.choices[gold] == pair
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "task.parquet")
    assert read_items(str(tmp_path / "task.parquet")) == [item]


def test_mmlu_with_and_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('"One, two?",a,b,c,d,C\n')
    (tmp_path / "b.csv").write_text('question,choice0,choice1,choice2,choice3,answer\n"One, two?",a,b,c,d,2\n')
    assert read_items(str(tmp_path / "a.csv")) == read_items(str(tmp_path / "b.csv"))


@pytest.mark.real
def test_real_mmlu(real: Path) -> None:
    for file in sorted((real / "mmlu" / "test").glob("*.csv"))[:3]:
        items = read_items(str(file))
        assert len(items) >= 90
        assert all(len(item.choices) == 4 for item in items)


class ByLength:
    """A model that gives each byte the same probability, and favours some words."""

    def __init__(self, favoured: Sequence[str] = ()) -> None:
        self.favoured = favoured

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        per_byte = [math.log(2) * (1 if c.strip() in self.favoured else 3) for _, c in pairs]
        return np.array([-bits * len(c.encode()) for bits, (_, c) in zip(per_byte, pairs, strict=True)])


def items(count: int) -> list[Item]:
    return [Item((("q", " é"), ("q", " wrong")), 0) for _ in range(count)]


def test_a_model_that_knows_and_one_that_does_not() -> None:
    knows, guesses = score(items(50), ByLength(["é"])), score(items(50), ByLength(["wrong"]))
    assert (knows.accuracy, guesses.accuracy) == (1, 0)
    assert knows.bits_per_byte == pytest.approx(1)
    assert guesses.bits_per_byte == pytest.approx(3)
    assert knows.above_chance
    assert not guesses.above_chance
    assert knows.chance == 0.5


def test_scoring_in_plain_python() -> None:
    generator = np.random.default_rng(0)
    made = [
        Item(tuple(("c", " " + "x" * int(n)) for n in generator.integers(1, 9, 3)), int(generator.integers(3)))
        for _ in range(40)
    ]
    logs = -generator.exponential(3, 120)

    class Fixed:
        def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
            return logs

    found = score(made, Fixed())
    right, bits, size = 0, 0.0, 0
    for i, item in enumerate(made):
        per_byte = [logs[3 * i + k] / len(c.encode()) for k, (_, c) in enumerate(item.choices)]
        right += per_byte.index(max(per_byte)) == item.gold
        bits -= logs[3 * i + item.gold] / math.log(2)
        size += len(item.choices[item.gold][1].encode())
    assert found.accuracy == right / 40
    assert found.bits_per_byte == pytest.approx(bits / size)
    assert found.accuracy_interval[0] <= found.accuracy <= found.accuracy_interval[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found none"),
        ('{"a": 1}\n', "unknown layout with a"),
        ('{"query": "q", "choices": ["a", "b"], "gold": 2}\n', "answer 2 is none of 2 choices"),
        ('{"query": "q", "choices": ["a"], "gold": 0}\n', "none of 1 choices"),
        ('{"query": "q", "choices": 3, "gold": 0}\n', "record 1"),
        ('{"sentence": "no blank", "option1": "a", "option2": "b", "answer": "1"}\n', "no blank"),
        ("not json\n", "cannot read a task"),
        ("3\n", "one JSON object"),
    ],
)
def test_tasks_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "task.jsonl"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=message):
        read_items(str(path))


def test_a_model_that_returns_nonsense() -> None:
    class Nonsense:
        def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
            return np.full(len(pairs), 0.5)

    with pytest.raises(EvidenceError, match="log probabilities"):
        score(items(2), Nonsense())
    with pytest.raises(EvidenceError, match="at least one item"):
        score([], ByLength())
