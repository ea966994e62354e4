"""``python -m tests.bench.growth``: how each stage's time, memory and disk grow with the pages, and what a dump would take.

The pages are the real ones (the sample crawl where they are missing), once, twice and four times, in one archive, since an
archive of a dump has two to nine times as many; `growth_crawl` makes them. What a task costs beyond its pages is measured
apart, on a few pages in one archive and in `PIECES`. Each stage of sample.yaml runs through the command line in a process of
its own, one worker, on the folder of the one before it. What a size takes beyond what a few pages take, start-up and models,
is its growth; slopes are those between a few and all. The runs' folder, some hundred megabytes among the temporary files, is
deleted.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from goldwash.pipeline.inspect.estimate import PAGE_HTML_BYTES, PAGE_TEXT_BYTES
from tests.bench.growth_crawl import CUT, EVERY, FEW, NEAR, NEARLY, PIECES, SIZES, pages_of, write_crawl

ROUNDS = {CUT: 3, 0: 4, 1: 2}
"""How often a size is run, if more than once; of several rounds the least CPU time is taken, since noise only adds."""
COMPILING = "0x-0"
"""The round in which kernels are compiled; it does not count."""
RECIPE = "sample"
STAGES = ("extract", "heuristics", "minhash", "bloom", "quality", "decontaminate")
ATTEMPTS = {"decontaminate": "bloom"}
"""What a stage reads, if not the one before: of a tenth of a few pages there is nothing to measure."""
AROUND = "around"
"""What is no pass: Python and its imports, planning, reading markers, the report; in `quality` training, too."""

# ---- one process


def cpu() -> float:
    """CPU time of this process, and of those that it started and that have ended, such as the one that reads archives."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def timed(local: Callable[..., Any], seconds: dict[str, float], *settings: Any) -> Any:
    """The local engine, with the CPU time of each pass put down under its name."""
    run = local(*settings)

    def timing(work: Any, tasks: Sequence[Any]) -> Any:
        began = cpu()
        report = run(work, tasks)
        seconds[tasks[0].part] = seconds.get(tasks[0].part, 0.0) + cpu() - began
        return report

    return timing


def command(told: str, words: Sequence[str], drives: bool = False) -> None:
    """The command line in this process; what it took goes into the file ``told``.

    ``drives``: it leaves to workers even the passes of one task, which it would do itself.
    """
    from goldwash.pipeline.cli.app import main
    from goldwash.pipeline.engines.local import LocalExecutor, local

    seconds: dict[str, float] = {}
    sys.argv = ["goldwash", *words]
    here = LocalExecutor._in_processes if drives else LocalExecutor._here
    with (
        patch.object(LocalExecutor, "_here", here),
        patch("goldwash.pipeline.engines.local.local", partial(timed, local, seconds)),
    ):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
    seconds[AROUND] = cpu() - sum(seconds.values())
    from tests.bench.scale import peak  # not before: its imports would weigh on the peak

    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    Path(told).write_text(json.dumps({"seconds": seconds, "peak": peak(), "started": started}), "utf-8")


def in_process(what: str, *words: str) -> Any:
    """What a process of its own tells."""
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.growth", what, told.name, *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
        return json.loads(Path(told.name).read_text("utf-8") or "null")


# ---- what is measured


@dataclass(frozen=True)
class Measured:
    """A stage on one size of the pages."""

    stage: str
    size: int
    seconds: Mapping[str, float]
    """CPU time by pass, and `AROUND` them."""
    peak: int
    """Of the largest of its processes."""
    documents: int
    bytes: int
    """Bytes read: of text, or of HTML."""
    kept: int
    kept_bytes: int
    shards: int
    dropped: int
    passing: Mapping[str, int]
    """Bytes of what only later passes read, by folder."""
    notes: int
    """Bytes of markers, logs and reports."""
    facts: Mapping[str, Any]

    @property
    def cpu(self) -> float:
        """CPU time of the passes."""
        return sum(seconds for name, seconds in self.seconds.items() if name != AROUND)

    @property
    def temporary(self) -> int:
        """Bytes that nobody needs once the stage is finished."""
        return sum(self.passing.values())


