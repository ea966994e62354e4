"""A model, shards, and three ways to run things: a `Run` that runs here, `main()`, and a process."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.classifiers.examples import examples
from goldwash.classifiers.train import Settings, train
from goldwash.pipeline.cli import app as command_line
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Work
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, finished
from tests.support.processes import goldwash as goldwash


@pytest.fixture(scope="session")
def model(once, sample) -> Path:
    """A little classifier, folded."""

    def make(folder: Path) -> None:
        sides = [list(examples(sample / "classifier" / f"{side}.jsonl")) for side in ("positive", "negative")]
        train(*sides, folder, Settings(dim=8, bucket=10_000, epoch=5))

    return once("model", make) / "model.fold"


Answer = tuple[int, str, str]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """The command line in this process: its exit code, what it printed, and what it printed to stderr."""

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["goldwash", *map(str, words)])
        capsys.readouterr()
        code: object = 0
        try:
            command_line.main()
        except SystemExit as stopped:
            code = stopped.code
        printed = capsys.readouterr()
        return code if isinstance(code, int) else int(code is not None), printed.out, printed.err

    return call


def here(work: Work, tasks: Sequence[Task]) -> Report:
    """A `Run` that does what is not done, here and now."""
    for task in tasks:
        if finished(task) is None:
            work(task)
    markers = [finished(task) for task in tasks]
    return sum((Report.from_dict(marker["report"]) for marker in markers if marker), Report())


def shard(path: Path, texts: Sequence[str | None], **columns: Sequence[object]) -> Input:
    """A shard of these texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{path.stem}-{n}" for n in range(len(texts))]
    table = {"id": ids, "url": [f"https://a.example/{i}" for i in ids], "text": pa.array(texts, pa.large_string()), **columns}
    pq.write_table(pa.table(table), path)
    return Input(str(path), path.stat().st_size, str(path), len(texts))


def rows(folder: Path, below: str = "") -> list[dict[str, object]]:
    """The rows of a stage's shards, in order."""
    return [row for file in sorted((folder / below).glob("part-*.parquet")) for row in pq.read_table(file).to_pylist()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB (only root can have it)."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
