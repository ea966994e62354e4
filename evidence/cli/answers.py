"""Lines, tables and files of answers.

Invariants: every line passes through `goldwash.text_output`; nothing is read as markup; JSON holds no NaN or infinity (null).
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from goldwash.pipeline.cli.terminal import Column, Row, notify, say, show_table


def note(line: str) -> None:
    """One line of advice on standard error."""
    notify(f"note: {line}")


def draw(text: str) -> None:
    """A chart for the terminal, line by line."""
    for line in text.split("\n"):
        say(line.rstrip())


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """A table on standard output; the first ``left`` columns are aligned to the left."""
    columns = [Column(title, right=number >= left) for number, title in enumerate(titles)]
    show_table(columns, [Row(cells) for cells in rows])


@dataclass
class Answers:
    """A command's results: tables for people, or JSON alone if it goes to standard output."""

    quiet: bool = False
    values: dict[str, Any] = field(default_factory=dict)

    def say(self, line: str = "") -> None:
        """One line for people."""
        if not self.quiet:
            say(line)

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
        """A table for people."""
        if not self.quiet:
            table(titles, rows, left)

    def draw(self, text: str) -> None:
        """A chart for people."""
        if not self.quiet and text:
            draw(text)

    def finish(self, path: str | None) -> None:
        """Write the values as JSON where that was asked for."""
        if path is not None:
            write_json(path, self.values)


def plain(value: Any) -> Any:
    """The value as JSON can hold it: dataclasses and tuples as mappings and lists, not-finite numbers as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "item"):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: str, text: str) -> None:
    """Write a file, whole, and say so on standard error."""
    from goldwash.pipeline.storage.atomic import write_text

    write_text(path, text)
    note(f"wrote {path}")


def write_json(path: str, value: Any) -> None:
    """Write a value as JSON; ``-`` is standard output."""
    text = json.dumps(plain(value), indent=1) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        write(path, text)


def read(path: str, what: str) -> str:
    """The text of a local file. Raises `EvidenceError` where it is absent, empty or not UTF-8."""
    from goldwash.evidence.errors import EvidenceError

    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvidenceError(
            f"{path}: expected {what} in UTF-8, found byte {error.object[error.start]:#x} at {error.start}"
        ) from None
    except OSError as error:
        raise EvidenceError(f"{path}: cannot read {what}: {error.strerror}") from None
    if not text.strip():
        raise EvidenceError(f"{path}: expected {what}, found an empty file")
    return text
