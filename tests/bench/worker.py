"""``python -m tests.bench.worker``: time and memory of scoring with a classifier of DCLM's size, folded and by fastText.

The model is made up: 3,777,339 words (those of the benchmark's input, then others), 2,000,000 buckets, dimension 100, random
rows; its file has 2.3 GB. The memory is that of the workers of ``goldwash stage quality`` while it scores and cuts shards, seen
from outside. For comparison, a process loads the model by itself and scores a first text, then a part of the input: folded, and
by fastText.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from goldwash.classifiers.fasttext import fold, save_fold
from goldwash.classifiers.model_file import MAGIC, SOFTMAX, SUPERVISED, VERSIONS
from goldwash.filters.texts import Texts

WORDS, BUCKETS, DIM = 3_777_339, 2_000_000, 100
LABELS = ("__label__cc", "__label__hq")
INPUT_MB = 4
SHARDS, SHARD_MB, WORKERS = 4, 30, 2
FIRST = "a little text to begin with"


def write_model(path: Path) -> None:
    """A fastText model of that size, in its own format."""
    from tests.bench.measures import part  # not in workers, whose memory is measured

    known = list(dict.fromkeys(["</s>", *(word for text in part(30) for word in text.split())]))
    words = [*known, *(f"\u00b7{n:x}" for n in range(WORDS - len(known)))][:WORDS]
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(struct.pack("<ii", MAGIC, VERSIONS[-1]))
        arguments = (DIM, 5, 5, 1, 5, 2, SOFTMAX, SUPERVISED, BUCKETS, 0, 0, 100)
        file.write(struct.pack("<12id", *arguments, 1e-4))
        file.write(struct.pack("<iiiqq", WORDS + 2, WORDS, 2, 10 * WORDS, -1))
        for word in words:
            file.write(word.encode() + b"\0" + struct.pack("<qb", 5, 0))
        for label in LABELS:
            file.write(label.encode() + b"\0" + struct.pack("<qb", 5, 1))
        file.write(struct.pack("<?qq", False, WORDS + BUCKETS, DIM))
        for row in range(0, WORDS + BUCKETS, 100_000):
            rows = min(100_000, WORDS + BUCKETS - row)
            file.write((random.standard_normal((rows, DIM), np.float32) * np.float32(0.3)).tobytes())
        file.write(struct.pack("<?qq", False, 2, DIM))
        file.write(random.standard_normal((2, DIM), np.float32).tobytes())


def memory(process: int) -> dict[str, float]:
    """A process's resident, proportional and private memory, in MB."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    found = {line.split()[0].rstrip(":"): int(line.split()[1]) / 1e3 for line in lines[1:]}
    return {"rss": found["Rss"], "pss": found["Pss"], "private": found["Private_Clean"] + found["Private_Dirty"]}


def write_shards(folder: Path) -> None:
    """Shards as stages write them."""
    import pyarrow as pa

    from goldwash.pipeline.storage.parquet import ShardWriter
    from tests.bench.measures import part

    texts = part(SHARD_MB)
    schema = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.large_string())])
    for number in range(SHARDS):
        shard = ShardWriter(str(folder / f"part-{number:05d}.parquet"), schema)
        for k in range(0, len(texts), 100):
            some = texts[k : k + 100]
            ids = [f"{number}-{k + i}" for i in range(len(some))]
            shard.write(pa.table([ids, [""] * len(some), pa.array(some, pa.large_string())], schema=schema))
        shard.commit()


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def in_stage(model: Path, shards: Path, out: Path) -> dict[str, float]:
    """The largest memory of any worker of ``goldwash stage quality``, in MB: the kernel's peak, and samples of the others."""
    most = dict.fromkeys(("peak", "rss", "pss", "private"), 0.0)
    goldwash = str(Path(sys.executable).with_name("goldwash"))
    options = ["--workers", str(WORKERS), "--set", f"model={model}", "--input", str(shards), "--out", str(out)]
    with subprocess.Popen([goldwash, "stage", "quality", *options], stdout=subprocess.DEVNULL, stderr=sys.stderr) as running:
        while running.poll() is None:
            for worker in [w for server in children(running.pid) for w in children(server)]:
                with suppress(OSError, KeyError, StopIteration):  # it has just ended
                    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
                    peak = next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
                    seen = {"peak": peak, **memory(worker)}
                    most = {key: max(value, seen[key]) for key, value in most.items()}
            time.sleep(0.005)
    if running.returncode:
        raise RuntimeError(f"goldwash stage quality ended with {running.returncode}")
    return most


