"""``python -m tests.bench.chunks``: what content-defined chunking of Parquet's pages saves in a store, and what it costs.

Two runs that differ by the threshold of a score are packed in the crawl's order. A store that keeps equal chunks once cuts
files where the content says so; the bytes of the second run's files whose chunks the first has are shared. Chunks have 8 to
128 kB, as those of the Hugging Face hub's store, and end where a gear hash of 64 bytes has 16 zero bits.
"""

import hashlib
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.jit import kernel
from goldwash.pipeline.splitmix import STEP, fractions, hashed

LEAST, MOST = 8 << 10, 128 << 10
MASK = np.uint64(0xFFFF << 48)
GEAR = hashed(np.arange(256, dtype=np.uint64) * STEP)
COPIES = 2
THRESHOLDS = (0.5, 0.499, 0.45)


@kernel
def _ends(data: npt.NDArray[np.uint8], gear: npt.NDArray[np.uint64], mask: Any, least: int, most: int) -> list[int]:
    found = []
    begin, state = 0, np.uint64(0)
    for n in range(len(data)):
        state = (state << np.uint64(1)) + gear[data[n]]
        size = n + 1 - begin
        if (size >= least and state & mask == np.uint64(0)) or size == most:
            found.append(n + 1)
            begin, state = n + 1, np.uint64(0)
    return found


def chunks(files: list[Path]) -> dict[bytes, int]:
    """The size of each distinct chunk of some files, by its hash."""
    found: dict[bytes, int] = {}
    for file in files:
        data = np.fromfile(file, np.uint8)
        for a, b in pairwise([0, *_ends(data, GEAR, MASK, LEAST, MOST), len(data)]):
            found[hashlib.blake2b(data[a:b].tobytes(), digest_size=16).digest()] = b - a
    return found


def shared(one: list[Path], other: list[Path]) -> float:
    """The fraction of the bytes of ``other`` that a store does not keep again beside ``one``."""
    held, new = chunks(one), chunks(other)
    return sum(size for key, size in new.items() if key in held) / max(sum(new.values()), 1)


def documents(folder: Path) -> dict[float, Path]:
    """For each threshold, the documents whose score is above it, in the crawl's order."""
    from goldwash.pipeline.storage.parquet import ShardWriter
    from tests.bench.measures import _texts

    _, texts, urls = _texts()
    kinds = pa.schema({"id": pa.string(), "url": pa.string(), "text": pa.large_string(), "score": pa.float64()})
    scores = fractions(hashed(np.arange(COPIES * len(texts), dtype=np.uint64) * STEP))
    for threshold in THRESHOLDS:
        writer = ShardWriter(str(folder / str(threshold) / "0.parquet"), kinds)
        for copy in range(COPIES):
            rows = [n for n in range(len(texts)) if scores[copy * len(texts) + n] >= threshold]
            ids = [f"<urn:uuid:{copy:08x}-{n:024x}>" for n in rows]
            columns = [ids, [urls[n] for n in rows], [f"{copy} {texts[n]}" for n in rows]]
            writer.write(pa.table([*columns, scores[[copy * len(texts) + n for n in rows]]], schema=kinds))
        writer.commit()
    return {threshold: folder / str(threshold) for threshold in THRESHOLDS}


def packed(given: Path, out: Path, chunking: bool) -> tuple[list[Path], float]:
    """The files of the stage pack, and its CPU-seconds."""
    from goldwash.pipeline.interface.memory import in_process
    from goldwash.pipeline.stages import STAGES
    from goldwash.pipeline.storage.inputs import find_shards

    began = time.process_time()
    STAGES["pack"].of({"chunking": chunking})(find_shards([str(given)]), str(out), in_process())
    return sorted(out.glob("part-*.parquet")), time.process_time() - began


def section() -> str:
    """The tables as Markdown."""
    made: dict[tuple[float, bool], list[Path]] = {}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = documents(folder)
        for number in range(3):
            for threshold, given in inputs.items():
                for chunking in (False, True):
                    files, spent = packed(given, folder / f"out-{number}-{threshold}-{chunking}", chunking)
                    made[threshold, chunking] = files
                    cpu[chunking].append(spent)
        sizes = {
            chunking: sum(f.stat().st_size for (_, c), files in made.items() if c == chunking for f in files)
            for chunking in cpu
        }
        first = THRESHOLDS[0]
        lines = [
            "\n## Content-defined chunking\n",
            "`python -m tests.bench.chunks`. Two runs in the crawl's order that differ by a threshold: the bytes of the second "
            "that a store of chunks of 8 to 128 kB has from the first.\n",
            "| threshold | shared without | shared with |",
            "|---|---:|---:|",
        ]
        for other in THRESHOLDS[1:]:
            found = [shared(made[first, chunking], made[other, chunking]) for chunking in (False, True)]
            lines.append(f"| {first} and {other} | {found[0]:.0%} | {found[1]:.0%} |")
    more = sizes[True] / sizes[False] - 1
    seconds = {chunking: statistics.median(some) for chunking, some in cpu.items()}
    lines.append(
        f"\nThe files are {more:+.1%} in size with it, and packing takes {seconds[True] / seconds[False] - 1:+.0%} of CPU time."
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(section())
