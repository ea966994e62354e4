"""The cache: files appear whole, with the permissions of the umask, and elsewhere when a place cannot be written."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from goldwash.filters import cache
from goldwash.filters.cache import cache_home, in_cache, kept_array, put


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


NUMBERS = np.arange(1000, dtype=np.uint64)


def test_an_array_is_made_once(tmp_path: Path) -> None:
    made = kept_array(tmp_path / "lists" / "a.npy", NUMBERS.copy)
    again = kept_array(tmp_path / "lists" / "a.npy", lambda: pytest.fail("made again"))
    for array in (made, again):
        assert array.tolist() == NUMBERS.tolist()
        assert not array.flags.writeable


@pytest.mark.parametrize("size", [0, 5, 100, 128, 1000, -1])
@pytest.mark.parametrize("filler", [b"", bytes(8128)])
def test_a_damaged_array_is_made_again(tmp_path: Path, size: int, filler: bytes) -> None:
    """Cut off anywhere, or with zeros in place of what a crash lost."""
    place = tmp_path / "a.npy"
    kept_array(place, NUMBERS.copy)
    whole = place.read_bytes()
    place.write_bytes((whole[:size] if not filler else b"") + filler)
    assert kept_array(place, NUMBERS.copy).tolist() == NUMBERS.tolist()
    assert place.read_bytes() == whole


def test_an_array_that_cannot_be_written_stays_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "a.npy").mkdir()
    for place in (tmp_path / "file" / "a.npy", tmp_path / "a.npy"):
        made = kept_array(place, NUMBERS.copy)
        assert made.tolist() == NUMBERS.tolist()
        assert not made.flags.writeable
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "file"]