def work(kind: str, model: str, input_: str) -> dict[str, Any]:
    """One worker: load, score a first text, score the input."""
    texts: list[str] = json.loads(Path(input_).read_text("utf-8"))
    size = sum(len(text.encode()) for text in texts) / 1e6
    began = time.monotonic()
    if kind == "folded":
        from goldwash.classifiers.quality import scores

        first = scores(Texts.of([FIRST]), Path(model))[0]
    else:
        import fasttext

        native = fasttext.load_model(model)

        def by_fasttext(text: str) -> float:
            line = " ".join(text.strip().splitlines()) + "\n"
            return float(next(p for p, label in native.f.predict(line, 2, 0.0, "strict") if label == "__label__hq"))

        first = by_fasttext(FIRST)
    ready = time.monotonic() - began
    cpu, given = time.process_time(), []
    if kind == "folded":
        for k in range(0, len(texts), 100):
            given += scores(Texts.of(texts[k : k + 100]), Path(model)).tolist()
    else:
        given = [by_fasttext(text) for text in texts]
    rate = size / (time.process_time() - cpu)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # memory is looked at while all workers are there
    return {"first": float(first), "ready": ready, "rate": rate, "scores": given, **memory(os.getpid())}


def together(kind: str, model: Path, input_: Path, workers: int) -> list[dict[str, Any]]:
    """So many workers at once."""
    command = [sys.executable, "-m", "tests.bench.worker", kind, str(model), str(input_)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    for process in running:
        assert process.stdout
        process.stdout.readline()
    return [json.loads(process.communicate("\n")[0]) for process in running]


def section() -> str:
    """The section of docs/benchmarks.md."""
    from tests.bench.measures import part

    with tempfile.TemporaryDirectory() as folder:
        model, folded, input_ = (Path(folder) / name for name in ("model.bin", "model.fold", "input.json"))
        input_.write_text(json.dumps(part(INPUT_MB)), "utf-8")
        write_model(model)
        began = time.monotonic()
        save_fold(fold(model), folded)
        folding = time.monotonic() - began
        together("folded", folded, input_, 1)  # kernels are compiled
        rows = [
            (f"{kind}, {workers} at once", together(kind, place, input_, workers))
            for kind, place, workers in (("folded", folded, 1), ("folded", folded, 2), ("fastText", model, 1))
        ]
        write_shards(Path(folder) / "shards")
        real = in_stage(folded, Path(folder) / "shards", Path(folder) / "out")
        sizes = [path.stat().st_size / 1e6 for path in (model, folded)]
    worst = max(abs(a - b) for a, b in zip(rows[0][1][0]["scores"], rows[2][1][0]["scores"], strict=True))
    keys = ("ready", "rate", "rss", "pss", "private")
    cells = [[name, *(f"{max(w[k] for w in found):,.1f}" for k in keys)] for name, found in rows]
    table = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join(
        [
            "",
            "## A scoring worker with a classifier of DCLM's size",
            "",
            f"A made-up model with {WORDS:,} words, {BUCKETS:,} buckets and dimension {DIM}: {sizes[0]:,.0f} MB, folded in "
            f"{folding:.0f} s to {sizes[1]:,.0f} MB. Folded scores differ from fastText's by at most {worst:.1e}. The columns: "
            "seconds from the first call to the first score; MB of text per CPU-second (fastText scores single texts); the "
            "process's memory in MB, resident, proportional (shared pages count in part) and private. Of several workers, the "
            "largest figure.",
            "",
            f"A worker of `goldwash stage quality --workers {WORKERS}` on {SHARDS} shards of {SHARD_MB} MB takes at most "
            f"{real['peak']:,.0f} MB of resident memory ({real['pss']:,.0f} proportional, {real['private']:,.0f} private). "
            "These workers are forked from a process that has loaded the kernels; the processes of the table load everything "
            "themselves.",
            "",
            "| alone | first score, s | MB/CPU-s | resident | proportional | private |",
            "|---|---:|---:|---:|---:|---:|",
            *table,
            "",
        ]
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(work(*sys.argv[1:])) + "\n")
    else:
        sys.stdout.write(section())
