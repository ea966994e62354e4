# ruff: noqa: E501 -- tables
"""Bit flips in what passes leave for one another, sets that go through files, and file lists of a dump."""

import json
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.dedup import bands, pass_files, passes, plan, survivors
from goldwash.pipeline.dedup.pass_files import Checks, Spill
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import RunError, Work
from goldwash.pipeline.stages import minhash
from goldwash.pipeline.stages.exact import Exact
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage import tasks as disk
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.tasks import Task
from tests.bench.driver import DOCUMENTS, PARTS, SHARDS, created, opened, simulated
from tests.conftest import ROOT
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.stages.test_bloom import line

# --- flips

TEXTS = [[line("a", 40), line("b", 40), ""], [line("a", 40), line("c", 40)], [line("b", 40) + " more", line("a", 40)]]
PASS_FILES = [
    ("pair_band", "bands", ""), ("join_components", "bands", ""), ("join_components", "pairs", ""), ("collect_sets", "components", ""),
    ("judge_part", "sets", ""), ("merge_survivors", "judged", ""), ("cut_shard", "merged", ""), ("cut_shard", "keys", "id"),
    ("pair_band", "counts.json", ""), ("cut_shard", "counts.json", ""), ("pair_band", "bands.json", ""), ("join_components", "pairs.json", ""),
    ("judge_part", "sets.json", ""), ("merge_survivors", "judged.json", ""),
]  # fmt: skip


def results(out: Path) -> tuple[list[object], list[object]]:
    return rows(out), rows(out, "dropped")


