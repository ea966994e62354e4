"""``python -m tests.bench.scale``: the passes `pairs` and `components` on millions of made signatures, and what a billion take.

Documents are keys alone, in the form in which `minhash` writes them: three tenths belong to families of 2 to 50 copies, and a
copy shares a band with its family as probably as its similarity (0.7 to 1) has it; the others share nothing. The stage makes
its own tasks; each pass runs them one after the other in a process of its own, so that its peak memory is its own.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.pipeline import splitmix
from goldwash.pipeline.dedup import passes as copies
from goldwash.pipeline.dedup.bands import BAND_KEY_BYTES, GroupKeys
from goldwash.pipeline.dedup.pass_files import Checks
from goldwash.pipeline.dedup.passes import Copies, join_components, key_group, pair_band
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Work, markers_of, stage_of
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, TaskOutput

SIZES = (1_000_000, 2_000_000, 4_000_000)
SLICES = 4
"""Into how many slices the keys of the largest size are cut, once more, to see what a slice costs."""
ROUNDS = 3
FOLDERS = ("keys", "bands", "pairs", "components")
SHARD = 250_000
BATCH = 1_000
"""Documents that are written at once, about what a megabyte of text has."""
COPIES = 0.3
PROJECTED = 1_000_000_000

Numbers = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Spent:
    """What a pass took: seconds, and bytes of memory at its start and at its peak."""

    wall: float
    cpu: float
    start: int
    peak: int

    @staticmethod
    def median(rounds: Sequence["Spent"]) -> "Spent":
        """Of each number the median."""
        return Spent(*(statistics.median(getattr(r, name) for r in rounds) for name in ("wall", "cpu", "start", "peak")))


@dataclass(frozen=True)
class Measured:
    """So many documents in so many slices: the passes, bytes on disk by folder, and what was found."""

    documents: int
    slices: int
    pairs: Spent
    components: Spent
    disk: dict[str, int]
    found: dict[str, int]


class EnoughError(Exception):
    """The stage has come to a pass that is not measured."""


@cache
def minhash() -> MinHash:
    """The stage as baseline.yaml has it."""
    stage = recipes.stage_alone("minhash", "baseline")
    assert isinstance(stage, MinHash)
    return stage


def uniform(seeds: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A number from 0 to below 1 for each number."""
    return splitmix.fractions(splitmix.hashed(seeds))


@cache
def families(documents: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Each document's family (-1: none), and its similarity with the family's first: ``int64[N]``, ``float64[N]``."""
    chance = np.random.default_rng(documents)
    copied = int(COPIES * documents)
    sizes = chance.integers(2, 51, copied // 2)
    members = np.repeat(np.arange(len(sizes)), sizes)[:copied]
    family = np.full(documents, -1)
    family[chance.permutation(documents)[:copied]] = members
    return family, chance.uniform(0.7, 1, documents)


def minima(sources: Numbers, band: int, rows: int) -> npt.NDArray[np.uint32]:
    """A band's rows of the sources' signatures, distributed as the least hashes of a text's shingles: ``uint32[N, rows]``."""
    places = np.arange(band * rows, (band + 1) * rows, dtype=np.uint64)
    least = -np.log1p(-uniform(sources[:, None] * np.uint64(1 << 10) + places)) / shingle_counts(sources)[:, None]
    return np.minimum(least * 2.0**32, 2.0**32 - 1).astype(np.uint32)


def shingle_counts(sources: Numbers) -> npt.NDArray[np.float64]:
    """How many shingles the sources' texts have: 128 to 4096."""
    return np.floor(2.0 ** (7 + 5 * uniform(sources ^ np.uint64(1 << 63))))


def _strings(parts: Sequence[str | npt.NDArray[np.uint8]], n: int) -> pa.Array:
    """Rows of fixed parts and of drawn characters."""
    blocks = [np.tile(np.frombuffer(p.encode(), np.uint8), (n, 1)) if isinstance(p, str) else p for p in parts]
    data = np.ascontiguousarray(np.hstack(blocks))
    offsets = np.arange(n + 1, dtype=np.int32) * data.shape[1]
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data))


