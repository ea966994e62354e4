"""goldwash where Linux's own things are missing, as on macOS; and paths as people write them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.filters.cache import cache_home
from tests.conftest import ROOT

NOT_LINUX = """
import errno, os, sys, builtins, pathlib

for name in ("EREMOTEIO", "EBADFD", "ECOMM", "ESTRPIPE", "ENOTUNIQ", "EUCLEAN", "ENOMEDIUM", "EKEYREVOKED", "ERESTART"):
    if hasattr(errno, name):
        delattr(errno, name)
for name in ("O_TMPFILE", "O_PATH", "O_DIRECT", "O_LARGEFILE", "O_NOATIME", "O_RSYNC", "sched_getaffinity",
             "sched_setaffinity", "posix_fadvise", "posix_fallocate", "memfd_create", "pidfd_open", "copy_file_range",
             "eventfd", "splice", "fdatasync", "getxattr", "setxattr", "getrandom", "setns", "unshare", "pipe2"):
    if hasattr(os, name):
        delattr(os, name)
KNOWN = {"SC_ARG_MAX", "SC_CHILD_MAX", "SC_CLK_TCK", "SC_IOV_MAX", "SC_NPROCESSORS_CONF", "SC_NPROCESSORS_ONLN", "SC_OPEN_MAX",
         "SC_PAGESIZE", "SC_PAGE_SIZE", "SC_VERSION", "SC_PHYS_PAGES"}
sysconf = os.sysconf
def only_known(name):
    if isinstance(name, str) and name not in KNOWN:
        raise ValueError("unrecognized configuration name")
    return sysconf(name)
os.sysconf = only_known
os.sysconf_names = {name: number for name, number in os.sysconf_names.items() if name in KNOWN}

HIDDEN = ("/proc", "/sys")
def hidden(path):
    try:
        text = os.fsdecode(path)
    except TypeError:
        return False
    return text in HIDDEN or text.startswith(tuple(h + "/" for h in HIDDEN))
def refusing(function):
    def call(path, *rest, **named):
        if hidden(path):
            raise FileNotFoundError(errno.ENOENT, "no such file on this platform", os.fsdecode(path))
        return function(path, *rest, **named)
    return call
import io
builtins.open = io.open = refusing(io.open)
for name in ("open", "stat", "listdir", "scandir", "readlink"):
    setattr(os, name, refusing(getattr(os, name)))
"""

DARWIN = "import ctypes\nsys.platform = 'darwin'\n"
"""What libraries took for granted of Linux when they were imported is theirs; goldwash asks when it is used."""

IMPORT_ALL = """
import importlib, pkgutil
import numpy, numba, pyarrow.parquet, pyarrow.dataset, fsspec, rich.console, typer, datatrove.data, datatrove.executor.local
import fastwarc.warc, resiliparse.extract.html2text, huggingface_hub, multiprocessing.popen_forkserver, multiprocessing.pool
try:
    import ray
except ImportError:
    pass
{platform}
import goldwash
missing = []
for found in pkgutil.walk_packages(goldwash.__path__, "goldwash."):
    if found.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("goldwash"):
            raise
        missing.append(error.name)
assert set(filter(None, missing)) <= {{"ray", "trafilatura", "s3fs", "tokenizers", "sklearn"}}, missing
"""

RUN_A_STAGE = """
result = goldwash.apply("heuristics", ["one two three", "one"], recipe=None, steps=[{"keep": "word_count", "min": 3}])
assert result.kept == ["one two three"]
from goldwash.pipeline.cli.app import main
import sys
def cli(*words):
    sys.argv = ["goldwash", *words]
    try:
        main()
    except SystemExit as stopped:
        assert not stopped.code, (words, stopped.code)
cli("sample", "crawl")
cli("run", "sample", "--input", "crawl/crawl", "--out", "run", "--workers", "1", "--until", "bloom")
assert goldwash.report("run").stages[-1].report.kept.documents > 10
"""


def in_a_process(code: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]


def test_every_module_is_imported_without_what_linux_alone_has(tmp_path: Path) -> None:
    in_a_process(NOT_LINUX + IMPORT_ALL.format(platform=DARWIN), tmp_path)


@pytest.mark.slow
def test_a_run_without_what_linux_alone_has(tmp_path: Path) -> None:
    """Every stage up to bloom, which looks at the machine's memory; extract, which isolates its parser."""
    in_a_process(NOT_LINUX + IMPORT_ALL.format(platform="") + RUN_A_STAGE, tmp_path)


