"""The package as others install it: one top-level name, beside packages that own our rooms' names, offline."""

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]
ROOMS = ("filters", "classifiers", "pipeline", "evidence")


def run(*words: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, timeout=600, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    """Build with the setuptools that is installed, without an environment of its own, and so without the network."""
    code = f"import setuptools.build_meta as m; print(m.build_{kind}({str(out)!r}))"
    return out / run(sys.executable, "-c", code, cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is committed or about to be, links as links, so that building writes nothing into the checkout."""
    folder = tmp_path_factory.mktemp("sources")
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    for name in names:
        at, to = ROOT / name, folder / name
        if not at.is_symlink() and not at.is_file():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        to.symlink_to(at.readlink()) if at.is_symlink() else to.write_bytes(at.read_bytes())
    return folder


@pytest.fixture(scope="module")
def sdist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", sources, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the source distribution, unpacked elsewhere, so that it stands on nothing of the checkout."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as file:
        file.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


def test_the_source_distribution_has_the_rooms_and_no_links(sdist: Path) -> None:
    with tarfile.open(sdist) as file:
        members = {m.name.partition("/")[2]: m for m in file.getmembers()}
    for room in ROOMS:
        assert members[f"src/goldwash/{room}/__init__.py"].isreg()
    assert {"LICENSE", "README.md", "pyproject.toml", "src/goldwash/py.typed"} <= set(members)


def test_the_wheel_has_one_top_level_name_and_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        (metadata,) = (Parser().parsestr(file.read(n).decode()) for n in names if n.endswith("dist-info/METADATA"))
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"goldwash"}
    tracked = run("git", "ls-files", *ROOMS, cwd=ROOT).splitlines()
    wanted = {f"goldwash/{n}" for n in tracked if n.endswith((".py", ".yaml", ".json", ".csv", ".txt", ".typed", ".ftz"))}
    assert sorted(wanted - names) == []
    assert metadata["License-Expression"] == "Apache-2.0 AND CC-BY-SA-3.0"
    assert metadata.get_all("License-File") == ["LICENSE", "classifiers/models/NOTICE.md"]
    assert metadata["Author"] or metadata["Author-email"]
    assert metadata["Keywords"]
    assert any("3.13" in value for value in metadata.get_all("Classifier", []))


def test_the_wheel_runs_beside_packages_that_own_the_names_of_its_rooms(wheel: Path, sample_run: Path, tmp_path: Path) -> None:
    """The sample recipe with two workers gives the checkout's bytes, in a folder with traps for every room's name."""
    site = tmp_path / "site"
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check",
        "--target", site, wheel, cwd=tmp_path,
    )  # fmt: skip
    for place in (site, tmp_path):  # another package's, and a script of the user's beside the data
        for room in ROOMS:
            (place / f"{room}.py").write_text(f"raise ImportError('this is another {room}')\n")
    environment = {"PYTHONPATH": str(site), "PYTHONSAFEPATH": ""}
    where = run(sys.executable, "-c", "import goldwash.filters; print(goldwash.filters.__file__)", cwd=tmp_path, **environment)
    assert Path(where.strip()).is_relative_to(site)
    goldwash = [sys.executable, "-m", "goldwash"]
    run(*goldwash, "sample", "crawl", cwd=tmp_path, **environment)
    run(*goldwash, "run", "sample", "--input", "crawl/crawl", "--out", "run", "--workers", 2, cwd=tmp_path, **environment)
    made = {file.name: file.read_bytes() for file in (tmp_path / "run" / "dataset").glob("part-*.parquet")}
    assert made
    assert made == {file.name: file.read_bytes() for file in (sample_run / "dataset").glob("part-*.parquet")}
