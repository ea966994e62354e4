"""Stages' kernels are compiled side by side, all of them, and once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.filters.jit import INTERPRETED
from goldwash.pipeline import compiling
from goldwash.pipeline.compiling import copy_kernels, most_processes, move_kernels
from tests.support.clusters import until

COMPILE = """
import json, sys
import numba.core.event as events
from goldwash.pipeline.compiling import compile_together
from goldwash.pipeline.stage import compile_kernels
from goldwash.pipeline.stages import STAGES

compiled, told = [], []

class Listener(events.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func.__qualname__)

    def on_end(self, event):
        pass

events.register("numba:compile", Listener())
stages = [STAGES[name].of({"benchmarks": ["sample"]} if name == "decontaminate" else {}) for name in sys.argv[1:]]
compile_together(stages, told.append, processes=2)
for stage in stages:
    compile_kernels(stage, told.append)
print(json.dumps({"told": told, "compiled": compiled}))
"""


ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}


def compiled(cache: Path, *stages: str, script: str = COMPILE) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", script, *stages], env={**ENVIRONMENT, "GOLDWASH_CACHE": str(cache)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_all_kernels_are_compiled_side_by_side_and_once(tmp_path: Path) -> None:
    first = compiled(tmp_path, "bloom", "decontaminate")
    assert first["told"][0].startswith("compiling kernels for bloom, decontaminate, once on this machine")
    assert {line.split(" (")[0] for line in first["told"][1:]} == {"compiled bloom", "compiled decontaminate"}
    assert first["compiled"] == [], "the processes compiled everything"
    assert compiled(tmp_path, "bloom", "decontaminate") == {"told": [], "compiled": []}
    assert not list(tmp_path.glob("kernels-*/parts-*"))


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_no_two_stages_share_a_kernel_in_different_forms(tmp_path: Path) -> None:
    """The second form would be compiled last, by one process."""
    script = COMPILE.replace(
        "stages = [", "from goldwash.pipeline.recipes.recipe import load\nstages = [*load('sample').stages] + ["
    )
    assert compiled(tmp_path, "exact", script=script)["compiled"] == []
    assert compiled(tmp_path, "extract", "heuristics", "minhash", "bloom", "quality")["compiled"] == [], (
        "by their defaults, too"
    )


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_extract_alone_is_compiled_in_two_parts(tmp_path: Path) -> None:
    script = COMPILE.replace(
        "stages = [", "from goldwash.pipeline.recipes.recipe import load\nstages = [load('sample').stages[0]] + ["
    )
    found = compiled(tmp_path, script=script)
    assert found["compiled"] == []
    assert sorted(found["told"][1:]) in (
        ["compiled part 1 of extract (1 of 2)", "compiled part 2 of extract (2 of 2)"],
        ["compiled part 1 of extract (2 of 2)", "compiled part 2 of extract (1 of 2)"],
    )


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
@pytest.mark.parametrize("fault", ["compiling.START = 'raise SystemExit(1)'", "sys.executable = '/nowhere/python'"])
def test_what_a_process_fails_to_compile_is_compiled_last(tmp_path: Path, fault: str) -> None:
    script = COMPILE.replace("stages = ", f"import goldwash.pipeline.compiling as compiling\n{fault}\nstages = ")
    found = compiled(tmp_path, "bloom", "decontaminate", script=script)
    assert {line.split(",")[0] for line in found["told"][1:]} == {"bloom is compiled last", "decontaminate is compiled last"}
    assert found["compiled"] != []
    assert compiled(tmp_path, "bloom", "decontaminate") == {"told": [], "compiled": []}


ENDLESS = """
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from goldwash.pipeline.stage import Stage

@dataclass(frozen=True)
class Endless(Stage):
    name: ClassVar[str] = "endless"
    number: int = 0

    def warm_up(self):
        Path(f"at-work-{self.number}").touch()
        time.sleep(3600)

    def cost(self, load):
        raise NotImplementedError

    def __call__(self, inputs, out, run):
        raise NotImplementedError
