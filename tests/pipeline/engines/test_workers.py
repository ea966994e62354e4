import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.pipeline.engines import workers

HEAVY = {"datatrove", "numba", "numpy", "pyarrow", "rich"}


def output_of(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("on", "count", "inputs", "expected"),
    [
        ("local", 2, [], True),
        ("local", 0, ["shards/*.parquet"], True),
        ("local", 2, ["one.parquet", "two.parquet"], True),
        ("local", 2, ["folder"], True),
        ("local", 2, ["s3://bucket/one.parquet"], True),
        ("local", 2, ["one.parquet"], False),
        ("local", 1, ["folder"], False),
        ("slurm", 2, ["folder"], False),
    ],
)
def test_a_command_starts_the_server_if_it_will_probably_have_workers(tmp_path, monkeypatch, on, count, inputs, expected):
    monkeypatch.chdir(tmp_path)
    Path("one.parquet").write_bytes(b"")
    Path("folder").mkdir()
    started = []
    monkeypatch.setattr(workers, "processors", lambda: 4)
    monkeypatch.setattr(workers, "fork_context", lambda: started.append("server"))
    monkeypatch.setattr(workers, "keep_freed_memory", lambda: started.append("memory"))
    workers.start_early(on, count, inputs)
    assert started == ["memory", *["server"] * expected]


def test_one_processor_needs_no_server(monkeypatch):
    monkeypatch.setattr(workers, "processors", lambda: 1)
    monkeypatch.setattr(workers, "fork_context", lambda: pytest.fail("started"))
    monkeypatch.setattr(workers, "keep_freed_memory", lambda: None)
    workers.start_early("local", 0)


def test_starting_the_server_loads_nothing_heavy():
    code = f"import sys, goldwash.pipeline.engines.workers; print(sorted({HEAVY} & set(sys.modules)))"
    assert output_of(code) == "[]"


def test_the_server_has_the_environment_of_workers_and_this_process_keeps_its_own(monkeypatch):
    found = []
    monkeypatch.setattr(workers.forkserver, "ensure_running", lambda: found.append(dict(os.environ)))
    for name in workers.MEMORY:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    workers.fork_context()
    assert found == [{**before, **workers.MEMORY}]
    assert dict(os.environ) == before


def test_the_user_chooses_another_allocator(monkeypatch):
    found = []
    monkeypatch.setattr(workers.forkserver, "ensure_running", lambda: found.append(os.environ["ARROW_DEFAULT_MEMORY_POOL"]))
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "mimalloc")
    workers.fork_context()
    assert found == [os.environ["ARROW_DEFAULT_MEMORY_POOL"]] == ["mimalloc"]


def test_the_server_compiles_nothing(tmp_path):
    """Where kernels are not compiled yet, it would do so alone, and workers would wait for it."""
    code = (
        "import goldwash.pipeline.engines.preload\n"
        "from goldwash.classifiers.word_weights import mean_weights\n"
        "print(len(getattr(mean_weights, 'signatures', [])))"
    )
    assert output_of(code, GOLDWASH_CACHE=str(tmp_path)) == "0"
    assert not list(tmp_path.rglob("*.nbc"))
