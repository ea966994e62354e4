"""Scorers of installed packages: named by their prefix in ``score`` and ``quality``, in workers, and in fingerprints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.conftest import rows, shard

SCORER = '''
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

PLACE = Path(__file__).parent / "letters"


@dataclass(frozen=True)
class Letters:
    """Occurrences of the letters in a text; a file holds the letters."""

    name: str
    path: str
    score = property(lambda self: self.name)
    fields = property(lambda self: {self.name: pa.int64()})
    file_name = "letters.txt"

    def columns(self, texts, table):
        letters = Path(self.path).read_text()
        return {self.name: pa.array([sum(text.count(letter) for letter in letters) for text in texts], pa.int64())}

    def save(self, path):
        Path(path).write_text(Path(self.path).read_text())

    def word(self, path):
        return f"letters:{path}"

    def ranking(self):
        return self

    def versions(self):
        return {"letters": f"{Path(self.path).read_text()} gold-letters {version('gold-letters')}"}


def letters(name, rest, label):
    return Letters(name, rest)
'''

TEXTS = ["gold pans", "ooo", "mud", "", "go go go"]
COUNTS = [2, 3, 0, 0, 6]  # of g and o


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages: one with the scorer ``letters``, and ``broken``, whose scorer is missing."""
    folder = tmp_path / "site"
    info = folder / "gold_letters-2.1.dist-info"
    info.mkdir(parents=True)
    (folder / "gold_letters.py").write_text(SCORER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gold-letters\nVersion: 2.1\n")
    (info / "entry_points.txt").write_text(
        "[goldwash.scorers]\nletters = gold_letters:letters\nbroken = gold_letters:missing\n"
    )
    (tmp_path / "go.txt").write_text("go")
    shard(tmp_path / "in" / "a.parquet", TEXTS[:2])
    shard(tmp_path / "in" / "b.parquet", TEXTS[2:])
    return folder


def goldwash(site: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "goldwash", *words],
        cwd=site.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_scorer_of_a_package_makes_a_column(site: Path) -> None:
    done = goldwash(site, "score", "gold=letters:go.txt", "--input", "in", "--out", "scored", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert [row["gold"] for row in rows(site.parent / "scored")] == COUNTS


def test_quality_keeps_the_top_fraction_by_the_scorer_of_a_package(site: Path) -> None:
    words = ["stage", "quality", "--input", "in", "--workers", "2", "--set", "model=letters:go.txt", "fraction=0.4", "--out"]
    done = goldwash(site, *words, "kept")
    assert done.returncode == 0, done.stderr
    assert [row["text"] for row in rows(site.parent / "kept")] == ["ooo", "go go go"]
    (site.parent / "go.txt").write_text("m")  # another file, another fingerprint
    assert goldwash(site, *words, "other").returncode == 0
    assert [row["text"] for row in rows(site.parent / "other")] == ["gold pans", "mud"]


def test_a_scorer_that_fails_to_load_is_named_with_its_package(site: Path) -> None:
    done = goldwash(site, "score", "gold=broken:x", "--input", "in", "--out", "scored")
    assert done.returncode != 0
    assert "scorer broken: of gold-letters 2.1 (gold_letters:missing) failed: AttributeError" in done.stderr
    assert "Traceback" not in done.stderr
