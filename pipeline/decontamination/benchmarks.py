"""Benchmarks as items: questions with options, from the files in which they are published.

Invariants:

* A benchmark is one of `PUBLISHED` (a copy at ``$GOLDWASH_BENCHMARKS/NAME`` first, else fetched and kept), a file or folder of
  CSV, TSV, JSON, JSON lines or Parquet (also ``.gz``), an ``https://`` or ``hf://`` place of a file, or ``sample``.
  ``PLACE::QUESTION[,OPTION...]`` names the columns; `pipeline.decontamination.shapes` finds them otherwise.
* An item's name, ``benchmark/subject/number``, is unique in its benchmark. Items of dev and validation splits have the split in
  their subject.
* What is not understood is a `DataError` with file and row; no row is skipped.
"""

import csv
import gzip
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.fetch import FetchError, fetched
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.index import found, index_of
from goldwash.pipeline.decontamination.shapes import OPTIONS, QUESTIONS, ShapeError, answer_of, named, place_of, question_of
from goldwash.pipeline.sample.crawl import write_questions
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.parquet import read_whole

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
"""The files of benchmarks that are known by name."""

FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".parquet")

SPLIT = re.compile(r"(auxiliary_train|train|test|dev|validation|val)(-\d{5}-of-\d{5})?")
TRAINING = ("auxiliary_train", "train")
"""Splits that are left out where a folder has others: they are made to be trained on."""


@dataclass(frozen=True)
class Item:
    """A question of a benchmark and its options (none for an open question)."""

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
        """What DCLM looks for of a question: its last sentence (2406.11794, section 4.6)."""
        sentences = [s for s in re.split(r"(?<=[.?!:])\s+|\n+", self.question.strip()) if re.search(r"\w", s)]
        return sentences[-1] if sentences else self.question


def _plain_name(path: Path) -> str:
    """A file's name without what a link has behind it, as ``?download=true``, and without ``.gz``."""
    return path.name.partition("?")[0].removesuffix(".gz")


def _format(path: Path) -> str:
    return os.path.splitext(_plain_name(path))[1].lower()


def files_of(name: str) -> list[Path]:
    """The files of a benchmark, sorted; `DataError` with the cure where there are none. Hidden folders are no data."""
    place = Path(name)
    if not place.exists() and os.environ.get("GOLDWASH_BENCHMARKS"):
        place = Path(os.environ["GOLDWASH_BENCHMARKS"]) / name
    if place.is_file():
        return [place]
    if not place.exists() and (name in PUBLISHED or "://" in name):
        return [_fetched(name)]
    files = [p for p in sorted(place.rglob("*")) if _format(p) in FORMATS and p.is_file()] if place.is_dir() else []
    files = [p for p in files if not any(part.startswith((".", "_")) for part in p.relative_to(place).parts)]
    splits = {p: _split(p) for p in files}
    if set(splits.values()) - {"", *TRAINING}:
        files = [p for p in files if splits[p] not in TRAINING]
    if not files:
        raise DataError(f"benchmark {name}: no file or folder of {', '.join(FORMATS)} there; {_cure(name)}")
    return files


def _split(path: Path) -> str:
    """The split that a file's name says on the Hugging Face hub, ``dev-00000-of-00001.parquet``; '' for none."""
    found = SPLIT.fullmatch(os.path.splitext(_plain_name(path))[0])
    return found[1] if found else ""


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
    """The items of a benchmark, in the order of its files."""
    place, _, columns = name.partition("::")
    wanted = tuple(column.strip() for column in columns.split(",") if column.strip())
    if place != SAMPLE:
        label = place if place in PUBLISHED else place.partition("?")[0].rstrip("/").rsplit("/", 1)[-1] or place
        return _joined([(path, list(_items(path, label, wanted))) for path in files_of(place)])
    with tempfile.TemporaryDirectory() as folder:
        write_questions(f"{folder}/benchmark")
        return _joined([(path, list(_items(path, SAMPLE))) for path in files_of(f"{folder}/benchmark")])


def _joined(files: Sequence[tuple[Path, list[Item]]]) -> list[Item]:
    """The items of all files, each name once.

    An item that an earlier file of the same split has too, with the same subject, question and options, is the same item: the
    hub's MMLU has every question in ``all/`` and in its subject's folder. Of a further file of a subject, numbers count on.
    """
    out: list[Item] = []
    known: set[tuple[str, str, str, tuple[str, ...]]] = set()
    following: dict[str, int] = {}
    for path, items in files:
        split, names = _split(path), {item.subject for item in items}
        begin = {subject: following.get(subject, 0) for subject in names}
        fresh = []
        for item in items:
            same = (split, item.subject, item.question, item.options)
            if same not in known:
                out.append(replace(item, number=item.number + begin[item.subject]))
                following[item.subject] = out[-1].number + 1
            fresh.append(same)
        known.update(fresh)
    return out


