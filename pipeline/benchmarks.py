"""Benchmarks as items: questions with options, from the files that they are published in.

Law: an item says which benchmark, subject and number it is. Nothing is fetched that a recipe does not name. ``mmlu`` is the
folder that ``$GOLDWASH_BENCHMARKS/mmlu`` holds; a path is a file or folder of CSV, JSONL or Parquet; ``sample`` is the
built-in one.
"""

import csv
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from filters.texts import Texts
from pipeline.dedup.overlap import found, index_of
from pipeline.sample import write_sample
from pipeline.shards import DataError

SAMPLE = "sample"


@dataclass(frozen=True)
class Item:
    """A question of a benchmark and its options (none for plain text)."""

    benchmark: str
    subject: str
    number: int
    question: str
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        """``benchmark/subject/number``."""
        return f"{self.benchmark}/{self.subject}/{self.number}"

    @property
    def last_sentence(self) -> str:
        """What DCLM looks for in passage questions: the question's last sentence (2406.11794, section 4.6)."""
        sentences = [s for s in re.split(r"(?<=[.?!:])\s+|\n+", self.question.strip()) if re.search(r"\w", s)]
        return sentences[-1] if sentences else self.question


def files_of(name: str) -> list[Path]:
    """The files of a benchmark, sorted; raises `DataError` where there are none, with the cure."""
    place = Path(name)
    if not place.exists() and os.environ.get("GOLDWASH_BENCHMARKS"):
        place = Path(os.environ["GOLDWASH_BENCHMARKS"]) / name
    if place.is_file():
        return [place]
    found = sorted(p for p in place.rglob("*") if p.suffix in (".csv", ".jsonl", ".parquet")) if place.is_dir() else []
    if not found:
        raise DataError(
            f"benchmark {name}: no file or folder of .csv, .jsonl or .parquet there; give its path, as in --set "
            f"decontaminate.benchmarks=folder-of-csv, put it at $GOLDWASH_BENCHMARKS/{name}, or use --skip decontaminate"
        )
    return found


def items_of(name: str) -> list[Item]:
    """The items of a benchmark."""
    if name != SAMPLE:
        return [item for path in files_of(name) for item in _items(path, Path(name).name or name)]
    with tempfile.TemporaryDirectory() as folder:
        write_sample(folder)
        return [item for path in files_of(f"{folder}/benchmark") for item in _items(path, SAMPLE)]


def _items(path: Path, benchmark: str) -> Iterator[Item]:
    subject = re.sub(r"_(test|dev|val)$", "", path.stem)
    for number, row in enumerate(_rows(path)):
        question, options = _question(row, path)
        yield Item(benchmark, str(row.get("subject") or subject), number, question, options)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            yield from (json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip())
        else:
            yield from _csv_rows(path)
    except (ValueError, OSError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"benchmark file {path} cannot be read ({error})") from error


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows by their header; MMLU's original files have none: question, four options, letter."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if rows and "question" in rows[0]:
        yield from (dict(zip(rows[0], row, strict=False)) for row in rows[1:])
    else:
        for n, row in enumerate(rows, 1):
            if len(row) != 6:
                raise DataError(
                    f"benchmark file {path}, line {n}: expected question, four options and a letter, found {len(row)} columns"
                )
            yield {"question": row[0], "choices": row[1:5]}


def _question(row: Mapping[str, Any], path: Path) -> tuple[str, tuple[str, ...]]:
    if "question" not in row:
        raise DataError(
            f"benchmark file {path} has columns {', '.join(row)}; expected `question` and `choices` or `choice0` ..."
        )
    options: Sequence[Any] = row.get("choices") or [row[key] for key in sorted(row) if re.fullmatch(r"choice_?\d+", key)]
    return str(row["question"]), tuple(str(option) for option in options if str(option).strip())


MIN_QUOTED = 8


def quoting(names: Sequence[str]) -> Callable[[Texts], npt.NDArray[np.bool_]]:
    """Tells which texts hold a whole question of these benchmarks, of at least eight words: ``bool[N]``."""
    questions = [item.question for name in names for item in items_of(name)]
    long = [q for q in dict.fromkeys(questions) if len(Texts.of([q]).uax29_words) >= MIN_QUOTED]
    index = index_of(long)

    def quotes(texts: Texts) -> npt.NDArray[np.bool_]:
        out = np.zeros(len(texts), np.bool_)
        out[found(texts, index)[0]] = True
        return out

    return quotes
