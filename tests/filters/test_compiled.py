"""Compiled kernels: the same results as plain Python, no read out of bounds, and time that grows with the text alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from goldwash.filters import edits, lines, repetition, url, words  # noqa: F401  (they declare their signals)
from goldwash.filters.edits import KeepLines
from goldwash.filters.signals import EDITS, SIGNALS, Keep
from goldwash.filters.texts import Texts
from tests.conftest import ROOT
from tests.support import battery


def in_another_process(**environment: str) -> object:
    told = subprocess.run(
        [sys.executable, "-m", "tests.support.battery"],
        env={**os.environ, **environment}, cwd=ROOT, capture_output=True, timeout=500, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr.decode()[-3000:]
    return json.loads(told.stdout)


def as_read(results: dict[str, object]) -> object:
    return json.loads(json.dumps(results))


@pytest.mark.slow
def test_without_the_compiler() -> None:
    assert in_another_process(NUMBA_DISABLE_JIT="1") == as_read(dict(battery.results()))


@pytest.mark.slow
def test_no_kernel_reads_out_of_bounds(tmp_path: Path) -> None:
    assert in_another_process(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path)) == as_read(dict(battery.results()))


HUGE: dict[str, Callable[[int], str]] = {
    "one-letter words": lambda n: "a b c d " * (n // 4),
    "one word": lambda n: "a " * n,
    "one repeated line": lambda n: "the same line, and the same again\n" * (n // 5),
    "no space": lambda n: "x" * (2 * n),
    "dots": lambda n: "a." * n,
    "domains": lambda n: "a.com" * (n // 3),
    "spaces": lambda n: " " * (2 * n),
    "newlines": lambda n: "\n" * (2 * n),
    "marks": lambda n: "a:" + "\u0301" * n,
    "flags": lambda n: "🇩" * (n // 2),
    "different words": lambda n: " ".join(map(str, range(n // 4))),
}
WORK: dict[str, Callable[[Texts], object]] = {
    **{
        name: SIGNALS[name].measure
        for name in ("fasttext_word_count", "symbol_word_ratio", "stop_word_count", "uppercase_fraction", "counter_line_count",
                     "ellipsis_line_fraction", "repeated_line_fraction", "repeated_paragraph_character_fraction",
                     "repeated_10gram_character_fraction", "duplicate_10gram_character_fraction")
    },
    "uax29_tokens": lambda texts: texts.uax29_tokens,
    "url_word_count": SIGNALS["url_word_count"].bind(phrases=("a", "b c", "the same line")).measure,
    "squeeze_newlines": EDITS["squeeze_newlines"],
    "remove_urls": EDITS["remove_urls"],
    "remove_urls with scheme": EDITS["remove_urls"].bind(bare_hosts=False),
    "keep_lines": KeepLines(Keep(SIGNALS["word_count"], min=2)),
    "fold": lambda texts: battery.folded(2).probability(texts, "hq"),
}  # fmt: skip


def seconds(act: Callable[[Texts], object], text: str) -> float:
    """The lesser of two runs, on texts that nothing has been measured of."""
    took = []
    for _ in range(2):
        texts = Texts.of([text])
        start = time.process_time()
        act(texts)
        took.append(time.process_time() - start)
    return min(took)


@pytest.mark.parametrize("text", HUGE)
def test_twice_the_text_takes_about_twice_the_time(text: str) -> None:
    n = 1_000_000 if text in ("one-letter words", "one repeated line") else 200_000
    half, whole = HUGE[text](n // 2), HUGE[text](n)
    slow = {}
    for name, act in WORK.items():
        act(Texts.of(["warm up", half[:100]]))
        # 10 ms: what is faster than that is not slow, and cannot be timed
        before, after = seconds(act, half), seconds(act, whole)
        if after > 4 * max(before, 0.01):
            slow[name] = (before, after)
    assert slow == {}
