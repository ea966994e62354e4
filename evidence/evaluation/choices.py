"""Multiple-choice tasks: reading items in the usual layouts, and scoring them by the likelihood that a model gives each choice.

Invariants: a model answers with the choice of the highest log likelihood per UTF-8 byte; ties go to the first. Bits per byte of
the right answer need no wrong choices, and move long before accuracy leaves chance. Intervals are bootstraps over items.
Layouts (JSONL, JSON, CSV, Parquet): ``query, choices, gold`` (llm-foundry, nanochat), ``context_options, continuation, gold``
(schema), ``question, choices, answer`` (MMLU), ``question, choices {text, label}, answerKey`` (ARC, OpenBookQA,
CommonsenseQA), ``ctx, endings, label`` (HellaSwag), ``goal, sol1, sol2, label`` (PIQA), ``sentence, option1, option2, answer``
(WinoGrande), ``premise, choice1, choice2, question, label`` (COPA), and MMLU's CSV with and without a header.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.fit import interval
from goldwash.text_output import printable

LETTERS = "ABCDEFGHIJ"


class Model(Protocol):
    """What scores text: a proxy of `goldwash.evidence.proxies`, or a Hugging Face model."""

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Natural log of the probability of each continuation given its context, float64[pairs]."""


@dataclass(frozen=True)
class Item:
    """One question: (context, continuation) for each choice, and the number of the right one."""

    choices: tuple[tuple[str, str], ...]
    gold: int


