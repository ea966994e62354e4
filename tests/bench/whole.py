"""``python -m tests.bench.whole``: the whole baseline beside what no tool can avoid, one inflate and one parse.

Each measurement is a process of its own, with kernels compiled beforehand; rounds take turns. CPU time includes ended children.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from tests.bench.measures import REAL, archives, as_a_command, cpu_seconds, html_bytes

ROUNDS = 3
COPIES, MANY = 10, 40
"""How often a crawl whose run is timed holds each archive: as much HTML as one archive of Common Crawl, and as four of them."""
RECIPE = "baseline" if (REAL / "mmlu").is_dir() else "sample"
"""baseline.yaml needs MMLU."""


def crawl() -> list[str]:
    """All archives at hand."""
    return sorted(map(str, (REAL / "pages").glob("*.warc.gz"))) or archives()


def floor() -> dict[str, float]:
    """CPU seconds of FastWARC's inflate and one parse by lexbor (resiliparse's ``HTMLTree``), nothing kept."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    began, inflating = cpu_seconds(), 0.0
    for path in crawl():
        for record in ArchiveIterator(path, record_types=WarcRecordType.response, auto_decode="all", fsspec_args=False):
            at = time.process_time()
            body = record.reader.read()
            inflating += time.process_time() - at
            encoding = "utf-8" if is_utf8(body) else detect_encoding(body, from_html_meta=True)
            HTMLTree.parse_from_bytes(body, encoding)
    return {"inflate and one lexbor parse": cpu_seconds() - began}


def ceiling() -> dict[str, float]:
    """Seconds of one process of `floor`, and of two side by side: what two cores of this machine do beside one."""
    spent = {}
    for count in (1, 2):
        began = time.monotonic()
        side_by_side = [
            subprocess.Popen([sys.executable, "-m", "tests.bench.whole", "floor"], stdout=subprocess.DEVNULL)
            for _ in range(count)
        ]
        if any([process.wait() for process in side_by_side]):
            raise SystemExit("floor failed")
        spent[str(count)] = time.monotonic() - began
    return spent


def is_utf8(body: bytes) -> bool:
    """Whether a body decodes as UTF-8, which spares most pages the detector."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def stages() -> dict[str, float]:
    """CPU seconds of each stage of the recipe in this process, and of putting the dataset together."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.engines.local import local
    from goldwash.pipeline.recipes import recipe as recipes

    as_a_command()
    recipe, run = recipes.load(RECIPE), local(1)
    with tempfile.TemporaryDirectory() as folder:
        flow.run_recipe(recipe, crawl(), f"{folder}/warm", run)
        begun, spent = flow.begin(recipe, crawl(), f"{folder}/out"), dict[str, float]()
        for number, stage in enumerate(recipe.stages, 1):
            at = cpu_seconds()
            begun.step(number, run)
            spent[stage.name] = cpu_seconds() - at
        at = cpu_seconds()
        begun.end(run)
        spent["dataset"] = cpu_seconds() - at
    return spent


def wall(copies: int) -> dict[str, float]:
    """Seconds of ``goldwash run`` from start to end with one and two workers, on many archives and on one large archive.

    Both inputs hold each archive so many times: a run of a few seconds is mostly imports and the start of workers.
    """
    goldwash = str(Path(sys.executable).with_name("goldwash"))
    spent = {}
    for what in ("many archives", "one archive"):
        with tempfile.TemporaryDirectory() as folder:
            crawled, more = Path(folder) / "crawl", []
            crawled.mkdir()
            for n, path in enumerate(crawl() * copies):
                if what == "many archives":
                    shutil.copy(path, crawled / f"{n:03d}.warc.gz")  # a link would be the same archive, which is refused twice
                else:
                    with (crawled / "large.warc.gz").open("ab") as file:
                        file.write(Path(path).read_bytes())
            if what == "one archive":  # sixteen ranges
                more = ["--set", f"extract.split_bytes={(crawled / 'large.warc.gz').stat().st_size - 1}"]
            for workers in (1, 2):
                out = Path(folder) / f"out-{workers}"
                command = [
                    goldwash,
                    "run",
                    RECIPE,
                    "--input",
                    str(crawled),
                    "--out",
                    str(out),
                    "--workers",
                    str(workers),
                    *more,
                ]
                began = time.monotonic()
                subprocess.run(command, check=True, capture_output=True)
                spent[f"{what}, {workers} worker{'s' * (workers > 1)}"] = time.monotonic() - began
    return spent


