"""The command line, assembled: commands from their files, errors as sentences, signals, exit codes.

Exit codes: 0 success; 1 failure; 2 arguments not understood; 130 Ctrl-C; 143 SIGTERM; 141 the reader of the output left.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from goldwash.credentials import all_kept_apart
from goldwash.pipeline.cli import (
    classifiers,
    exports,
    inspection,
    interruption,
    links,
    lists,
    mix,
    owners,
    reports,
    run,
    stage,
    tokens,
)
from goldwash.pipeline.cli.errors import sentence
from goldwash.pipeline.cli.terminal import log_to_stderr, open_streams, say

HELP = """Wash the gold out of a crawl: from Common Crawl archives to a training set, the DCLM way.

\b
goldwash run baseline --input 'crawl/*.warc.gz' --out runs/first     the whole recipe
goldwash stage heuristics --input shards/ --out cleaned/             one stage on your own shards
goldwash train --positive good.jsonl --negative web.parquet --out model/   a quality classifier of your own
goldwash explain runs/first https://example.com/                     why a page was kept or dropped
"""
GROUPS = (run, stage, mix, classifiers, inspection, reports, tokens, exports, links, owners, lists)
"""The modules whose ``app`` holds commands, in the order of ``--help``."""

app = typer.Typer(
    name="goldwash",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
for _group in GROUPS:
    app.registered_commands.extend(_group.app.registered_commands)


def _version(asked: bool) -> None:
    if asked:
        from goldwash import __version__

        say(f"goldwash {__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options of every command."""


def several(commands: Mapping[str, Any], words: Sequence[str]) -> frozenset[str]:
    """The options that may be given several times, such as ``--input``, of the command in these arguments."""
    name = next((word for word in words if word in commands), None)
    if name is None:
        return frozenset()
    return frozenset(word for p in commands[name].params if getattr(p, "multiple", False) for word in p.opts)


def spread(words: Sequence[str], options: frozenset[str]) -> list[str]:
    """Rewrite ``--input A B`` as ``--input A --input B``, so that a shell's glob may follow such an option.

    >>> spread(["run", "baseline", "--input", "a", "b", "--out", "c"], frozenset({"--input"}))
    ['run', 'baseline', '--input', 'a', '--input', 'b', '--out', 'c']
    """
    spreading, given, out = "", 0, list[str]()
    for word in words:
        if word in options:
            spreading, given = word, 0
        elif word.startswith("-"):
            spreading = ""
        elif spreading:
            given += 1
            if given > 1:
                out.append(spreading)
        out.append(word)
    return out


def main() -> None:
    """Run the command line with the process's arguments, and exit."""
    open_streams()
    log_to_stderr()
    interruption.started()
    debug = "--debug" in sys.argv[1:] or bool(os.environ.get("GOLDWASH_DEBUG"))
    words = [all_kept_apart(word) for word in sys.argv[1:] if word != "--debug"]
    group: Any = get_command(app)
    try:
        group.main(args=spread(words, several(group.commands, words)), prog_name="goldwash", standalone_mode=True)
    except SystemExit as end:
        sys.exit(_flushed(end.code))
    except BaseException as error:
        if interruption.received():
            sys.exit(interruption.end())
        if isinstance(error, BrokenPipeError):
            sys.exit(_reader_left())
        if debug:
            raise
        if isinstance(error, KeyboardInterrupt):
            sys.exit(130)
        _flushed(1)
        sys.stderr.write(f"goldwash: {sentence(error)}\n")
        sys.exit(1)


def _flushed(code: Any) -> Any:
    """The exit code, once what was printed is written; that of a signal if one was received."""
    if interruption.received():
        return interruption.end()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        _silence()
        sys.stderr.write(f"goldwash: standard output: {sentence(error)}\n")
        return 1
    return code


def _reader_left() -> int:
    _silence()
    return 141


def _silence() -> None:
    """Discard what is left for standard output, which the interpreter flushes once more at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