@dataclass(frozen=True)
class Score:
    """Accuracy, and bits per byte of the right answer, each with its 95% interval; ``chance`` is guessing's accuracy."""

    items: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    bits_per_byte: float
    bits_interval: tuple[float, float]
    chance: float

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval is above guessing."""
        return self.accuracy_interval[0] > self.chance


def score(items: Sequence[Item], model: Model, replicates: int = 1000, seed: int = 0) -> Score:
    """Score a model. Raises `EvidenceError` for no items, and for likelihoods that are no log probabilities."""
    if not items:
        raise EvidenceError("expected at least one item, found none")
    pairs = [pair for item in items for pair in item.choices]
    logs = np.asarray(model.log_likelihoods(pairs), np.float64)
    if logs.shape != (len(pairs),) or np.isnan(logs).any() or (logs > 1e-6).any():
        raise EvidenceError(f"the model must return {len(pairs)} log probabilities of at most 0, found shape {logs.shape}")
    sizes = np.array([max(len(continuation.encode()), 1) for _, continuation in pairs], np.float64)
    right, bits, lengths, at = np.empty(len(items)), np.empty(len(items)), np.empty(len(items)), 0
    for number, item in enumerate(items):
        rows = slice(at, at + len(item.choices))
        right[number] = int(np.argmax(logs[rows] / sizes[rows])) == item.gold
        bits[number], lengths[number] = -logs[at + item.gold] / math.log(2), sizes[at + item.gold]
        at += len(item.choices)
    drawn = np.random.default_rng(seed).integers(len(items), size=(replicates, len(items)))
    return Score(
        len(items), float(right.mean()), interval(right[drawn].mean(axis=1)),
        float(bits.sum() / lengths.sum()), interval(bits[drawn].sum(axis=1) / lengths[drawn].sum(axis=1)),
        float(np.mean([1 / len(item.choices) for item in items])),
    )  # fmt: skip


def read_items(path: str) -> list[Item]:
    """The items of a task file. Raises `EvidenceError` with the record for a layout that is not known or a wrong answer."""
    rows = _rows(path)
    items = []
    for number, row in enumerate(rows, 1):
        reader = next((read for keys, read in LAYOUTS if keys <= row.keys()), None)
        if reader is None:
            raise EvidenceError(f"{path}, record {number}: unknown layout with {', '.join(map(printable, row)) or 'no fields'}")
        try:
            item = reader(row)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise EvidenceError(f"{path}, record {number}: {printable(error)}") from None
        if len(item.choices) < 2 or not 0 <= item.gold < len(item.choices):
            raise EvidenceError(f"{path}, record {number}: answer {item.gold} is none of {len(item.choices)} choices")
        items.append(item)
    if not items:
        raise EvidenceError(f"{path}: expected items of a multiple-choice task, found none")
    return items


def _rows(path: str) -> list[Mapping[str, Any]]:
    try:
        if path.endswith(".parquet"):
            import pyarrow as pa

            from goldwash.pipeline.storage.parquet import read_whole

            try:
                return list(read_whole(path).to_pylist())
            except pa.ArrowInvalid as error:
                raise EvidenceError(f"{path}: cannot read a task: {error}") from None
        text = Path(path).read_bytes().decode("utf-8-sig")
        if path.endswith(".csv"):
            return _csv_rows(text)
        values = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x.strip()]
    except (OSError, ValueError) as error:
        if isinstance(error, EvidenceError):
            raise
        raise EvidenceError(f"{path}: cannot read a task: {error}") from None
    if not all(isinstance(value, dict) for value in values):
        raise EvidenceError(f"{path}: expected one JSON object per item")
    return list(values)


def _csv_rows(text: str) -> list[Mapping[str, Any]]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if rows and len(rows[0]) == 6 and rows[0][5].strip() in tuple(LETTERS):  # MMLU as published has no header
        return [{"question": row[0], "choices": row[1:5], "answer": row[5]} for row in rows]
    found: list[Mapping[str, Any]] = []
    for row in rows[1:]:
        named: dict[str, Any] = dict(zip(rows[0], row, strict=False))
        columns = sorted((c for c in named if c.startswith("choice") and c[6:].isdigit()), key=lambda c: int(c[6:]))
        if {"question", "answer"} <= named.keys() and columns and "premise" not in named:
            named = {"question": named["question"], "choices": [named[c] for c in columns], "answer": named["answer"]}
        found.append(named)
    return found


def _after(context: str, choices: Sequence[str], gold: int) -> Item:
    """The choices after one context, each with a space before it."""
    return Item(tuple((context, f" {str(choice).strip()}") for choice in choices), gold)


def _number(answer: Any) -> int:
    text = str(answer).strip()
    return LETTERS.index(text) if len(text) == 1 and text in LETTERS else int(text)


def _question(row: Mapping[str, Any]) -> Item:
    return _after(f"Question: {row['question']}\nAnswer:", row["choices"], _number(row["answer"]))


def _labelled(row: Mapping[str, Any]) -> Item:
    choices = row["choices"]
    texts, labels = choices["text"], [str(label) for label in choices["label"]]
    return _after(
        f"Question: {row.get('question', row.get('question_stem'))}\nAnswer:", texts, labels.index(str(row["answerKey"]))
    )


def _schema(row: Mapping[str, Any]) -> Item:
    return Item(tuple((context, f" {row['continuation'].strip()}") for context in row["context_options"]), _number(row["gold"]))


def _winogrande(row: Mapping[str, Any]) -> Item:
    before, blank, after = row["sentence"].partition("_")
    if not blank:
        raise ValueError("the sentence has no blank '_'")
    pairs = tuple((before + row[option], f" {after.strip()}") for option in ("option1", "option2"))
    return Item(pairs, int(row["answer"]) - 1)


def _copa(row: Mapping[str, Any]) -> Item:
    link = {"cause": "because", "effect": "therefore"}[row["question"]]
    choices = [c[:1].lower() + c[1:] for c in (row["choice1"], row["choice2"])]
    return _after(f"{row['premise'].strip().rstrip('.')} {link}", choices, int(row["label"]))


LAYOUTS: Sequence[tuple[set[str], Callable[[Mapping[str, Any]], Item]]] = (
    ({"context_options", "continuation", "gold"}, _schema),
    ({"query", "choices", "gold"}, lambda row: _after(str(row["query"]).rstrip(), row["choices"], _number(row["gold"]))),
    ({"premise", "choice1", "choice2", "question", "label"}, _copa),
    ({"choices", "answerKey"}, _labelled),
    ({"question", "choices", "answer"}, _question),
    ({"ctx", "endings", "label"}, lambda row: _after(row["ctx"], row["endings"], int(row["label"]))),
    ({"goal", "sol1", "sol2", "label"}, lambda row: _after(row["goal"], [row["sol1"], row["sol2"]], int(row["label"]))),
    ({"sentence", "option1", "option2", "answer"}, _winogrande),
)
