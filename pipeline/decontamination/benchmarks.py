"""Benchmarks as items: questions with options, from the files that they are published in.

Law: an item says which benchmark, subject and number it is. A name is one of `PUBLISHED` (its copy in ``$GOLDWASH_BENCHMARKS``
if there is one, else fetched and kept), a path of a file or folder of CSV, JSONL or Parquet, or ``sample``, the built-in one.
``PATH::QUESTION[,OPTION...]`` names columns; else they are found by the names that datasets, lm-evaluation-harness (also its
logged samples, under ``doc``) and llm-foundry give them. A row without a question, or with an answer that is not among its
options, is an error with file and row.
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
import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.filters.fetch import FetchError, fetched
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.index import found, index_of
from goldwash.pipeline.sample.crawl import write_sample
from goldwash.pipeline.storage.locations import DataError

SAMPLE = "sample"

PUBLISHED = {
    "mmlu": "hf://datasets/cais/mmlu/all/test-00000-of-00001.parquet",
    "hellaswag": "hf://datasets/Rowan/hellaswag/data/validation-00000-of-00001.parquet",
    "arc_challenge": "hf://datasets/allenai/ai2_arc/ARC-Challenge/test-00000-of-00001.parquet",
    "arc_easy": "hf://datasets/allenai/ai2_arc/ARC-Easy/test-00000-of-00001.parquet",
    "gsm8k": "hf://datasets/openai/gsm8k/main/test-00000-of-00001.parquet",
    "boolq": "hf://datasets/google/boolq/data/validation-00000-of-00001.parquet",
    "triviaqa": "hf://datasets/mandarjoshi/trivia_qa/rc.nocontext/validation-00000-of-00001.parquet",
}
"""Where benchmarks are published."""

QUESTIONS = ("question", "query", "ctx", "prompt", "goal", "sentence", "context", "input", "text")
OPTIONS = ("choices", "endings", "options", "context_options")
OPTION = re.compile(r"(choice|option|sol|ending)_?\d+")
ANSWERS = ("answer", "gold", "label", "answerKey")


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
    if not place.exists() and (name in PUBLISHED or "://" in name):
        return [_fetched(name)]
    files = sorted(p for p in place.rglob("*") if p.suffix in (".csv", ".jsonl", ".parquet")) if place.is_dir() else []
    if not files:
        raise DataError(f"benchmark {name}: no file or folder of .csv, .jsonl or .parquet there; {_cure(name)}")
    return files


def _cure(name: str) -> str:
    short = name if re.fullmatch(r"\w+", name) else "NAME"
    return (
        "give its path, as in --set decontaminate.benchmarks=folder-of-csv, put it at "
        f"$GOLDWASH_BENCHMARKS/{short}, or use --skip decontaminate (known by name: sample, {', '.join(PUBLISHED)})"
    )


def _fetched(name: str) -> Path:
    place = PUBLISHED.get(name, name)
    try:
        return fetched(place)
    except FetchError as error:
        raise DataError(f"benchmark {name}: {str(error).split(': copy')[0]}; {_cure(name)}") from error


def items_of(name: str) -> list[Item]:
    """The items of a benchmark."""
    place, _, columns = name.partition("::")
    wanted = tuple(column.strip() for column in columns.split(",") if column.strip())
    if place != SAMPLE:
        label = place if place in PUBLISHED else place.rstrip("/").rsplit("/", 1)[-1] or place
        return [item for path in files_of(place) for item in _items(path, label, wanted)]
    with tempfile.TemporaryDirectory() as folder:
        write_sample(folder)
        return [item for path in files_of(f"{folder}/benchmark") for item in _items(path, SAMPLE)]


def _items(path: Path, benchmark: str, columns: tuple[str, ...] = ()) -> Iterator[Item]:
    subject = path.stem.removesuffix("_test")  # MMLU's dev and val keep theirs, so that a name means one item
    for number, row in enumerate(_rows(path, columns)):
        if not isinstance(row, Mapping):
            raise DataError(f"benchmark file {path}, row {number}: expected an object, found {type(row).__name__}")
        question, options = _named(row, path, number, columns) if columns else _question(row, path, number)
        yield Item(benchmark, str(row.get("subject") or subject), number, question, options)


def _rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Any]:
    try:
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            for line in path.read_text("utf-8").split("\n"):
                if line.strip():
                    row = json.loads(line)
                    yield row["doc"] if isinstance(row, dict) and isinstance(row.get("doc"), dict) else row
        else:
            yield from _csv_rows(path, columns)
    except (ValueError, OSError, csv.Error, pa.ArrowInvalid) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"benchmark file {path} cannot be read ({error})") from error


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Rows by their header, of named or known columns; MMLU's original files have none: question, four options, letter."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if rows and (columns or set(rows[0]) & set(QUESTIONS)):
        yield from (dict(zip(rows[0], row, strict=False)) for row in rows[1:])
        return
    for n, row in enumerate(rows, 1):
        if len(row) != 6:
            raise DataError(
                f"benchmark file {path}, line {n}: expected question, four options and a letter, found {len(row)} columns"
            )
        yield {"question": row[0], "choices": row[1:5], "answer": row[5]}


def _named(row: Mapping[str, Any], path: Path, number: int, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    for column in columns:
        if column not in row:
            raise DataError(f"benchmark file {path}, row {number}, has no column {column!r}; it has {', '.join(row)}")
    if not _plain(row[columns[0]]).strip():
        raise DataError(f"benchmark file {path}, row {number}: the column {columns[0]!r} is empty")
    return _plain(row[columns[0]]), tuple(o for c in columns[1:] for o in _listed(row[c]) if o.strip())


def _question(row: Mapping[str, Any], path: Path, number: int) -> tuple[str, tuple[str, ...]]:
    key = next((name for name in QUESTIONS if row.get(name)), None)
    if key is None:
        raise DataError(
            f"benchmark file {path}, row {number}, has columns {', '.join(row)}; expected `question` (or "
            f"{', '.join(QUESTIONS[1:])}) and `choices` or `choice0` ...; other columns are named as "
            f"{path}::QUESTION,OPTION,OPTION"
        )
    many = next((row[name] for name in OPTIONS if row.get(name) is not None and name != key), None)
    numbered = sorted((k for k in row if OPTION.fullmatch(k)), key=lambda k: int(re.sub(r"\D", "", k)))
    options = _listed(many) if many is not None else [_plain(row[k]) for k in numbered]
    from_one = many is None and bool(numbered) and numbered[0].endswith("1")  # WinoGrande's answer to option1 is 1
    _check_answer(row, options, path, number, from_one)
    return _plain(row[key]), tuple(option for option in options if option.strip())


def _plain(value: Any) -> str:
    return str(value) if value is not None else ""


def _listed(value: Any) -> list[str]:
    """Options: a list, ARC's ``{text: [...], label: [...]}``, or one."""
    if isinstance(value, Mapping):
        value = value.get("text") or []
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else [_plain(value)]


def _check_answer(row: Mapping[str, Any], options: Sequence[str], path: Path, number: int, from_one: bool) -> None:
    """Refuse an answer that is a number or a letter, and not one of the options."""
    answer = next((row[name] for name in ANSWERS if row.get(name) not in (None, "")), None)
    text = str(answer).strip()
    place = (
        int(text) if re.fullmatch(r"-?\d{1,2}", text) else ord(text.upper()) - 65 if re.fullmatch("[A-Za-z]", text) else None
    )
    if not options or place is None or text in options or any(row.get(name) == answer and name == "answerKey" for name in row):
        return
    if place < 0 or place >= len(options) + (from_one and text.isdigit()):
        raise DataError(f"benchmark file {path}, row {number}: the answer is {text}, and there are {len(options)} options")


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
