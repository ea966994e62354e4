"""Labelled examples to a quality classifier, and an honest report of it.

Law: training is deterministic: the sample, the split and the one thread that trains depend on the seed and the examples
alone. The report is of examples that training never saw. Defaults are DCLM's: fastText's own, with word bigrams (2406.11794,
section 4.4; lr 0.1, dim 100, 5 epochs, minCount 1, softmax, 2,000,000 buckets).
"""

import hashlib
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow.parquet as pq

from classifiers.fasttext import PREFIX, Folded, fold, save_fold
from filters.texts import Texts

POSITIVE, NEGATIVE = "hq", "cc"


class TrainingError(ValueError):
    """Examples that nothing can be learned from; the message says which file and why."""


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained; the defaults are the reference's."""

    lr: float = 0.1
    dim: int = 100
    epoch: int = 5
    word_ngrams: int = 2
    min_count: int = 1
    bucket: int = 2_000_000
    held_out: float = 0.1
    per_class: int = 200_000
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """One text and where it comes from."""

    text: str
    source: str


def examples(path: str | Path) -> Iterator[Example]:
    """The examples of a file: Parquet, JSONL, JSON or text, by its rows' shape.

    ``conversations`` (ShareGPT, as OpenHermes-2.5): all values joined by a space, as Marin's reproduction has it.
    ``question`` and ``answer``: joined by a blank line. ``text``: as it is. A ``.txt`` file has one example a line.
    Raises `TrainingError` on other columns.
    """
    path = Path(path)
    for row in _rows(path):
        text = _text(row, path)
        if text.strip():
            yield Example(text, str(row.get("source") or path.name))


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise TrainingError(f"no examples at {path}")
    kind = path.suffix
    try:
        if kind == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches(1024):
                yield from batch.to_pylist()
        elif kind == ".jsonl":
            with path.open(encoding="utf-8") as file:
                yield from (json.loads(line) for line in file if line.strip())
        elif kind == ".json":
            yield from json.loads(path.read_text("utf-8"))
        elif kind == ".txt":
            with path.open(encoding="utf-8") as file:
                yield from ({"text": line} for line in file)
        else:
            raise TrainingError(f"{path}: examples are read from .parquet, .jsonl, .json and .txt files")
    except (ValueError, OSError) as error:
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(f"{path} cannot be read ({error})") from error


def _text(row: Mapping[str, Any], path: Path) -> str:
    if "conversations" in row:
        return " ".join(str(turn.get("value", "")) for turn in row["conversations"])
    if "question" in row and "answer" in row:
        return f"{row['question']}\n\n{row['answer']}"
    if "text" in row:
        return str(row["text"])
    raise TrainingError(
        f"{path} has rows with {', '.join(row)}; expected `text`, or `question` and `answer`, or `conversations`"
    )


def train(
    positive: Sequence[Example],
    negative: Sequence[Example],
    out: str | Path,
    settings: Settings = Settings(),
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Train a classifier into the folder ``out``: ``model.bin``, ``model.fold`` and ``report.json``; gives the report.

    Raises `TrainingError` where a class has no example, or all examples are equal.
    """
    sides = {POSITIVE: _sampled(positive, settings, "positive"), NEGATIVE: _sampled(negative, settings, "negative")}
    if {e.text for e in sides[POSITIVE]} == {e.text for e in sides[NEGATIVE]}:
        raise TrainingError("the positive and the negative examples are the same texts: nothing tells them apart")
    learned = [(label, e) for label, side in sides.items() for e in side[: _learned(side, settings)]]
    held = [(label, e) for label, side in sides.items() for e in side[_learned(side, settings) :]]
    random.Random(settings.seed).shuffle(learned)
    tell(f"training on {len(learned):,} examples, {len(held):,} held out")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    _fit(learned, folder / "model.bin", settings)
    folded = fold(folder / "model.bin")
    _put(folder / "model.fold", lambda half: save_fold(folded, half))
    report = {"settings": asdict(settings), "learned": len(learned), "held_out": len(held), **judged(folded, held)}
    _put(folder / "report.json", lambda half: Path(half).write_text(json.dumps(report, indent=1) + "\n"))
    return report


def _sampled(side: Sequence[Example], settings: Settings, name: str) -> list[Example]:
    """Up to ``per_class`` different examples, in an order that depends on the seed and their texts alone."""
    unique = {example.text: example for example in side if example.text.strip()}
    if not unique:
        raise TrainingError(f"there is no {name} example: a classifier needs both kinds")
    keyed = sorted(unique.values(), key=lambda e: hashlib.sha256(f"{settings.seed}\0{e.text}".encode()).digest())
    return keyed[: settings.per_class]


def _learned(side: Sequence[Example], settings: Settings) -> int:
    """How many examples of a class are learned from: at least one, and all but the held-out share."""
    return max(1, len(side) - int(len(side) * settings.held_out))


def _line(label: str, text: str) -> str:
    words = (word for word in " ".join(text.split()).split(" ") if not word.startswith(PREFIX))
    return f"{PREFIX}{label} {' '.join(words)}\n"


def _fit(learned: Sequence[tuple[str, Example]], out: Path, settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "examples.txt"
        lines.write_text("".join(_line(label, example.text) for label, example in learned), "utf-8")
        model = fasttext.train_supervised(
            str(lines), lr=settings.lr, dim=settings.dim, epoch=settings.epoch, wordNgrams=settings.word_ngrams,
            minCount=settings.min_count, bucket=settings.bucket, loss="softmax", thread=1, seed=settings.seed, verbose=0,
        )  # fmt: skip
        _put(out, lambda half: model.save_model(str(half)))


def _put(path: Path, write: Callable[[str], Any]) -> None:
    half = path.with_name(f".half-{os.getpid()}-{path.name}")
    try:
        write(str(half))
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def judged(model: Folded, held: Sequence[tuple[str, Example]]) -> dict[str, Any]:
    """How well a model tells held-out examples apart: AUC, accuracy at 0.5, and the mean score by source."""
    if not held:
        return {"auc": None, "accuracy": None, "mean_score_by_source": {}}
    scores = model.probability(Texts.of([example.text for _, example in held]), POSITIVE)
    truth = np.array([label == POSITIVE for label, _ in held])
    by_source: dict[str, list[float]] = {}
    for (label, example), score in zip(held, scores, strict=True):
        by_source.setdefault(f"{label}: {example.source}", []).append(float(score))
    return {
        "auc": auc(scores, truth),
        "accuracy": float(((scores >= 0.5) == truth).mean()),
        "mean_score_by_source": {source: float(np.mean(values)) for source, values in sorted(by_source.items())},
    }


def auc(scores: Any, truth: Any) -> float | None:
    """The chance that a positive is scored above a negative, ties half; None where a class is missing.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left")
    upto = np.searchsorted(negative, positive, "right")
    return float((below + upto).sum() / 2 / len(positive) / len(negative))
