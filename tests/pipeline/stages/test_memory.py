"""Memory of the text stages' tasks: wide rows and long texts stay within the bound that docs/clusters.md states.

A program of its own runs every pass of every stage and prints how far each task's peak was above what it began with. The bound:
`FIXED`, and `PER_BYTE` bytes for each byte of the largest row and of the Parquet pages that hold it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")

FIXED, PER_BYTE = 128_000_000, 6
KERNELS = 20
"""Bytes for each byte of a text that a kernel cuts into words."""

PROGRAM = """
import json, sys
from pathlib import Path
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stage import compile_kernels, reports_of
from goldwash.pipeline.stages.bloom import Bloom
from goldwash.pipeline.stages.exact import Exact
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.stages.pack import Pack
from goldwash.pipeline.stages.quality import Quality
from goldwash.pipeline.stages.score import Score
from goldwash.pipeline.storage import batches
from goldwash.pipeline.storage.formats import parquet_rows
from goldwash.pipeline.storage.source import Input

out, unbounded, *files = sys.argv[1:]
if unbounded == "yes":
    batches.MOST_BYTES = batches.BATCH_BYTES = parquet_rows.TABLE_BYTES = parquet_rows.READ_BYTES = 1 << 40
sample = load("sample")
stages = [Exact(by=("text", "url")), MinHash(check=0.7), Bloom(), sample.stage("heuristics"), sample.stage("decontaminate"),
          Quality(model="signal:word_count", fraction=0.5), Score(models={"words": "signal:word_count"}), Pack()]
few = [stages[0], stages[3], stages[7]]


def status(name):
    return 1024 * next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name))


peaks, counts = {}, {}
for file in files:
    for stage in stages[:1] if unbounded == "yes" else few if Path(file).stem == "three" else stages:
        stage.preflight()
        compile_kernels(stage)
        def run(work, tasks):
            for task in tasks:
                open("/proc/self/clear_refs", "w").write("5")
                before = status("VmRSS")
                work(task)
                place = f"{Path(file).stem} {stage.name}.{task.part}"
                peaks[place] = max(peaks.get(place, 0), status("VmHWM") - before)
            return reports_of(tasks)
        source = Input(file, Path(file).stat().st_size, file)
        report = stage([source], f"{out}/{Path(file).stem}-{stage.name}-{unbounded}", run)
        large = report.dropped["too_large"].documents if "too_large" in report.dropped else 0
        counts[f"{Path(file).stem} {stage.name}"] = [report.read.documents, report.kept.documents, large]