def on_disk(folder: Path) -> tuple[int, int, dict[str, int], int]:
    """Bytes of a stage's shards, of its dropped documents, of what only its passes read (by folder), of its notes."""
    shards, dropped, notes, passing = 0, 0, 0, dict[str, int]()
    for file in folder.rglob("*"):
        inside = file.relative_to(folder).parts
        if not file.is_file():
            continue
        size = file.stat().st_size
        if file.suffix in (".json", ".md", ".log"):
            notes += size
        elif len(inside) == 1:
            shards += size
        elif inside[0] == "dropped":
            dropped += size
        else:
            passing[inside[0]] = passing.get(inside[0], 0) + size
    return shards, dropped, passing, notes


@cache
def in_a_run(stage: str) -> list[str]:
    """What a stage has in a run only: texts left where they are, n-grams counted by `heuristics` for `bloom`."""
    from goldwash.pipeline.recipes.recipe import load

    settings = {"minhash": "copy_text=false", "bloom": "count_column=ngram_count"}
    if stage == "heuristics":
        settings[stage] = f"steps={json.dumps(load(RECIPE).stage(stage).config()['steps'])}"
    return ["--set", settings[stage]] if stage in settings else []


def measure_stage(stage: str, size: int, source: Path, out: Path) -> Measured:
    """A stage through the command line, as in a run."""
    words = ["stage", stage, "--recipe", RECIPE, "--workers", "1", "--input", str(source), "--out", str(out)]
    words += in_a_run(stage)
    told = in_process("command", *words)
    held = json.loads((out / "report.json").read_text("utf-8"))
    read, kept = held["report"]["read"], held["report"]["kept"]
    counts = read["documents"], read["bytes"], kept["documents"], kept["bytes"]
    return Measured(stage, size, told["seconds"], max(told["peak"], told["started"]), *counts, *on_disk(out), held["facts"])


def measure(crawl: Path, out: Path) -> dict[tuple[str, int], Measured]:
    """Every stage on every size; kernels are compiled in the first round on a few pages, so that the second counts."""
    found: dict[tuple[str, int], Measured] = {}
    for size, name in [(times, f"{times}x-{n}") for times in (*SIZES, CUT, NEAR) for n in range(ROUNDS.get(times, 1))]:
        some = STAGES[: STAGES.index("minhash") + 1] if size == NEAR else STAGES
        for stage, before in zip(some, ("", *STAGES), strict=False):
            source = out / name / ATTEMPTS.get(stage, before) if before else pages_of(crawl, size)
            made = measure_stage(stage, size, source, out / name / stage)
            best = found.get((stage, size))
            if name == COMPILING:
                continue  # kernels that were just compiled need not be loaded in the passes
            if best is None or made.cpu < best.cpu:
                found[stage, size] = made
            sys.stderr.write(f"{name}, {stage}: {made.cpu:.2f} CPU-s, {made.peak / 1e6:,.0f} MB\n")
    return found


def drivers(crawl: Path, out: Path) -> dict[int, int]:
    """The peak memory of the process that drives the whole recipe while two workers do all of its tasks, by size.

    The model is what `measure` left, since training on the spot would be all that is seen.
    """
    peaks, model = {}, f"quality.model={out}/{SIZES[0]}x-0/quality/model/model.fold"
    for size in (SIZES[0], SIZES[1], SIZES[-1]):
        words = ["run", RECIPE, "--set", model, "--workers", "2", "--out", str(out / f"driven-{size}x")]
        peaks[size] = in_process("drive", *words, "--input", str(pages_of(crawl, size)))["peak"]
        sys.stderr.write(f"{size}x, two workers: the driver took {peaks[size] / 1e6:,.0f} MB\n")
    return peaks


@dataclass(frozen=True)
class Reading:
    """What a file of an earlier pass costs who reads it: CPU-seconds to open it, and for each of its bytes."""

    opened: float
    byte: float


