"""The documentation site: every link leads somewhere, every stage, signal and command is described, every command runs."""

import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from goldwash.filters.signals import EDITS, SIGNALS
from goldwash.pipeline.stages import STAGES

ROOT = Path(__file__).parent.parent
SHELL = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
LEFT_OUT = re.compile(r"# needs (the network|a cluster|embedding-atlas)$")
"""Lines of examples that cannot run here."""


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, "docs/generate.py", folder], cwd=ROOT, check=True)
    return folder


def sections(page: str, level: str) -> dict[str, str]:
    """The text below each heading of a level, by the heading."""
    parts = re.split(rf"^{level} `?(?:goldwash )?([^\n`]+)`?$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_reference_describes_every_stage_and_parameter(generated: Path) -> None:
    found = sections((generated / "stages.md").read_text("utf-8"), "##")
    assert list(found) == [name for name, kind in STAGES.items() if kind.__module__.startswith("goldwash.")]
    for name, text in found.items():
        assert text.strip().split("\n")[0].endswith("."), f"{name} has no docstring"
        for row in re.findall(r"^\| `.*$", text, re.MULTILINE):
            assert not row.endswith("|  |"), f"{name}: a parameter has no meaning: {row}"


def is_of_a_test(function: Callable[..., object]) -> bool:
    """Whether another test of this process declared it, in its own module or in a file of a user's."""
    file = Path(inspect.unwrap(function).__code__.co_filename).resolve()
    rooms = [(ROOT / room).resolve() for room in ("filters", "classifiers", "pipeline", "evidence")]
    return not (file.exists() and any(file.is_relative_to(room) for room in rooms))


def test_the_reference_describes_every_signal_and_edit(generated: Path) -> None:
    text = (generated / "signals.md").read_text("utf-8")
    found = sections(text, "###")
    declared = {**SIGNALS, **EDITS}
    ours = {name for name, each in declared.items() if not is_of_a_test(each.function)}
    assert len(ours) > 50
    assert ours <= set(found)
    assert all(len(found[name].strip().split("\n")[0]) > 20 for name in ours)
    assert "recipes: baseline" in found["mean_word_length"]


def test_the_reference_describes_every_command(generated: Path) -> None:
    found = sections((generated / "commands.md").read_text("utf-8"), "##")
    assert {"run", "stage", "explain", "train", "plan", "evaluate"} <= set(found)
    assert "--input" in found["run"]


def test_every_page_is_in_the_navigation(generated: Path) -> None:
    text = (ROOT / "zensical.toml").read_text("utf-8")
    tomllib.loads(text)
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    pages |= {f"reference/{page.name}" for page in generated.iterdir()}
    assert pages == set(re.findall(r'"([^"]+\.md)"', text))


def test_the_site_builds_without_a_broken_link(generated: Path, tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="no zensical: pip install 'goldwash[docs]'")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("reference"))
    shutil.copytree(generated, tmp_path / "docs" / "reference")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    command = [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build" / "site" / "tutorial" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tutorial", "how-to"])
def test_the_commands_of_a_page_run(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in SHELL.findall((ROOT / "docs" / f"{name}.md").read_text("utf-8")):
        lines = [line for line in block.splitlines() if not LEFT_OUT.search(line)]
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
