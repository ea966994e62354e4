"""Read labelled examples: files of questions and answers, conversations or texts, and Reddit dumps.

Invariants: an example is a text and its source; examples come in the order of the files. A value that is no text is refused by
file and row: Python's notation of it (``b'...'``, ``['...']``) never becomes training data. A file's columns decide how its
rows become texts:

================================  =============================================================================================
``conversations``                 ShareGPT, as in OpenHermes-2.5: all values joined by a space (as in Marin's reproduction)
``question``, ``answer``          joined by a blank line (question first, as DCLM's authors do for ELI5: dclm issue 75)
``text``, or ``FILE::COLUMN``     unchanged
``eli5:FOLDER``                   r/explainlikeimfive from Reddit dumps: `eli5`
================================  =============================================================================================

Files are ``.parquet``, ``.jsonl``, ``.json`` or ``.txt`` (one example per line), the last three also with ``.gz`` or ``.zst``.
They are named by path, ``https://``, ``s3://`` or ``hf://OWNER/REPO/FILE``. A folder of such files, or a stage's output, stands
for all its files. Text files are UTF-8, with or without a byte-order mark.
"""

import codecs
import gzip
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from goldwash.errors import GoldwashError
from goldwash.filters.fetch import fetched
from goldwash.filters.links import remove_urls
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

ENDINGS = (".parquet", ".jsonl", ".json", ".txt")
OURS = ("report.json", "stage.json", "run.json")
"""Files of a stage's or a run's folder that hold no examples."""
REDDIT = "explainlikeimfive"


class TrainingError(GoldwashError, ValueError):
    """Examples that cannot be used; the message gives the file, the reason and the cure."""


@dataclass(frozen=True)
class Example:
    """One text, its source (the row's ``source``, or the file's name), and the name by which the user gave it."""

    text: str
    source: str
    origin: str = ""


Joined = Callable[[pa.Table, pa.Schema, str], pa.Table]
"""Gives rows of a Parquet file, of a schema and at a path, the texts that the file has left in another one."""


def examples(name: str | Path, blank: bool = False, joined: Joined | None = None) -> Iterator[Example]:
    """The examples of a source, by the table above; blank texts are left out, unless ``blank`` asks for them, to count them.

    ``joined``: for shards of a stage, which may have left their texts (`goldwash.pipeline.storage.formats.parquet_rows`).
    Raises `TrainingError` for a file that is missing or broken, or that has other columns.
    """
    text = str(name)
    if text.startswith("eli5:"):
        yield from eli5(text.removeprefix("eli5:"))
        return
    place, _, column = text.partition("::")
    for path in _files(place):
        for number, row in enumerate(_rows(path, joined)):
            found = _whole(_text(row, path, number, column))
            if blank or found.strip():
                yield Example(found, str(row.get("source") or path.name), text)


def _why(error: Exception) -> str:
    """A reason in words: Python names a codec and a position in a block, not the cure."""
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    found = error.object[error.start : error.start + 2]
    if error.start == 0 and found in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it is in UTF-16; expected UTF-8: convert it with `iconv -f UTF-16 -t UTF-8`"
    return f"it is not UTF-8: a byte is 0x{found[0]:02x}; convert it with `iconv -f ITS-ENCODING -t UTF-8`"


def _files(place: str) -> list[Path]:
    if "://" in place:
        return [fetched(place)]
    path = Path(place)
    if not path.is_dir():
        return [path]
    if (path / "stage.json").exists() and not (path / "report.json").exists():
        raise TrainingError(f"{place} holds an unfinished stage: finish it by running it again, then read it")
    names = sorted(
        p for p in path.iterdir() if p.is_file() and _ending(p) in ENDINGS and p.name not in OURS and p.name[0] != "."
    )
    if not names:
        raise TrainingError(f"{place}: no examples there; expected files ending in {', '.join(ENDINGS)}")
    return names


def _ending(path: Path) -> str:
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    return Path(name).suffix


def _whole(text: str) -> str:
    """The text with ``?`` for each lone surrogate: JSON can name them, UTF-8 cannot encode them."""
    return text.encode("utf-8", "replace").decode("utf-8")