def reading(told: str) -> None:
    """Measure that on files of slices as `sets` writes them: a small slice of one with an index of 3,000, and a large one."""
    import numpy as np

    from goldwash.pipeline.storage.slices import SliceWriter, opened_slices

    took = []
    with tempfile.TemporaryDirectory() as folder:
        for size, times in ((100, 500), (1 << 28, 5)):
            writer = SliceWriter(f"{folder}/{size}.slices")
            for n in range(3000):
                writer.write([np.random.default_rng(n).bytes(size if n == 7 else 100)])
            facts = writer.commit()
            began = time.process_time()
            for _ in range(times):
                with opened_slices(writer.location, facts) as held:
                    held.read(7)
            took.append((time.process_time() - began) / times)
    Path(told).write_text(json.dumps(asdict(Reading(took[0], (took[1] - took[0]) / ((1 << 28) - 100)))), "utf-8")


# ---- slopes


def slope(few: float, most: float, by_few: float, by_most: float) -> float:
    """How much more a measure is for each unit more of another; 0 where the other does not grow.

    >>> slope(1.0, 9.0, 10, 50)
    0.2
    """
    return (most - few) / (by_most - by_few) if by_most != by_few else 0.0


def growth(few: Measured, one: Measured, most: Measured, of: Callable[[Measured], float]) -> float:
    """A measure's slope up to the largest size, in terms of its slope up to the first: 1 is linear in the bytes read."""
    first = slope(of(few), of(one), few.bytes, one.bytes)
    return slope(of(few), of(most), few.bytes, most.bytes) / first if first else 0.0


@dataclass(frozen=True)
class Rate:
    """What a pass takes: slopes, and the memory of a task."""

    seconds: float
    """CPU time for each GB that it reads."""
    archive: float = 0
    """CPU time for each archive, however small."""
    passing: float = 0
    """Bytes a document that only later passes read."""
    shards: float = 0
    """Bytes on disk for each byte of text that is kept."""
    dropped: float = 0
    """Bytes on disk for each document that is dropped."""
    memory: float = 0


Found = Mapping[tuple[str, int], Measured]


def rates_of(found: Found) -> dict[str, Rate]:
    """Rates by pass, as ``minhash.keys``; the last pass of a stage writes the shards."""
    made = {}
    for stage in STAGES:
        cut, few, most = found[stage, CUT], found[stage, SIZES[0]], found[stage, NEAR if stage == "minhash" else SIZES[-1]]
        gone = most.documents - most.kept
        ends = {"shards": most.shards / max(most.kept_bytes, 1), "dropped": most.dropped / gone if gone else 0.0}
        passes = [name for name in most.seconds if name != AROUND]
        for name in passes:
            seconds = slope(few.seconds.get(name, 0), most.seconds[name], few.bytes / 1e9, most.bytes / 1e9)
            archive = (cut.seconds.get(name, 0) - few.seconds.get(name, 0)) / (PIECES - 1)
            folders = [f for f in most.passing if f == name or (f not in passes and name == passes[-1])]
            passing = sum(slope(few.passing.get(f, 0), most.passing[f], few.documents, most.documents) for f in folders)
            rate = Rate(max(seconds, 0), max(archive, 0), max(passing, 0), memory=most.peak)
            made[f"{stage}.{name}"] = replace(rate, **ends) if name == passes[-1] else rate
    return made


def quoted(found: Found) -> dict[str, dict[str, float]]:
    """What a plan may quote, by stage."""
    told = {}
    for stage in STAGES:
        few, most = found[stage, SIZES[0]], found[stage, SIZES[-1]]
        seconds = slope(few.cpu, most.cpu, few.bytes / 1e6, most.bytes / 1e6)
        told[stage] = {
            "mb_per_cpu_second": round(1 / seconds, 2) if seconds else 0.0,
            "output_bytes_per_text_byte": round(most.shards / max(most.kept_bytes, 1), 3),
            "temporary_bytes_per_document": round(slope(few.temporary, most.temporary, few.documents, most.documents), 1),
            "peak_memory_mb": round(most.peak / 1e6),
        }
    return told


# ---- a dump