def make_keys(task: Task) -> None:
    """In the place of `key_group`: the keys of a group of one shard, from nothing."""
    stage, first = stage_of(task, Copies), task.index * SHARD
    documents, n = map(int, task.inputs[0].split("/"))
    here = slice(first, first + n)
    family, similarity = (values[here] for values in families(documents))
    own = np.arange(first, first + n, dtype=np.uint64)
    theirs = np.where(family < 0, own, family.astype(np.uint64) + np.uint64(documents))
    chance = np.random.default_rng((documents, task.index))
    hexadecimal = np.frombuffer(b"0123456789abcdef", np.uint8)[chance.integers(0, 16, (n, 40))]
    dash = "-"
    uuid = [p for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)) for p in (hexadecimal[:, a:b], dash)][:-1]
    columns: dict[str, Any] = {
        "id": _strings(["<urn:uuid:", *uuid, ">"], n),
        "url": _strings(["https://www.", hexadecimal[:, 32:35], ".example/articles/2024/", hexadecimal[:, 32:], ".html"], n),
        "weight": pa.array(shingle_counts(own) * 6 + chance.integers(0, 100, n)),
        "shingle_count": pa.array(shingle_counts(own).astype(np.int64)),
    }
    for band, (name, size) in enumerate(stage.key_columns):
        shared = chance.random(n) < similarity ** (size // 4)
        columns[name] = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(size), n, [None, pa.py_buffer(minima(np.where(shared, theirs, own), band, size // 4))]
        )
    schema = stage.key_schema()
    table = pa.table(columns).select(schema.names).cast(schema)
    with TaskOutput(task, None, dropped=False) as output, GroupKeys(task, stage.band_columns) as keys:
        output.open("keys", f"keys/{task.name}.parquet", schema)
        for k in range(0, n, BATCH):
            output.write("keys", table.slice(k, BATCH))
            keys.add(table.slice(k, BATCH))
        keys.write(output)
        output.facts.update(documents=[n], largest=0, checks=[{"id": Checks.of(table)["id"]}])


PASSES: dict[str, Work] = {"key_group": make_keys, "pair_band": pair_band, "join_components": join_components}
"""What is done for the stage's passes, by name."""


def peak() -> int:
    """Bytes that this program has had in memory at most (`ru_maxrss`, elsewhere than on Linux; it begins with the parent's)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def do_pass() -> None:
    """Do the pass that comes in JSON, and tell what it took."""
    order = json.load(sys.stdin)
    tasks = [Task.from_dict(values) for values in order["tasks"]]
    work = PASSES[order["work"]]
    stage_of(tasks[0], Copies).warm_up()
    start, wall, cpu = peak(), time.perf_counter(), time.process_time()
    for task in tasks:
        work(task)
    spent = Spent(time.perf_counter() - wall, time.process_time() - cpu, start, peak())
    sys.stdout.write(json.dumps(vars(spent)) + "\n")


def in_process(work: Work, tasks: Sequence[Task]) -> Spent:
    """A pass in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.scale", "pass"],
        input=json.dumps({"work": work.__name__, "tasks": [task.to_dict() for task in tasks]}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Spent(**json.loads(done.stdout.splitlines()[-1]))


def once(inputs: Sequence[Input], out: str, slices: int) -> tuple[Spent, Spent, dict[str, int]]:
    """The passes `pairs` and `components`, and what they found; the keys are made where there are none."""
    spent: dict[str, Spent] = {}
    found: dict[str, int] = {}

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        if work.__name__ not in PASSES:
            raise EnoughError
        if work is not key_group or not Path(out, "keys").exists():
            spent[work.__name__] = in_process(work, tasks)
        facts = [marker["facts"] for marker in markers_of(tasks)]
        found.update({key: sum(f[key] for f in facts) for key, value in facts[0].items() if isinstance(value, int)})
        return Report()

    a_slice = -(-sum(i.rows or 0 for i in inputs) // slices)
    with patch.multiple(copies, DOCUMENTS_A_TASK=a_slice, KEYS_A_TASK=1), suppress(EnoughError):
        minhash()(inputs, out, run)
    return spent["pair_band"], spent["join_components"], found


def measure(documents: int, slicings: Sequence[int]) -> list[Measured]:
    """The passes over so many documents, for each number of slices in turn (fewest first); medians."""
    counts = [min(SHARD, documents - first) for first in range(0, documents, SHARD)]
    inputs = [Input(f"{documents}/{count}", 0, "made", count) for count in counts]
    made = []
    with tempfile.TemporaryDirectory(prefix="goldwash-scale-") as out:
        for slices in slicings:
            rounds = [once(inputs, out, slices) for _ in range(ROUNDS)]
            pairs, components = Spent.median([r[0] for r in rounds]), Spent.median([r[1] for r in rounds])
            disk = {name: sum(f.stat().st_size for f in Path(out, name).iterdir()) for name in FOLDERS}
            made.append(Measured(documents, slices, pairs, components, disk, rounds[0][2]))
            sys.stderr.write(f"{documents:,} documents, {slices} slices: {pairs.cpu:.1f} + {components.cpu:.1f} CPU-s\n")
    return made


def table(rows: Sequence[Measured]) -> list[str]:
    """What was measured, as Markdown."""
    lines = [
        "| documents | slices | pairs, CPU-s | wall s | peak MB | components, CPU-s | wall s | peak MB "
        "| keys, bytes a document | pairs | components | pairs found | components found |",
        "|---:" * 13 + "|",
    ]
    for row in rows:
        spent = [f"{s.cpu:.1f} | {s.wall:.1f} | {s.peak / 1e6:,.0f}" for s in (row.pairs, row.components)]
        disk = [f"{row.disk[name] / row.documents:.1f}" for name in FOLDERS]
        found = [f"{row.found[name]:,}" for name in ("pairs", "components")]
        lines.append(f"| {' | '.join([f'{row.documents:,}', str(row.slices), *spent, *disk, *found])} |")
    return lines


def projection(half: Measured, whole: Measured, sliced: Measured) -> list[str]:
    """What `PROJECTED` documents take, from the slopes between two sizes and what a further slice costs, as Markdown."""
    documents = whole.documents - half.documents
    slices = -(-PROJECTED // copies.DOCUMENTS_A_TASK)
    bands, key_bytes = len(minhash().key_columns), sum(size for _, size in minhash().key_columns)
    paired = (whole.pairs.cpu - half.pairs.cpu) / documents
    again = (sliced.pairs.cpu - whole.pairs.cpu) / (sliced.slices - whole.slices) / whole.documents
    joined = (whole.components.cpu - half.components.cpu) / documents
    pair_bytes = (whole.pairs.peak - half.pairs.peak) / documents
    disk = {f"bytes on disk, {name}/": (whole.disk[name] - half.disk[name]) / documents for name in FOLDERS}
    times = {
        "CPU time of pairs with one slice per band": paired,
        "CPU time of pairs per further slice": again,
        f"CPU time of pairs in {slices} slices": paired + again * (slices - 1),
        "CPU time of components, one task": joined,
    }
    memory = {
        "memory of a pairs task, per document of its slice, as documented": (copies.BYTES_PAIRED, copies.DOCUMENTS_A_TASK),
        "the same, as measured": (pair_bytes, copies.DOCUMENTS_A_TASK),
        "memory of components, as documented, besides buffers of bounded size": (
            copies.joining_memory(PROJECTED) / PROJECTED,
            PROJECTED,
        ),
    }
    return [
        f"{PROJECTED:,} documents, from the slopes between {half.documents:,} and {whole.documents:,}, ignoring the logarithm "
        f"of sorting: {bands} bands x {slices} slices of {copies.DOCUMENTS_A_TASK:,} documents = {bands * slices} tasks of "
        f"pairs, which read {BAND_KEY_BYTES * bands * PROJECTED / 1e12:.2f} TB of keys "
        f"({key_bytes * slices * PROJECTED / 1e12:.1f} TB if each slice read the whole band).",
        "",
        "| what | per document | in all |",
        "|---|---:|---:|",
        *(f"| {what} | {each:.1f} B | {each * PROJECTED / 1e9:,.0f} GB |" for what, each in disk.items()),
        *(f"| {what} | {each * 1e6:.2f} us | {each * PROJECTED / 3600:.1f} h |" for what, each in times.items()),
        *(f"| {what} | {each:.0f} B | {each * of / 1e9:.1f} GB |" for what, (each, of) in memory.items()),
    ]


def section() -> str:
    """Measure, and return the section of docs/benchmarks.md."""
    measured = [row for size in SIZES for row in measure(size, (1, SLICES) if size == SIZES[-1] else (1,))]
    first, half, whole, sliced = measured
    bands, rows, _ = minhash().layout
    wall, most = first.pairs.wall + first.components.wall, max(first.pairs.peak, first.components.peak)
    holds = "holds" if wall < 60 and most < 2e9 else "DOES NOT HOLD"
    return "\n".join(
        [
            "",
            "## Bands and components at scale",
            "",
            f"The passes `pairs` ({bands} bands of {rows} rows) and `components` of `minhash` over made-up signatures: "
            f"{COPIES:.0%} of the documents are in families of 2 to 50 copies, {SHARD:,} documents per shard. One process runs "
            f"the tasks of a pass in turn; keys are in the page cache. Medians of {ROUNDS} rounds. Memory is the process's "
            f"peak, of which Python, its imports and the kernels take {first.pairs.start / 1e6:,.0f} MB.",
            "",
            *table(measured),
            "",
            f"The target, a million documents in a minute and 2 GB, {holds}: {wall:.1f} s, {most / 1e6:,.0f} MB, one process.",
            "",
            *projection(half, whole, sliced),
            "",
        ]
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["pass"]:
        do_pass()
    else:
        sys.stdout.write(section())