def _items(path: Path, benchmark: str, columns: tuple[str, ...] = ()) -> Iterator[Item]:
    split, stem = _split(path), os.path.splitext(_plain_name(path))[0]
    mark = "" if split in ("", "test") else f"_{split}"
    rows = list(_rows(path, columns))
    one_based = not columns and _one_based(rows)
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"benchmark file {path}, row {number}: expected an object, found {type(row).__name__}")
        try:
            question, options = named(row, columns) if columns else question_of(row, one_based)
        except ShapeError as error:
            cure = "" if columns else f"; other columns are named as {path}::QUESTION,OPTION,OPTION"
            raise DataError(f"benchmark file {path}, row {number}: {error}{cure}") from error
        told = str(row.get("subject") or "").strip()
        yield Item(benchmark, f"{told}{mark}" if told else stem.removesuffix("_test"), number, question, options)


def _one_based(rows: Sequence[Any]) -> bool:
    """Whether a file's answers are numbers that begin with 1: several rows, and none says 0."""
    answers = [answer_of(row) for row in rows if isinstance(row, Mapping)]
    places = [place_of(found[1]) for found in answers if found is not None and not str(found[1]).strip().isalpha()]
    return len(places) > 1 and all(place is not None and place != 0 for place in places)


def _rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Any]:
    """The rows of a file of any of `FORMATS`; `DataError` where it cannot be read."""
    kind = _format(path)
    try:
        if kind == ".parquet":
            yield from read_whole(path).to_pylist()
        elif kind in (".json", ".jsonl"):
            yield from map(_logged, _json_rows(_text(path)))
        elif kind in (".csv", ".tsv"):
            yield from _csv_rows(path, columns, "\t" if kind == ".tsv" else ",")
        else:
            raise DataError(
                f"benchmark file {path}: expected one of {', '.join(FORMATS)} (also with .gz); found {kind or 'none'}"
            )
    except (ValueError, OSError, EOFError, csv.Error, pa.ArrowInvalid) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"benchmark file {path} cannot be read ({error})") from error


def _text(path: Path) -> str:
    """A file's text in UTF-8, without its byte-order mark."""
    content = path.read_bytes()
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")


def _logged(row: Any) -> Any:
    """A row, or the item inside one of lm-evaluation-harness's logged samples."""
    return row["doc"] if isinstance(row, dict) and isinstance(row.get("doc"), dict) else row


def _json_rows(text: str) -> Iterator[Any]:
    """JSON lines, or one document: a list, ``{"data": [...]}`` (SQuAD's with its paragraphs), ``{"examples": [...]}``."""
    try:
        whole = json.loads(text)
    except ValueError:
        yield from (json.loads(line) for line in text.split("\n") if line.strip())
        return
    rows = (
        next((whole[k] for k in ("data", "examples", "rows") if isinstance(whole.get(k), list)), [whole])
        if isinstance(whole, dict)
        else whole
    )
    for row in rows if isinstance(rows, list) else [rows]:
        paragraphs = row.get("paragraphs") if isinstance(row, dict) else None
        if isinstance(paragraphs, list):
            yield from (question for paragraph in paragraphs for question in paragraph["qas"])
        else:
            yield row


_LIMIT = Lock()


def _csv_rows(path: Path, columns: Sequence[str], delimiter: str) -> Iterator[Mapping[str, Any]]:
    """Rows by their header, of named or known columns; MMLU's original files have none: question, four options, letter."""
    with _LIMIT:  # csv's limit on a field is the process's; passages are longer
        before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        try:
            rows = list(csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True))
        finally:
            csv.field_size_limit(before)
    header = [name.strip() for name in rows[0]] if rows else []
    if rows and (columns or {name.lower() for name in header} & {*QUESTIONS, *OPTIONS}):
        for n, row in enumerate(rows[1:], 2):
            if len(row) != len(header) and row:
                raise DataError(
                    f"benchmark file {path}, record {n}: expected {len(header)} fields as in its header, found {len(row)}"
                )
        yield from (dict(zip(header, row, strict=True)) for row in rows[1:] if row)
        return
    for n, row in enumerate(rows, 1):
        if len(row) != 6:
            raise DataError(
                f"benchmark file {path}, line {n}: expected question, four options and a letter, found {len(row)} columns"
            )
        yield {"question": row[0], "choices": row[1:5], "answer": row[5]}


MIN_QUOTED = 8


def quoting(names: Sequence[str]) -> Callable[[Texts], npt.NDArray[np.bool_]]:
    """A function of texts: which of them hold a whole question of these benchmarks, of at least eight words: ``bool[N]``."""
    questions = [item.question for name in names for item in items_of(name)]
    long = [q for q in dict.fromkeys(questions) if len(Texts.of([q]).uax29_words) >= MIN_QUOTED]
    index = index_of(long)

    def quotes(texts: Texts) -> npt.NDArray[np.bool_]:
        out = np.zeros(len(texts), np.bool_)
        out[found(texts, index)[0]] = True
        return out

    return quotes