ARCHIVES, PAGES_AN_ARCHIVE = 90_000, 33_000
NODES, CORES = 100, 32
SHARES = {"extract": 1.0, "heuristics": 0.484, "minhash": 0.199, "bloom": 0.199, "quality": 0.137, "decontaminate": 0.014}
"""What share of all pages comes to a stage: DCLM (arXiv 2406.11794), figure 4, which has no MinHash before its
Bloom filter. What comes to `heuristics` is what is left there after URLs and language, since `extract` drops the rest early."""
LEFT = 0.014
IN_COMPONENTS = 0.5
"""Of the documents that come to `minhash`, those that have a near copy: supposed."""
BLOOM_GROUPS = 160
"""Groups of the Bloom filter: as many as a filter of less than 4 GB needs."""
PAIR_BYTES = 6
"""Of a pair on disk (`tests.bench.scale`)."""
JUDGED = 400_000_000
"""Bytes of memory of a judging task (`pipeline.stages.minhash`)."""


@dataclass(frozen=True)
class Share:
    """What comes to a stage and what stays: shares of all pages, and the mean bytes of a document."""

    documents: float
    bytes: float
    kept: float
    kept_bytes: float


@dataclass(frozen=True)
class Shape:
    """How a pass is cut: tasks at once at the most, bytes of memory a task beyond the rate's, and what all its tasks together
    open and read of the files of earlier passes."""

    at_once: float = float("inf")
    memory: float = 0
    opened: float = 0
    reread: float = 0


@dataclass(frozen=True)
class Cost:
    """What a pass takes for a dump: hours and bytes."""

    name: str
    documents: float
    read: float
    cpu: float
    cpu_reread: float
    """Of the CPU time that for opening and reading files of earlier passes."""
    wall: float
    memory: float
    reread: float
    opened: float
    disk: float


def cost(
    rates: Mapping[str, Rate], shares: Mapping[str, Share], shapes: Mapping[str, Shape], read: Reading, archives_: int,
    pages: float, cores: int,
) -> list[Cost]:  # fmt: skip
    """What each pass takes for so many archives and pages on so many cores."""
    rows = []
    for name, rate in rates.items():
        share, shape = shares[name.partition(".")[0]], shapes.get(name, Shape())
        documents, kept = pages * share.documents, pages * share.kept
        again = (shape.opened * read.opened + shape.reread * read.byte) / 3600
        cpu = again + (archives_ * rate.archive + documents * share.bytes / 1e9 * rate.seconds) / 3600
        disk = documents * rate.passing + kept * share.kept_bytes * rate.shards + (documents - kept) * rate.dropped
        wall, memory = cpu / min(cores, shape.at_once), rate.memory + shape.memory
        rows.append(Cost(name, documents, documents * share.bytes, cpu, again, wall, memory, shape.reread, shape.opened, disk))
    return rows


def shares_of(found: Found) -> dict[str, Share]:
    """The paper's shares; pages and their text as long as a plan has them, later documents as long as those measured."""
    most = {stage: found[stage, SIZES[-1]] for stage in STAGES}
    sizes = {stage: m.bytes / max(m.documents, 1) for stage, m in most.items()}
    sizes |= {"extract": PAGE_HTML_BYTES, "heuristics": PAGE_TEXT_BYTES}
    last = most[STAGES[-1]]
    after = [*((SHARES[stage], sizes[stage]) for stage in STAGES[1:]), (LEFT, last.kept_bytes / max(last.kept, 1))]
    return {stage: Share(SHARES[stage], sizes[stage], *left) for stage, left in zip(STAGES, after, strict=True)}


def supposing(found: Found, rates: Mapping[str, Rate]) -> dict[str, Rate]:
    """The rates with `IN_COMPONENTS` near copies: what only they cost, for as many more or fewer as those measured."""
    few, plain, near = (found["minhash", size] for size in (SIZES[0], SIZES[-1], NEAR))
    share = near.facts["in_components"] / max(near.documents, 1)
    times = IN_COMPONENTS / share if share else 0.0
    made = dict(rates)
    for name in ("components", "sets", "judged"):
        if (rate := made.get(f"minhash.{name}")) is not None:
            reading = slope(few.seconds.get(name, 0), plain.seconds[name], few.bytes / 1e9, plain.bytes / 1e9)
            least = max(0.0, reading) if name == "sets" else 0.0  # of documents that have no near copy
            seconds = rate.seconds if name == "components" else least + max(0.0, rate.seconds - least) * times
            made[f"minhash.{name}"] = replace(rate, seconds=seconds, passing=rate.passing * times)
    return made