def memory() -> dict[str, float]:
    """Peak memory of the largest worker of each stage in MB, with two workers; and of the process that drives them."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.engines.local import local
    from goldwash.pipeline.recipes import recipe as recipes

    as_a_command()
    recipe, found = recipes.load(RECIPE), dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        begun = flow.begin(recipe, crawl(), f"{folder}/out")
        for number, stage in enumerate(recipe.stages, 1):
            with watched() as peaks:
                begun.step(number, local(2))
            found[stage.name] = max(peaks.values(), default=0) / 1e6
    return {**found, "the driver": peak_of(os.getpid()) / 1e6}


@contextmanager
def watched() -> Iterator[dict[int, int]]:
    """The peak memory in bytes of each process below this one, by pid, asked for every 5 ms while the block runs.

    Without this one's own children: the fork server, of which workers are children, and the resource tracker.
    """
    peaks, ended = dict[int, int](), threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            own = {child.pid for child in psutil.Process().children()}
            for child in psutil.Process().children(recursive=True):
                if child.pid in own:
                    continue
                peaks[child.pid] = max(peaks.get(child.pid, 0), peak_of(child.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def peak_of(pid: int) -> int:
    """``VmHWM`` of a process in bytes, 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


KINDS: Mapping[str, Callable[[], dict[str, float]]] = {
    "floor": floor,
    "ceiling": ceiling,
    "stages": stages,
    "wall": partial(wall, COPIES),
    "wall of many": partial(wall, MANY),
    "memory": memory,
}
ONCE = ("wall of many",)
"""What is measured in the first round only, for the time that it takes."""


def measured() -> dict[str, dict[str, float]]:
    """Medians of all rounds, by kind and row."""
    rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(ROUNDS):
        for kind in [kind for kind in KINDS if number == 0 or kind not in ONCE]:
            done = subprocess.run([sys.executable, "-m", "tests.bench.whole", kind], capture_output=True, text=True, check=True)
            rounds[kind].append(json.loads(done.stdout.splitlines()[-1]))
            sys.stderr.write(f"round {number + 1}: {kind}: {sum(rounds[kind][-1].values()):.1f} s\n")
    return {kind: {row: statistics.median(one[row] for one in found) for row in found[0]} for kind, found in rounds.items()}


def rows(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The table of CPU time, and sentences about wall time and memory, as Markdown."""
    least, spent = sum(found["floor"].values()), found["stages"]
    whole, times = sum(spent.values()), found["wall"]
    alone, both = found["ceiling"]["1"], found["ceiling"]["2"]
    by_size = sorted(spent.items(), key=lambda row: -row[1])
    return [
        "| what | CPU-s | in terms of the first row |",
        "|---|---:|---:|",
        f"| inflate (FastWARC) and one parse (lexbor) of the same archives | {least:.2f} | 1.00 |",
        f"| **the whole of {RECIPE}.yaml, from archives to dataset** | **{whole:.2f}** | **{whole / least:.2f}** |",
        *(f"| {name} | {seconds:.2f} | {seconds / least:.2f} |" for name, seconds in by_size),
        "",
        f"`goldwash run {RECIPE}`, start to end, on {COPIES} copies of the archives: {_speedups(times)}. On {MANY} copies, "
        f"measured once: {_speedups(found['wall of many'])}. Two processes of the first row, side by side, do "
        f"{2 * alone / both:.2f} times the work of one in the same time, and two workers on this machine cannot do more.",
        "",
        "Peak memory of a stage's largest worker, two workers: "
        + ", ".join(f"{name} {peak:.0f} MB" for name, peak in found["memory"].items())
        + ".",
    ]


def _speedups(times: Mapping[str, float]) -> str:
    return "; ".join(_speedup(what, times) for what in ("many archives", "one archive"))


def _speedup(what: str, times: Mapping[str, float]) -> str:
    one, two = times[f"{what}, 1 worker"], times[f"{what}, 2 workers"]
    return f"{what} {one:.1f} s with one worker, {two:.1f} s with two ({one / two:.2f} times as fast)"


def section() -> str:
    """The section of docs/benchmarks.md."""
    html = html_bytes(crawl())
    return "\n".join(
        [
            "",
            "## The whole baseline",
            "",
            f"{len(crawl())} archives, {html.pages:,} pages, {html / 1e6:,.0f} MB of HTML; the built-in classifier; one "
            f"worker, kernels compiled; medians of {ROUNDS} rounds. The first row is the least that any tool has to do.",
            "",
            *rows(measured()),
            "",
        ]
    )


def main(words: Sequence[str]) -> None:
    """With the name of a kind: that measurement, as JSON. Without: the section."""
    os.environ.setdefault("GOLDWASH_BENCHMARKS", str(REAL))
    sys.stdout.write(json.dumps(KINDS[words[0]]()) + "\n" if words else section())


if __name__ == "__main__":
    main(sys.argv[1:])