"""


@pytest.mark.skipif(INTERPRETED or sys.platform != "linux", reason="nothing is compiled, or there is no /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_processes_at_work_end_with_the_one_that_started_them(tmp_path: Path, sign: signal.Signals) -> None:
    """Two share the machine: of two readers of one pipe, only one would be told that its writer is gone."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    script = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from endless import Endless\nfrom goldwash.pipeline.compiling import compile_together\n"
        "compile_together([Endless(0), Endless(1)], lambda line: print(line, flush=True), processes=2)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**ENVIRONMENT, "GOLDWASH_CACHE": str(tmp_path / "cache")}, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("compiling kernels for endless, endless")
    until(lambda: len(children(process.pid)) == 2, 30, "two processes")
    below = children(process.pid)
    until(lambda: len(list(tmp_path.glob("at-work-*"))) == 2, 60, "both at work")
    process.send_signal(sign)
    assert process.wait(60) != 0
    process.stdout.close()
    until(lambda: not any(running(pid) for pid in below), 60, "the end of both")
    stale = list(tmp_path.glob("cache/kernels-*/parts-*"))
    assert len(stale) == (sign == signal.SIGKILL)
    if stale:
        assert compiled(tmp_path / "cache", "bloom", "decontaminate")["compiled"] == []
        assert not list(tmp_path.glob("cache/kernels-*/parts-*")), "what a killed process left is removed"


def children(pid: int) -> list[int]:
    return [int(n) for task in Path(f"/proc/{pid}/task").iterdir() for n in (task / "children").read_text().split()]


def running(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("processors", "gigabytes", "expected"), [(8, None, 4), (8, 16.0, 4), (8, 2.0, 2), (2, 64.0, 2), (8, 0.5, 0)]
)
def test_no_more_processes_compile_than_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, processors: int, gigabytes: float | None, expected: int
) -> None:
    monkeypatch.setattr(compiling, "processors", lambda: processors)
    monkeypatch.setattr(compiling, "available_memory", lambda: None if gigabytes is None else int(gigabytes * 1e9))
    assert most_processes() == expected


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)


def test_a_function_that_is_in_the_shared_folder_stays_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "room", a_nbi="old", a_1_nbc="old")
    write(tmp_path / "part" / "room", a_nbi="new", a_1_nbc="new", a_2_nbc="new", b_nbi="new", b_1_nbc="new")
    write(tmp_path / "part" / "other", c_nbi="new", c_1_nbc="new")
    move_kernels(tmp_path / "part", tmp_path / "shared")
    held = {str(f.relative_to(tmp_path / "shared")): f.read_text() for f in (tmp_path / "shared").rglob("*.nb?")}
    assert held == {
        "room/a.nbi": "old", "room/a.1.nbc": "old", "room/b.nbi": "new", "room/b.1.nbc": "new",
        "other/c.nbi": "new", "other/c.1.nbc": "new",
    }  # fmt: skip
    assert {f.read_text() for f in (tmp_path / "part").rglob("*.nb?")} == {"new"}, "its own form of a function stays"


def test_a_process_begins_with_the_kernels_that_are_compiled(tmp_path: Path) -> None:
    write(tmp_path / "room", a_nbi="code", a_1_nbc="code")
    write(tmp_path / "parts-x" / "0" / "room", b_nbi="half")
    copy_kernels(tmp_path, tmp_path / "parts-x" / "1")
    copied = [f for f in (tmp_path / "parts-x" / "1").rglob("*") if f.is_file()]
    assert sorted((f.name, f.read_text()) for f in copied) == [("a.1.nbc", "code"), ("a.nbi", "code")]


def test_files_of_others_and_files_that_are_gone_do_not_stop_a_process(tmp_path: Path) -> None:
    """They failed the run: between listing a folder and copying it, a temporary file gets its name."""
    shared, part = tmp_path / "shared", tmp_path / "shared" / "parts-x" / "1"
    (shared / "room").mkdir(parents=True)
    part.parent.mkdir()
    (shared / "room" / "words.nbc").write_bytes(b"code")
    (shared / "room" / "gone.nbc").symlink_to("nowhere")
    for name in (".half-1", "classes.npy", "room/words.nbi.tmp.1", "heuristics-1.compiled"):
        (shared / name).write_bytes(b"")
    copy_kernels(shared, part)
    assert [str(path.relative_to(part)) for path in part.rglob("*") if path.is_file()] == ["room/words.nbc"]


def test_a_folder_that_cannot_be_written_does_not_stop_a_process(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "file").write_bytes(b"")
    copy_kernels(tmp_path / "shared", tmp_path / "file" / "1")