print(json.dumps([peaks, counts]))
"""


def run(out: Path, *files: Path, unbounded: bool = False) -> tuple[dict[str, int], dict[str, list[int]]]:
    """The peaks by file, stage and pass; documents read, kept and dropped as too large by file and stage."""
    words = [sys.executable, "-c", PROGRAM, str(out), "yes" if unbounded else "no", *map(str, files)]
    environment = {
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_MMAP_THRESHOLD_": str(1 << 18),
    }  # no freed memory
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-3000:]
    peaks, counts = json.loads(done.stdout.splitlines()[-1])
    return peaks, counts


def prose(size: int, seed: int) -> str:
    """Words at random, ``size`` characters."""
    draw = np.random.default_rng(seed)
    words = ["".join(chr(97 + c) for c in draw.integers(0, 26, n)) for n in draw.integers(2, 10, 2000)]
    block = " ".join(words[n] for n in draw.integers(0, 2000, min(size, 1 << 20)))
    return (block * (size // len(block) + 1))[:size]


def wide(file: Path, rows: int, columns: int, size: int, group_rows: int) -> int:
    """Write rows of so many columns of ``size`` bytes beside short texts, and a struct in a struct; bytes of a row."""
    value = prose(size, 1)
    made: dict[str, list[Any]] = {
        "id": [f"d{n}" for n in range(rows)],
        "url": [f"http://a.example/{n}" for n in range(rows)],
        "text": [f"{prose(2000, n)}." for n in range(rows)],
        "metadata": [
            {"page": f"{n}{value}", "more": {"head": value[: size // 2], "list": [value[:100]] * 10}} for n in range(rows)
        ],
    }
    made |= {f"column{k:03d}": [f"{n} {k} {value}" for n in range(rows)] for k in range(columns)}
    table = pa.table(made)
    pq.write_table(table, file, row_group_size=group_rows, use_dictionary=False)
    return table.nbytes // rows


def bound(row: int, page_rows: int) -> int:
    return FIXED + PER_BYTE * (row + page_rows * row)


def above(peaks: Mapping[str, int], stem: str, most: int) -> dict[str, str]:
    """The passes over a file that took more than ``most`` bytes, with what they took."""
    here = {name: size for name, size in peaks.items() if name.startswith(f"{stem} ")}
    assert here
    return {name: f"{size / 1e6:.0f} MB of {most / 1e6:.0f}" for name, size in here.items() if size > most}


def test_wide_rows_and_a_long_text_stay_within_the_bound_in_every_text_stage(tmp_path):
    """40 rows of 100 columns in row groups of one row and of three, and a text of 8 MB among short ones."""
    row = wide(tmp_path / "single.parquet", 40, 100, 20_000, 1)
    wide(tmp_path / "three.parquet", 40, 100, 20_000, 3)
    texts = [prose(2000, 1), prose(8_000_000, 2), prose(2000, 3)]
    table = {"id": ["a", "b", "c"], "url": [f"http://{k}.example/" for k in "abc"], "text": texts}
    pq.write_table(pa.table(table), tmp_path / "long.parquet", use_dictionary=False)
    files = [tmp_path / f"{name}.parquet" for name in ("single", "three", "long")]
    peaks, counts = run(tmp_path / "out", *files)
    assert not above(peaks, "single", bound(row, 1))
    assert not above(peaks, "three", bound(row, 3))
    assert not above(peaks, "long", FIXED + KERNELS * 8_000_000)
    for name, (read, _, too_large) in counts.items():
        assert read == (3 if name.startswith("long") else 40)
        assert too_large == 0
    for name in ("minhash.keys", "minhash.sets", "bloom.count"):  # they need the text alone, and unpack no other column
        assert peaks[f"single {name}"] < 40 << 20
    without, _ = run(tmp_path / "out", files[0], unbounded=True)
    assert above(without, "single", bound(row, 1))  # all rows at once: the bound is one that can be broken


@pytest.mark.slow
def test_a_document_of_300_mb_goes_through_every_text_stage_in_less_than_4_gb(tmp_path):
    """Stages that cut words drop it as too large; the others carry it."""
    size = 300_000_000
    table = {
        "id": ["a", "b", "c"],
        "url": [f"http://{k}.example/" for k in "abc"],
        "text": [prose(2000, 1), prose(size, 2), prose(2000, 3)],
    }
    pq.write_table(pa.table(table), tmp_path / "huge.parquet", use_dictionary=False)
    peaks, counts = run(tmp_path / "out", tmp_path / "huge.parquet")
    assert not above(peaks, "huge", FIXED + PER_BYTE * 2 * size)
    assert max(peaks.values()) < 3.8e9
    for stage in ("exact", "minhash", "bloom", "heuristics", "decontaminate"):
        assert counts[f"huge {stage}"][2] == 1, stage
    assert counts["huge pack"] == [3, 3, 0]


@pytest.mark.slow
def test_rows_of_100_columns_of_a_megabyte_take_what_the_bound_says(tmp_path):
    row = wide(tmp_path / "huge.parquet", 4, 100, 1_000_000, 1)
    assert row > 100e6
    peaks, _ = run(tmp_path / "out", tmp_path / "huge.parquet")
    assert not above(peaks, "huge", bound(row, 1))
