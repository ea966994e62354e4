"""The cache: files appear whole, with the permissions of the umask, and elsewhere when a place cannot be written."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.filters import cache
from goldwash.filters.cache import cache_home, in_cache, put


@pytest.fixture(autouse=True)
def fresh() -> None:
    for function in (cache._writable, cache._home):
        function.cache_clear()


def test_the_named_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "a" / "b"))
    assert cache_home() == tmp_path / "a" / "b"
    assert in_cache("models", "x") == tmp_path / "a" / "b" / "models" / "x"


def test_the_cache_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOLDWASH_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home() == tmp_path / ".cache" / "goldwash"


@pytest.mark.parametrize("home", ["/proc/nothing", "/dev/null", "/dev/null/below"])
@pytest.mark.parametrize("variable", ["GOLDWASH_CACHE", "HOME"])
def test_a_cache_that_cannot_be_written(home: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOLDWASH_CACHE", raising=False)
    monkeypatch.setenv(variable, home)
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    found = cache_home()
    assert found.parent == tmp_path
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert found.stat().st_uid == os.getuid()


def test_a_temporary_folder_of_that_name_that_is_a_link_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"goldwash-cache-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("GOLDWASH_CACHE", "/dev/null")
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    assert cache_home().name != f"goldwash-cache-{os.getuid()}"
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_shared_cache_that_is_read_only_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared" / "models").mkdir(parents=True)
    (tmp_path / "shared" / "models" / "m.bin").write_bytes(b"model")
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "shared"))
    monkeypatch.setattr(cache, "_writable", lambda folder: False)  # tests may run as root, who can write everywhere
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    assert in_cache("models", "m.bin").read_bytes() == b"model"
    assert in_cache("models", "other.bin").parents[1].name == f"goldwash-cache-{os.getuid()}"


def test_a_command_without_a_home_answers(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": "/proc/nothing", "TMPDIR": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    environment.pop("GOLDWASH_CACHE", None)
    code = (
        "from goldwash.filters import Texts\nfrom goldwash.filters.words import word_count\n"
        "print(word_count(Texts.of(['a b'])))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[2]\n"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o027, 0o640)])
def test_permissions_are_those_of_the_umask(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with put(tmp_path / "a" / "file") as half:
            half.unlink()  # a library may replace the file
            half.write_bytes(b"content")
            half.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "file").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "a" / "file").stat().st_mode) == mode


def test_a_file_that_breaks_off_does_not_appear(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def broken() -> None:
        with put(tmp_path / "file") as half:
            half.write_bytes(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