def test_the_platform_that_is_simulated_lacks_what_macos_lacks(tmp_path: Path) -> None:
    in_a_process(
        NOT_LINUX
        + "assert not hasattr(errno, 'EREMOTEIO')\n"
        + "assert not os.path.exists('/proc/self/stat')\n"
        + "for wanted in ('/proc/meminfo', '/sys/fs/cgroup'):\n"
        + "    try: open(wanted)\n    except FileNotFoundError: continue\n    raise SystemExit(wanted)\n"
        + "try: os.sysconf('SC_AVPHYS_PAGES')\nexcept ValueError: pass\nelse: raise SystemExit('sysconf')\n",
        tmp_path,
    )


# --- paths as people write them


STEPS = "stages:\n  - heuristics:\n      steps:\n        - {keep: word_count, min: 2}\n"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("./relative/../Gold Wäsche 金 'quoted'", "Gold Wäsche 金 'quoted'"),
        ("~/at home", "home/at home"),
        ("100%/#1", "100%/#1"),
    ],
)
def test_paths_mean_what_a_shell_would_mean(given: str, place: str, tmp_path: Path) -> None:
    """Input, output and recipe through the command line, from another folder, with HOME set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "relative").mkdir()
    (tmp_path / "home").mkdir()
    source = tmp_path / place / "in"
    source.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["one two", "one"]}), source / "part 0.parquet")
    (tmp_path / place / "my recipe.yaml").write_text(STEPS)
    done = subprocess.run(
        [
            sys.executable, "-m", "goldwash", "stage", "heuristics", "--input", f"{given}/in", "--out", f"{given}/the out",
            "--recipe", f"{given}/my recipe.yaml", "--workers", "1",
        ],
        cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path / "home"), "GOLDWASH_CACHE": str(cache_home())},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (shard,) = (tmp_path / place / "the out").glob("part-*.parquet")
    assert pq.read_table(shard)["id"].to_pylist() == ["1"]
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"INPUT": "crawl/a.warc.gz crawl/b.warc.gz"}, ["--input", "crawl/a.warc.gz", "crawl/b.warc.gz"]),
        ({"INPUT": "crawl/*.warc.gz"}, ["--input", "crawl/*.warc.gz"]),
        ({"INPUT": "my crawl/*.warc.gz"}, ["--input", "my crawl/*.warc.gz"]),
        ({"INPUT": "my crawl/a b.warc.gz"}, ["--input", "my crawl/a b.warc.gz"]),
        ({"INPUT": "CC-MAIN-2024-10,sample=100,seed=1"}, ["--input", "CC-MAIN-2024-10,sample=100,seed=1"]),
        ({"INPUT": "s3://b/*.gz   crawl/*.gz"}, ["--input", "s3://b/*.gz", "crawl/*.gz"]),
        (
            {"INPUT": "crawl/a.warc.gz", "OUT": "my runs/it's first"},
            ["--input", "crawl/a.warc.gz", "--out", "my runs/it's first"],
        ),
        ({}, ["--input", "runs/sample-crawl/crawl", "--out", "runs/sample"]),
    ],
)
def test_make_takes_several_inputs_and_spaces(words: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    """``make baseline`` hands its words on; the command line is replaced by a script that writes down its own."""
    for name in ("crawl/a.warc.gz", "crawl/b.warc.gz", "my crawl/a b.warc.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    binary = tmp_path / ".venv" / "bin"
    binary.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (binary / "pip").touch()
    (binary.parent / ".installed").touch()
    (binary / "goldwash").write_text(f"#!{sys.executable}\nimport sys\nopen('words', 'a').write(repr(sys.argv[1:]) + '\\n')\n")
    (binary / "goldwash").chmod(0o755)
    settings = [f"{name}={value}" for name, value in words.items()]
    environment = {name: value for name, value in os.environ.items() if name not in ("INPUT", "OUT", "RECIPE", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "baseline", *settings],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    called = [eval(line) for line in (tmp_path / "words").read_text().splitlines()][-1]
    assert called[:2] == ["run", "baseline" if "INPUT" in words else "sample"]
    text = repr(called)[1:-1]
    assert repr(expected)[1:-1] in text, text