class _Unpacked(io.RawIOBase):
    """The frames of a zst file as one stream. zstandard's own reader ignores a file that ends within a frame."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._frame: Any = None
        self._packed, self._ready = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, into: Any) -> int:
        while not self._ready:
            packed = self._packed or self._file.read(1 << 16)
            if not packed:
                if self._frame is not None:
                    raise EOFError("the file ends within a frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()
            self._ready = memoryview(self._frame.decompress(packed))
            self._packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        count = min(len(into), len(self._ready))
        into[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _opened(path: Path) -> IO[str]:
    """A text file, decompressed by its ending. Reddit dumps need a zstd window of 2 GB."""
    if path.suffix == ".zst":
        return io.TextIOWrapper(io.BufferedReader(_Unpacked(path), 1 << 20), "utf-8-sig")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _rows(path: Path, joined: Joined | None = None) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise TrainingError(f"no examples at {path}")
    kind = _ending(path)
    try:
        if kind == ".parquet":
            file = pq.ParquetFile(path)
            for batch in file.iter_batches(1024, use_threads=False):
                table = pa.Table.from_batches([batch])
                yield from (joined(table, file.schema_arrow, str(path)) if joined else table).to_pylist()
        elif kind == ".jsonl":
            yield from _lines(path)
        elif kind == ".json":
            yield from _json(path)
        elif kind == ".txt":
            with _opened(path) as file:
                yield from ({"text": line} for line in file)
        else:
            raise TrainingError(f"{path}: examples are read from {', '.join(ENDINGS)} files")
    except (ValueError, OSError, EOFError, zstandard.ZstdError, pa.ArrowInvalid) as error:
        if isinstance(error, TrainingError):
            raise
        raise TrainingError(f"{path} cannot be read ({_why(error)})") from error


def _json(path: Path) -> Iterator[Any]:
    """The examples of a JSON file: a list of objects, or one object per line, as in C4's ``.json.gz`` shards."""
    with _opened(path) as file:
        text = file.read()
    try:
        values = json.loads(text)
    except ValueError:
        if not text.lstrip().startswith("{"):
            raise
        yield from _lines(path)
        return
    if isinstance(values, dict) and {"text", "question", "conversations"} & set(values):
        values = [values]  # one example
    if not isinstance(values, list):
        raise TrainingError(f"{path} holds a {type(values).__name__}; expected a list of examples, or one example per line")
    yield from values


def _lines(path: Path) -> Iterator[Any]:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise TrainingError(f"{path}, line {number}, is not JSON ({error})") from error


def _text(row: Mapping[str, Any], path: Path, number: int, column: str) -> str:
    if not isinstance(row, Mapping):
        raise TrainingError(f"{path}, row {number}: expected an object with a text, found {type(row).__name__}")
    where = f"{printable(path)}, row {number}"
    if column:
        if column not in row:
            raise TrainingError(f"{path} has no column {column!r}; it has {', '.join(row)}")
        return _string(row[column], where, column)
    if "conversations" in row:
        turns = row["conversations"] or []
        if not isinstance(turns, list) or not all(isinstance(turn, Mapping) and "value" in turn for turn in turns):
            raise TrainingError(f"{where}: expected conversations as a list of objects with a value")
        return " ".join(_string(turn["value"], where, "conversations") for turn in turns)
    if "question" in row and "answer" in row:
        return f"{_string(row['question'], where, 'question')}\n\n{_string(row['answer'], where, 'answer')}"
    if "text" in row:
        return _string(row["text"], where, "text")
    raise TrainingError(
        f"{path} has rows with {', '.join(map(printable, row))}; expected `text`, or `question` and `answer`, or "
        f"`conversations`; another column is named as {path}::COLUMN"
    )


def _string(value: Any, where: str, column: str) -> str:
    """A text unchanged, bytes decoded as UTF-8, a number in decimal, null and nan as "". Other values are refused."""
    if value is None or (isinstance(value, float) and math.isnan(value)):  # nan: how pandas writes a missing text
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TrainingError(f"{where}: {column} holds bytes that are not UTF-8 ({error}): decode them first") from error
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise TrainingError(
            f"{where}: {column} is of type {type(value).__name__}, {printable(repr(value), 60)}; expected a text: name a "
            "column of texts as FILE::COLUMN"
        )
    return value


