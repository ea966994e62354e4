"""``python -m tests.bench.shuffles``: the memory of the shuffles of mix and tokenize at 1, 2 and 4 times the input.

Every input is beyond all bounds. The documents are copies of the pages with ids of their own; the tokens are made up. Each
size is a process of its own, which does all tasks one after the other; its peak covers every pass. Arrow's own peak is given
too: the process's has parts that the allocator keeps. The largest inputs, with what the stages write, take about 6 GB in the
place for temporary files.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TIMES = (1, 2, 4)
COPIES = 25
"""Copies of the pages in the smallest input: 750 MB of text, and at 128 MB a shuffle goes through files."""
MILLIONS = 100
"""Millions of tokens in the smallest input; a task of the shuffle holds 34 million."""


def one(what: str, folder: str, files: int) -> dict[str, float]:
    """Do a shuffle of the first files of a folder in this process."""
    import pyarrow as pa

    from goldwash.pipeline.interface.memory import in_process
    from goldwash.pipeline.stages import STAGES
    from goldwash.pipeline.storage.inputs import find_shards

    stages = {"mix": {"documents": "all"}, "pack": {"order": "shuffled"}, "tokenize": {"formats": ["nanogpt"]}}
    inputs = find_shards(sorted(map(str, Path(folder).glob("*.parquet")))[:files])
    out = tempfile.mkdtemp()
    began = time.process_time()
    STAGES[what].of(stages[what])(inputs, out, in_process())
    spent = time.process_time() - began
    shutil.rmtree(out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu": spent, "peak": peak, "arrow": pa.default_memory_pool().max_memory()}


def documents(folder: Path, times: int) -> float:
    """Write documents, a copy of the pages per file; the MB of text of the smallest input."""
    from tests.bench import tokens

    made, size = tokens.documents(COPIES * times)
    for n, file in enumerate(sorted(made.iterdir(), key=lambda file: int(file.stem))):
        shutil.move(file, folder / f"{n:04d}.parquet")
    made.rmdir()
    return size / times / 1e6


def tokens(folder: Path, times: int) -> float:
    """Write token shards of a million tokens; the MB of ids of the smallest input."""
    from goldwash.pipeline.stages import STAGES
    from tests.bench.tokens import token_shard

    stage: Any = STAGES["tokenize"].of({})
    count = sum(token_shard(stage, folder / f"{n:04d}.parquet", n) for n in range(MILLIONS * times))
    return 2 * count / times / 1e6


def section(wanted: tuple[str, ...] = ("mix", "pack", "tokenize"), times: tuple[int, ...] = TIMES) -> str:
    """The table as Markdown."""
    lines = [
        "\n## Memory of the shuffles\n",
        "`python -m tests.bench.shuffles`. All tasks of a stage in one process, one after the other; every input is larger "
        "than all that a task holds.\n",
        "| stage | input, MB | CPU-s | peak MB of the process | of these Arrow's |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, makes, each in ((documents, ("mix", "pack"), COPIES), (tokens, ("tokenize",), MILLIONS)):
        if not set(makes) & set(wanted):
            continue
        with tempfile.TemporaryDirectory() as folder:
            size = kind(Path(folder), max(times))
            for what in (name for name in makes if name in wanted):
                for n in times:
                    found = _in_a_process(what, folder, n * each)
                    row = (
                        f"{n * size:,.0f}",
                        f"{found['cpu']:.1f}",
                        *(f"{found[key] / 1e6:,.0f}" for key in ("peak", "arrow")),
                    )
                    lines.append(f"| {what} | {' | '.join(row)} |")
                    sys.stderr.write(lines[-1] + "\n")
    return "\n".join(lines) + "\n"


def _in_a_process(what: str, folder: str, files: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.shuffles", "one", what, folder, str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        sys.stdout.write(json.dumps(one(sys.argv[2], sys.argv[3], int(sys.argv[4]))) + "\n")
    else:
        sys.stdout.write(section(tuple(sys.argv[1:]) or ("mix", "pack", "tokenize")))
