"""Lines and tables on the terminal.

Invariants: every line passes through `goldwash.text_output`; nothing is read as markup. Answers go to standard output, progress
and notes to standard error. rich is imported when a table is drawn, not before.
"""

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldwash.text_output import printable, without_password

if TYPE_CHECKING:
    from rich.console import Console

LINE = 20_000
"""The longest line of our own, in characters; data is shortened before it is put in."""
WIDE = 160
"""Columns of a table that does not go to a terminal."""
GAP = 2


def say(line: str = "") -> None:
    """One line of the answer, on standard output."""
    sys.stdout.write(printable(line, LINE) + "\n")


def notify(line: str) -> None:
    """One line of progress or advice, on standard error."""
    sys.stderr.write(printable(without_password(line), LINE) + "\n")
    sys.stderr.flush()


def error_console() -> "Console":
    """Where progress is drawn: standard error, without markup, emoji or highlighting."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)


@dataclass(frozen=True)
class Column:
    """A column of a table. On a terminal too narrow for all, columns with the highest ``spare`` are left out first (0:
    never).
    """

    title: str
    right: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Row:
    """A row: its cells, and a style of rich for the whole row."""

    cells: Sequence[str]
    style: str = ""


def show_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Draw a table on standard output, as wide as the terminal allows."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, markup=False, emoji=False, highlight=False)
    shown = [Row([printable(cell) for cell in row.cells], row.style) for row in rows]
    widths = [max([cell_len(c.title), *(cell_len(row.cells[n]) for row in shown)]) for n, c in enumerate(columns)]
    left = _fitting(columns, widths, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for n in left:
        table.add_column(columns[n].title, justify="right" if columns[n].right else "left", overflow="fold")
    for row in shown:
        table.add_row(*(Text(row.cells[n], style=row.style) for n in left))
    console.print(table)
    if len(left) < len(columns):
        missing = ", ".join(columns[n].title for n in range(len(columns)) if n not in left)
        say(f"(not shown, the terminal is narrow: {missing})")


def _fitting(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The numbers of the columns that fit; those with ``spare`` 0 always stay."""
    left = list(range(len(columns)))
    for n in sorted(left, key=lambda n: -columns[n].spare):
        if sum(widths[k] + GAP for k in left) - GAP <= width or not columns[n].spare:
            break
        left.remove(n)
    return left


class EscapedLog(logging.Formatter):
    """A log line without control characters; a traceback keeps its line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as it is shown."""
        return "\n".join(printable(line, LINE) for line in super().format(record).split("\n"))


def log_to_stderr() -> None:
    """Show the log lines of stages while they run, and the warnings of libraries, all escaped."""
    ours = logging.getLogger("goldwash")
    ours.setLevel(logging.INFO)
    ours.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapedLog())
    ours.handlers = [handler]
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(EscapedLog())
    logging.getLogger("warcio").setLevel(logging.ERROR)


def open_streams() -> None:
    """Make the standard streams usable: closed ones read and write nothing, and no character stops a line.

    A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and prints would go into that file.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, mode)
            if null != number:
                os.dup2(null, number)
                os.close(null)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def command() -> str:
    """How this process's command line can be called again: ``goldwash`` where it is on the path, else its own path."""
    script, found = sys.argv[0], shutil.which("goldwash")
    if os.path.basename(script) == "__main__.py":
        beside = os.path.join(os.path.dirname(sys.executable), "goldwash")
        return "goldwash" if found and _same(found, beside) else f"{shlex.quote(sys.executable)} -m goldwash"
    return "goldwash" if os.path.basename(script) != "goldwash" or (found and _same(found, script)) else shlex.quote(script)


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