@pytest.mark.parametrize(("before", "where", "column"), PASS_FILES)
def test_a_flipped_bit_is_noticed_or_changes_nothing(before, where, column, tmp_path, monkeypatch):
    """Single bits all over the file, in pages, page headers and footers alike."""
    monkeypatch.setattr(minhash, "DOCUMENTS_A_PART", 2)
    inputs = [shard(tmp_path / f"{n}.parquet", texts) for n, texts in enumerate(TEXTS)]
    stage = MinHash(bands=4, rows=2, check=0.5)
    whole = tmp_path / "whole"
    noticed, draw = 0, random.Random(f"{before} {where}")

    def ready(work: Work, tasks: list[Task]) -> Report:
        if work.__name__ == before:
            raise KeyboardInterrupt
        return here(work, tasks)

    with pytest.raises(KeyboardInterrupt):
        stage(inputs, str(whole), ready)
    expected = tmp_path / "expected"
    shutil.copytree(whole, expected)
    stage(inputs, str(expected), here)
    file = whole / where if where.endswith(".json") else sorted((whole / where).glob("*.*"))[0]
    content = file.read_bytes()
    tries = 25
    for n in range(tries):
        out = tmp_path / f"flip-{n}"
        shutil.copytree(whole, out)
        flipped, bit = bytearray(content), draw.randrange(len(content) * 8)
        flipped[bit // 8] ^= 1 << bit % 8
        (out / file.relative_to(whole)).write_bytes(flipped)
        try:
            # the driver has what it knew: the flip comes while passes run
            stage(
                inputs,
                str(out),
                partial(_with_flip, before=before, file=out / file.relative_to(whole), flipped=flipped),
            )
        except (DataError, RunError):
            noticed += 1
            continue
        assert results(out) == results(expected), bit
        shutil.rmtree(out)
    if where in ("pairs", "components", "judged", "merged"):
        assert noticed == tries  # every byte of a file that is read whole; of the others, those that are read


def _with_flip(work: Work, tasks: list[Task], *, before: str, file: Path, flipped: bytearray) -> Report:
    if work.__name__ == before:
        file.write_bytes(flipped)
    return here(work, tasks)


@given(
    st.lists(st.lists(st.none() | st.binary(min_size=3, max_size=3), max_size=5), max_size=4),
    st.lists(st.none() | st.text(max_size=4), max_size=6),
)
def test_checks_do_not_depend_on_batches(batches, texts):
    kind = pa.schema([("key", pa.binary(3))])
    checks = Checks(["key"])
    for batch in batches:
        checks.add(pa.table({"key": pa.array(batch, pa.binary(3))}, schema=kind))
    flat = [value for batch in batches for value in batch]
    assert checks.values() == Checks.of(pa.table({"key": pa.array(flat, pa.binary(3))}, schema=kind))
    strings = pa.table({"id": pa.array(["x", *texts, "y"], pa.string())})
    alone = pa.table({"id": pa.array(texts, pa.string())})
    assert Checks.of(strings.slice(1, len(texts))) == Checks.of(alone)
    assert (Checks.of(strings) == Checks.of(alone)) is False


def test_strings_that_are_cut_elsewhere_have_other_checks():
    one, other = (Checks.of(pa.table({"id": values})) for values in (["ab", "c"], ["a", "bc"]))
    assert one != other


@pytest.mark.parametrize("held", [0, 8 * 700, 8 << 20], ids=["file", "both", "memory"])
def test_a_spill_gives_back_what_was_put_in(held, tmp_path, monkeypatch):
    monkeypatch.setattr(pass_files, "HELD", held)
    draw = np.random.default_rng(1)
    sets = [draw.integers(0, 2**64, n, np.uint64) for n in (0, 1, 699, 0, 3, 5, 0, 2)]
    with Spill(str(tmp_path / "new")) as spill:
        assert spill.take(np.zeros(0, np.int64)).tolist() == spill.sizes.tolist() == []
        for n, values in enumerate(sets[:4]):
            spill.append(values)
            assert (spill[n] == values).all()
        spill.append(np.concatenate(sets[4:]), np.array([3, 5, 0, 2]))
        assert spill.sizes.tolist() == [0, 1, 699, 0, 3, 5, 0, 2]
        for rows in (range(8), (7, 2, 2, 0), (5,), ()):
            expected = np.concatenate([np.zeros(0, np.uint64), *(sets[n] for n in rows)])
            assert (spill.take(np.array(rows, np.int64)) == expected).all()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_spill_that_lost_its_end_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(pass_files, "HELD", 0)
    with Spill(str(tmp_path)) as spill:
        spill.append(np.arange(9, dtype=np.uint64))
        spill._file.truncate(20)
        with pytest.raises(OSError, match="52 bytes too early"):
            spill[0]


def test_keys_that_are_hashed_in_pieces_are_the_same_files(tmp_path, monkeypatch):
    inputs = [shard(tmp_path / f"{n}.parquet", texts) for n, texts in enumerate([[*TEXTS[0], ""], [], TEXTS[1]])]
    found = []
    for size in (1, 2, 8192):
        monkeypatch.setattr(bands, "HASHED_AT_ONCE", size)
        out = tmp_path / str(size)
        MinHash(bands=4, rows=2)(inputs, str(out), here)
        found.append([file.read_bytes() for file in sorted((out / "bands").iterdir())])
    assert found[0]
    assert found[0] == found[1] == found[2]


# --- too large


@pytest.mark.parametrize(
    "stage", [MinHash(max_text_bytes=600), Exact(by=("text", "url"), max_text_bytes=600)], ids=["minhash", "exact"]
)
def test_a_text_that_is_too_large_is_dropped_and_nobodys_copy(stage, tmp_path):
    large = line("a", 300)
    inputs = [
        shard(
            tmp_path / "0.parquet",
            [large, line("b", 40), large, line("c", 40)],
            url=["http://a.example/"] * 2 + ["http://b.example/", "http://a.example/"],
        )
    ]
    report = stage(inputs, str(tmp_path / "out"), here)
    kept, dropped = results(tmp_path / "out")
    assert [row["id"] for row in kept] == (["0-1", "0-3"] if stage.name == "minhash" else ["0-1"])
    assert {row["id"]: row["dropped_by"] for row in dropped}.items() >= {"0-0": "too_large", "0-2": "too_large"}.items()
    assert report.dropped["too_large"].documents == 2


# --- the driver, on a dump


def test_file_lists_and_opened_files_of_a_dump_are_few(tmp_path):
    found = simulated(tmp_path, SHARDS, DOCUMENTS, PARTS)
    assert found["judged"].tasks == PARTS
    assert found["part"].tasks == SHARDS
    assert found["keys"].tasks == found["sets"].tasks <= plan.GROUPS
    assert max(p.list_bytes for p in found.values()) < 100e6
    assert max(file.stat().st_size for file in tmp_path.rglob("*.json")) < 10e6
    assert max(p.memory for p in found.values()) < 3.5e9  # 4 GB with a process and its buffers
    assert sum(p.opened for p in found.values()) < 2.5e6  # 2.9e8 with a file per shard, part and slice
    assert sum(p.created for p in found.values()) < 4 * SHARDS


def test_opened_files_grow_with_the_shards_and_not_with_their_square(tmp_path):
    totals = []
    for k in (1, 2, 4):
        found = simulated(tmp_path / str(k), 2000 * k, DOCUMENTS, 67 * k)
        totals.append(sum(p.opened for p in found.values()))
    assert totals[2] / totals[1] < 2.2
    assert totals[1] / totals[0] < 2.2


@pytest.mark.parametrize("roots", [4, 1 << 25])
def test_tasks_open_the_files_that_the_simulation_counts(roots, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "GROUPS", 2)
    monkeypatch.setattr(passes, "DOCUMENTS_A_TASK", 4)
    monkeypatch.setattr(passes, "KEYS_A_TASK", 1)
    monkeypatch.setattr(survivors, "MERGED_DOCUMENTS", 1)
    monkeypatch.setattr(passes, "ROOTS", roots)
    monkeypatch.setattr(minhash, "DOCUMENTS_A_PART", 2)
    names: list[str] = []
    for module, name in (
        (passes, "opened_slices"), (bands, "opened_slices"), (survivors, "opened_slices"), (minhash, "opened_slices"),
        (passes, "batches_of"), (passes, "read_keys"), (disk, "read_batches"),
    ):  # fmt: skip
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, _real=real, **k: (names.append(str(a[0])), _real(*a, **k))[1])
    shared: list[str] = []
    for module in (passes, plan, bands, survivors, minhash):
        real = module.read_shared
        monkeypatch.setattr(module, "read_shared", lambda *a, _real=real: (shared.append(a[0]), _real(*a))[1])
    done: dict[str, int] = {}

    def run(work: Work, tasks: list[Task]) -> Report:
        for task in tasks:
            names.clear()
            shared.clear()
            work(task)
            assert sum(name.endswith(("bands.json", "pairs.json", "sets.json", "judged.json")) for name in shared) <= 2
            assert shared.count(f"{task.out}/bands.json") <= 1, "a list of a file per group, parsed once"
            fewer = task.part == "components"  # a range of roots leaves out the groups before it
            assert len(names) == opened(task) or (fewer and len(names) < opened(task)), (task.name, names)
            marker = json.loads(Path(task.marker).read_text())
            assert len(marker["files"]) == created(task)
            done[task.part] = done.get(task.part, 0) + 1
        return Report()

    inputs = [shard(tmp_path / f"{n}.parquet", texts) for n, texts in enumerate(TEXTS)]
    for check in (0.5, None):
        MinHash(bands=4, rows=2, check=check)(inputs, str(tmp_path / f"{check}"), run)
    assert done["merged"] == (2 if roots > 4 else 4)
    assert done["judged"] > 1