def shapes_of(found: Found, rates: Mapping[str, Rate], pages: float, archives_: int) -> dict[str, Shape]:
    """How the passes that are not one task per archive are cut, and what they read again, as their stages do it."""
    from goldwash.pipeline.dedup import bands as files
    from goldwash.pipeline.dedup import passes, plan, survivors
    from goldwash.pipeline.stages.minhash import DOCUMENTS_A_PART
    from goldwash.pipeline.storage.slices import INDEX_BYTES
    from tests.bench.scale import minhash

    documents = pages * SHARES["minhash"]
    slices, parts = -(-documents // passes.DOCUMENTS_A_TASK), -(-documents * IN_COMPONENTS // DOCUMENTS_A_PART)
    bands = len(minhash().key_columns)
    wrote = _written(found, documents)
    groups, merging = -(-archives_ // plan.group_size(archives_)), -(-documents // survivors.MERGED_DOCUMENTS)
    pairing, ranges, index = bands * slices, -(-documents // passes.ROOTS), INDEX_BYTES * bands * files.MOST_BUCKETS
    keys = files.BAND_KEY_BYTES * bands * documents * (1 + 2 * slices / files.MOST_BUCKETS)
    bloom = found["bloom", SIZES[-1]]
    filter_ = pages * SHARES["bloom"] * bloom.facts["largest_filter_bytes"] / max(bloom.documents, 1)
    return {
        "minhash.keys": Shape(groups),
        "minhash.pairs": Shape(
            pairing,
            passes.BYTES_PAIRED * min(documents, passes.DOCUMENTS_A_TASK),
            opened=pairing * groups,
            reread=keys + pairing * groups * index,
        ),
        # weights once per range of roots, sizes once
        "minhash.components": Shape(
            1,
            passes.joining_memory(documents),
            opened=pairing + 2 * groups * ranges,
            reread=wrote["pairs"] + 8 * documents * (ranges + 1) + 2 * groups * ranges * index,
        ),
        "minhash.sets": Shape(groups, opened=archives_ + groups * ranges, reread=wrote["components"]),
        "minhash.judged": Shape(parts, JUDGED, parts * groups, wrote["sets"] + parts * groups * INDEX_BYTES * parts),
        # with the pass that merges what the judges found
        "minhash.part": Shape(
            opened=2 * archives_ + merging * parts,
            reread=2 * wrote["judged"] + merging * parts * INDEX_BYTES * groups,
        ),
        "bloom.group": Shape(BLOOM_GROUPS, filter_ / BLOOM_GROUPS),
        "quality.part": Shape(opened=archives_, reread=pages * SHARES["quality"] * rates["quality.scores"].passing),
    }


def _written(found: Found, documents: float) -> dict[str, float]:
    """Bytes that the passes of `minhash` leave for one another; they are gone when the stage is finished, and counted here."""
    from goldwash.pipeline.dedup.survivors import SURVIVOR_BYTES

    most, held = found["minhash", NEAR], documents * IN_COMPONENTS
    copied = max(most.facts["in_components"], 1)
    return {
        "pairs": held * PAIR_BYTES * most.facts["pairs"] / copied,
        "components": held * SURVIVOR_BYTES,
        "sets": held * (40 + 8 * most.facts["size_in_components"] / copied),
        "judged": held * SURVIVOR_BYTES,
    }


# ---- what is told


def table(titles: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; the first column is words, the others are numbers."""
    columns = titles.split(" | ")
    head = [f"| {titles} |", "|---|" + "---:|" * (len(columns) - 1)]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows), ""]


def stage_rows(found: Found) -> list[list[str]]:
    """A row a stage and size."""
    return [
        [
            f"{m.stage}, {named(m.size)}",
            f"{m.documents:,}",
            f"{m.bytes / 1e6:.1f}",
            f"{m.kept / max(m.documents, 1):.1%}",
            f"{m.cpu:.2f}",
            f"{m.seconds[AROUND]:.2f}",
            f"{m.peak / 1e6:,.0f}",
            f"{m.shards / 1e6:.2f}",
            f"{m.temporary / 1e6:.2f}",
            f"{m.notes / 1e3:,.0f}",
        ]
        for stage in STAGES
        for m in (
            found[stage, size]
            for size in (CUT, *SIZES, NEAR)
            if (stage, size) in found and (size != NEAR or stage == "minhash")
        )
    ]


def named(size: int) -> str:
    """A size in a table."""
    told = {0: "a few", CUT: f"a few in {PIECES} archives", NEAR: f"{SIZES[-1]}x and near copies"}
    return told.get(size, f"{size}x")


def growth_rows(found: Found) -> list[list[str]]:
    """A row a stage: slopes, and whether they hold."""
    rows = []
    for stage in STAGES:
        few, one, most = (found[stage, size] for size in (SIZES[0], 1, SIZES[-1]))
        seconds = slope(few.cpu, most.cpu, few.bytes / 1e9, most.bytes / 1e9)
        bigger = slope(one.peak, most.peak, one.documents, most.documents)
        passing = round(max(0.0, slope(few.temporary, most.temporary, few.documents, most.documents)))
        grown = growth(few, one, most, lambda m: m.temporary)
        task = 1e3 * (found[stage, CUT].cpu - few.cpu) / (PIECES - 1)
        rows.append(
            [
                stage,
                f"{seconds:.1f}",
                f"{growth(few, one, most, lambda m: m.cpu):.2f}",
                f"{task:.0f}",
                f"{few.peak / 1e6:,.0f}",
                f"{bigger / 1e3:,.1f}",
                f"{passing:,}",
                f"{grown:.2f}" if passing else "",
            ]
        )
    return rows


def pass_rows(found: Found) -> list[list[str]]:
    """A row a pass: CPU time by size."""
    names = [(stage, name) for stage in STAGES for name in found[stage, SIZES[-1]].seconds if name != AROUND]
    near = found["minhash", NEAR].seconds
    rows = []
    for stage, name in names:
        times = [f"{found[stage, size].seconds.get(name, 0):.2f}" for size in (CUT, *SIZES)]
        rows.append([f"{stage}.{name}", *times, f"{near.get(name, 0):.2f}" if stage == "minhash" else ""])
    return rows


def dump(found: Found, read: Reading) -> list[str]:
    """What one dump takes, as Markdown."""
    pages, cores = ARCHIVES * PAGES_AN_ARCHIVE, NODES * CORES
    rates, shares = supposing(found, rates_of(found)), shares_of(found)
    costs = cost(rates, shares, shapes_of(found, rates, pages, ARCHIVES), read, ARCHIVES, pages, cores)
    rows = [
        [
            c.name,
            f"{c.documents / 1e6:,.0f}",
            f"{c.read / 1e12:,.1f}",
            f"{c.cpu:,.1f}",
            f"{c.cpu_reread:,.1f}",
            f"{c.wall:,.2f}",
            f"{c.memory / 1e9:,.1f}",
            f"{c.reread / 1e12:,.1f}",
            f"{c.opened / 1e6:,.1f}",
            f"{c.disk / 1e12:,.2f}",
        ]
        for c in costs
    ]
    sums = [sum(getattr(c, name) for c in costs) for name in ("cpu", "cpu_reread", "wall", "reread", "opened", "disk")]
    cpu, again, wall, reread, opened, disk = sums
    total = f"{cpu:,.1f}", f"{again:,.1f}", f"{wall:,.1f}", "", f"{reread / 1e12:,.1f}", f"{opened / 1e6:,.1f}"
    rows.append(["in all", "", "", *total, f"{disk / 1e12:,.1f}"])
    paper = ", ".join(f"{stage} {share:.1%}" for stage, share in SHARES.items())
    sizes = ", ".join(f"{stage} {share.bytes:,.0f}" for stage, share in shares.items())
    return [
        f"One Common Crawl dump: {ARCHIVES:,} archives of {PAGES_AN_ARCHIVE:,} pages, {pages / 1e9:.2f} billion, on {NODES} "
        f"nodes of {CORES} cores that never wait. Assumptions: each stage gets the share of pages that DCLM's funnel has "
        f"(arXiv 2406.11794, figure 4: {paper}; kept at the end {LEFT:.1%}); bytes per document are those of "
        f"pipeline/inspect/estimate.py: {sizes}; {IN_COMPONENTS:.0%} of minhash's documents have a near copy, as in the pages "
        f"that its rates are measured on; Bloom runs in {BLOOM_GROUPS} groups. Tasks of pairs and judging open one file per "
        f"group of archives and read what earlier passes wrote (measured: {read.opened * 1e3:.2f} ms per file, "
        f"{read.byte * 1e9:.2f} ns per byte). Each archive costs what "
        "a further archive of a few pages did. Not in it: the start of Python, imports and kernels, once per worker.",
        "",
        *table(
            "pass | documents, millions | TB read | CPU-h | of it for files of earlier passes | wall h | GB per task "
            "| TB of earlier passes read | files opened, millions | TB written",
            rows,
        ),
    ]


def section() -> str:
    """Measure, and return the section of docs/benchmarks.md."""
    with tempfile.TemporaryDirectory(prefix="goldwash-growth-") as folder:
        crawl, out = Path(folder) / "crawl", Path(folder) / "out"
        write_crawl(crawl)
        found = measure(crawl, out)
        peaks = drivers(crawl, out)
    return told_of(found, peaks, Reading(**in_process("reading")))


def told_of(found: Found, peaks: Mapping[int, int], read: Reading) -> str:
    """The section for these measurements."""
    one = found[STAGES[0], 1].documents
    driven = ", ".join(f"{peak / 1e6:,.0f} MB for {found[STAGES[0], size].documents:,} pages" for size, peak in peaks.items())
    return "\n".join(
        [
            "",
            "## How the stages grow",
            "",
            f"Each stage runs on {one:,} pages, on 2 and {SIZES[-1]} times as many, and on every {FEW}th page, which shows "
            f"the fixed costs, each in one archive; and on those few pages in {PIECES} archives: the cost of a task. "
            "In a copy of a page, each word of five or more letters is replaced by another word of the page, everywhere in it: "
            "the copy keeps its language and its repetitions, but is no near copy of the original. Its ids and hosts are new. "
            f"For minhash alone, the largest size also has a near copy of every {NEARLY}rd page, in which every {EVERY}th of "
            "those words is another. "
            f"Each stage runs in a process with one worker under {RECIPE}.yaml; decontaminate reads bloom's output, since "
            'quality keeps too few documents to measure. CPU-s is the time of the passes; "around" is that of imports, '
            "planning, markers and, in quality, training the built-in model. Temporary files are for later passes; "
            "notes are markers, logs and reports.",
            "",
            *table(
                "stage | documents | MB read | kept | CPU-s | around | peak MB | shards MB | temporary MB | notes kB",
                stage_rows(found),
            ),
            f'The slope per GB read between the smallest and the {SIZES[-1]}x input; "growth" is its ratio to the slope up '
            "to 1x, so that 1.00 is linear. CPU milliseconds per further archive. Memory at the start, and what each document "
            "beyond 1x adds.",
            "",
            *table(
                "stage | CPU-s per GB | growth | ms per archive | MB at first | kB per further document "
                "| temporary bytes per document | growth",
                growth_rows(found),
            ),
            "CPU-seconds by pass.",
            "",
            *table(f"pass | {' | '.join(named(size) for size in (CUT, *SIZES, NEAR))}", pass_rows(found)),
            f"Peak memory of the driver of the whole recipe, with two workers and a trained model: {driven}.",
            "",
            *dump(found, read),
            f"Rates, for a plan: `{json.dumps(quoted(found))}`",
            "",
        ]
    )


if __name__ == "__main__":
    if sys.argv[1:2] in (["command"], ["drive"]):
        command(sys.argv[2], sys.argv[3:], drives=sys.argv[1] == "drive")
    elif sys.argv[1:2] == ["reading"]:
        reading(sys.argv[2])
    else:
        sys.stdout.write(section())