def eli5(
    folder: str | Path, min_score: int = 0, min_comment_score: int = 5, min_comments: int = 3, subreddit: str = REDDIT
) -> Iterator[Example]:
    """Posts of r/explainlikeimfive with their best comment, from dumps in JSON lines.

    The dumps are monthly, ``RS*`` (posts) and ``RC*`` (comments), or the subreddit's own, ``explainlikeimfive_submissions`` and
    ``explainlikeimfive_comments``. Monthly dumps take precedence: both hold the same rows.

    DCLM's selection (2406.11794, J.1): posts with a score of at least ``min_score`` and at least ``min_comments`` comments, the
    best of which has a score of at least ``min_comment_score``. The best comment is the one with the highest score; among equal
    scores the longest, then the first. Comments of under ten characters are never the best.

    The format is that of Marin's reproduction: title and text, a blank line, the comment, without "ELI5:", removed parts, quote
    marks and URLs; links are replaced by their words. Posts come in the order of the dumps. Memory holds the subreddit's posts
    and one comment for each.
    """
    posts: dict[str, str] = {}
    for row in _dumped(folder, "RS", f"{subreddit}_submissions", "posts"):
        if str(row.get("subreddit", "")).lower() == subreddit and _number(row.get("score")) >= min_score:
            if "id" not in row:
                raise TrainingError(f"{folder}: a post has no 'id'; it has {', '.join(row)}")
            title, selftext = (
                _string(row.get(key), f"{printable(folder)}, post {printable(row['id'])}", key) for key in ("title", "selftext")
            )
            posts[str(row["id"]).removeprefix("t3_")] = f"{title} {selftext}"
    best: dict[str, tuple[int, int, str]] = {}
    counts: dict[str, int] = {}
    for row in _dumped(folder, "RC", f"{subreddit}_comments", "comments"):
        post = str(row.get("link_id", "")).removeprefix("t3_")
        if post in posts:
            counts[post] = counts.get(post, 0) + 1
            body = _without_removed(
                _string(row.get("body"), f"{printable(folder)}, a comment on post {printable(post)}", "body")
            )
            rank = (_number(row.get("score")), len(body))
            if len(body) >= 10 and (post not in best or rank > best[post][:2]):
                best[post] = (*rank, body)
    for post, question in posts.items():
        if counts.get(post, 0) >= min_comments and post in best and best[post][0] >= min_comment_score:
            yield Example(reddit_text(question, best[post][2]), REDDIT, f"eli5:{folder}")


def _dumped(folder: str | Path, month: str, own: str, what: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a folder's monthly dumps or, if there are none, of the subreddit's own."""
    found = [[p for p in sorted(Path(folder).glob(f"{name}*")) if _ending(p) in ("", ".jsonl")] for name in (month, own)]
    dumps = found[0] or found[1]
    if not dumps:
        raise TrainingError(
            f"{folder} has no dump of {what}: expected files such as {month}_2020-01.zst, or {own}.zst, of JSON lines"
        )
    for dump in dumps:
        yield from _lines_of(dump)


def _lines_of(dump: Path) -> Iterator[Mapping[str, Any]]:
    try:
        for row in _lines(dump):
            if not isinstance(row, Mapping):
                raise TrainingError(f"{dump}: expected a post or comment per line, found {type(row).__name__}")
            yield row
    except (OSError, EOFError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise TrainingError(f"{dump} cannot be read ({_why(error)}): fetch it again") from error


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else -(10**9)


def _without_removed(text: str) -> str:
    return text.replace("[removed]", "").replace("[deleted]", "").strip()


def reddit_text(question: str, answer: str) -> str:
    """A post and its answer as one text.

    >>> reddit_text("ELI5: Why is the [sky](http://x.org/a) blue? [deleted]", "&gt; why\\n\\nLight. See www.sky.org/blue")
    'Why is the sky blue?\\n\\nwhy\\n\\nLight. See'
    """
    question = re.sub(r"eli5\s*:?", "", _without_removed(question), flags=re.IGNORECASE)
    text = _whole(f"{question.strip()}\n\n{_without_removed(answer)}")
    text = re.sub(r"=?&gt;?|^>", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\[\]\n]*)\]\([^()\n]*\)", r"\1", text)
    text = remove_urls(Texts.of([text]))[0]
    return "\n".join(line.strip() for line in text.split("\n")).strip()