# --- memory

MEMORY = """
import json, sys, resource
from goldwash.pipeline.stage import stage_of
from goldwash.pipeline.stages import minhash
from goldwash.pipeline.storage.tasks import Task
minhash.CHUNK = 1 << 22
order = json.load(open(sys.argv[1]))
task = Task.from_dict(order)
stage_of(task, minhash.MinHash).warm_up()
def status(name):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name))
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
{"sets": minhash.collect_sets, "judged": minhash.judge_part}[task.part](task)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read from Linux's /proc")
def test_memory_of_sets_and_judged_does_not_grow_with_the_shard(tmp_path):
    """Of 20 and of 100 MB of shingles of near copies: the same, within 40 MB. A peak differs by 25 MB between runs."""
    peaks: dict[str, list[int]] = {"sets": [], "judged": []}
    for copies in (100, 500):
        folder, words = tmp_path / str(copies), [f"word{n}" for n in range(25_000)]
        inputs = [shard(folder / "0.parquet", [" ".join([*words, f"copy{n}"]) for n in range(copies)])]
        pq.write_table(
            pq.read_table(inputs[0].path), inputs[0].path, row_group_size=20, use_dictionary=False
        )  # as stages write them
        tasks: dict[str, Task] = {}

        def run(work: Work, some: list[Task], tasks: dict[str, Task] = tasks) -> Report:
            tasks[some[0].part] = some[0]
            return here(work, some)

        MinHash(bands=4, rows=2, check=0.7)(inputs, str(folder / "out"), run)
        for part in peaks:
            (folder / f"{part}.json").write_text(json.dumps(tasks[part].to_dict()))
            done = subprocess.run(
                [sys.executable, "-c", MEMORY, str(folder / f"{part}.json")],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            peaks[part].append(int(done.stdout.split()[-1]) * 1024)
            assert tasks[part].memory > 0
            assert peaks[part][-1] < tasks[part].memory + (64 << 20)
    for part, (small, large) in peaks.items():
        assert large - small < 40 << 20, (part, peaks)


@pytest.mark.parametrize("shards", [[[], TEXTS[0], TEXTS[1]], [TEXTS[0], [], TEXTS[1]], [TEXTS[0], TEXTS[1], []], [[]], []])
def test_empty_shards_first_middle_and_last(shards, tmp_path):
    stage = MinHash(bands=4, rows=2, check=0.5)
    inputs = [shard(tmp_path / f"{n}.parquet", texts) for n, texts in enumerate(shards)]
    stage(inputs, str(tmp_path / "out"), local(1) if shards and any(shards) else here)
    kept, dropped = results(tmp_path / "out")
    assert len(kept) + len(dropped) == sum(map(len, shards))
