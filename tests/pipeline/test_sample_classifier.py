"""The built-in classifier is trained once per machine, and never read from a cache that is damaged."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from goldwash.classifiers.train import FILES
from goldwash.filters.cache import cache_home
from goldwash.pipeline.sample import classifier
from goldwash.pipeline.sample.classifier import DIGESTS, sample_classifier
from goldwash.pipeline.stage import versions_here
from goldwash.pipeline.stages.quality import Quality
from goldwash.pipeline.storage.failures import StorageError

VERSIONS = {"goldwash": "test"}


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def trained(monkeypatch) -> list[Path]:
    """Where a classifier was trained; its files are short here, and always the same."""
    folders: list[Path] = []

    def train(out: Path) -> None:
        folders.append(out)
        for name in FILES:
            out.mkdir(exist_ok=True)
            (out / name).write_bytes(name.encode() * 1000)

    monkeypatch.setattr(classifier, "_train", train)
    return folders


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def cached(cache: Path) -> Path:
    (folder,) = cache.glob("sample-classifier-*")
    return folder


def test_it_is_trained_once_per_version(tmp_path, cache, trained):
    stages = (Quality(), Quality(fraction=0.5))
    for n, stage in enumerate(stages):
        assert sample_classifier(tmp_path / str(n), versions_here(stage)) == tmp_path / str(n) / "model.bin"
    assert trained == [tmp_path / "0"]
    assert files_in(tmp_path / "0") == files_in(tmp_path / "1")
    assert {*files_in(tmp_path / "0")} == {*FILES}
    sample_classifier(tmp_path / "2", VERSIONS)
    assert len(trained) == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", [*FILES, DIGESTS])
def test_a_damaged_cache_is_trained_again(tmp_path, cache, trained, name):
    sample_classifier(tmp_path / "first", VERSIONS)
    expected = files_in(tmp_path / "first")
    for n, damage in enumerate(
        (Path.unlink, turned, cut, lambda path: path.write_bytes(b""), lambda path: path.write_text("[]"))
    ):
        damage(cached(cache) / name)
        sample_classifier(tmp_path / f"damaged-{n}", VERSIONS)
        assert files_in(tmp_path / f"damaged-{n}") == expected
        assert len(trained) == n + 2
        sample_classifier(tmp_path / f"repaired-{n}", VERSIONS)  # the cache is whole again
        assert files_in(tmp_path / f"repaired-{n}") == expected
        assert len(trained) == n + 2


def test_a_cache_that_cannot_be_repaired_does_no_harm(tmp_path, cache, trained):
    sample_classifier(tmp_path / "first", VERSIONS)
    made_a_folder(cached(cache) / "model.bin")
    for name in ("second", "third"):
        sample_classifier(tmp_path / name, VERSIONS)
        assert files_in(tmp_path / name) == files_in(tmp_path / "first")
    assert len(trained) == 3


def test_a_cache_without_room_does_no_harm(tmp_path, cache, trained, monkeypatch):
    put = classifier.put

    def full(place: Path):
        if place.is_relative_to(cache):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return put(place)

    monkeypatch.setattr(classifier, "put", full)
    for name in ("first", "second"):
        sample_classifier(tmp_path / name, VERSIONS)
    assert files_in(tmp_path / "first") == files_in(tmp_path / "second")
    assert len(trained) == 2


def test_a_full_disk_is_said_in_plain_words(tmp_path, cache, monkeypatch):
    sample_classifier(tmp_path / "first", VERSIONS)

    def full(place: Path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(classifier, "put", full)
    with pytest.raises(StorageError, match="second cannot be written"):
        sample_classifier(tmp_path / "second", VERSIONS)


def test_runs_that_train_at_once_leave_whole_files(tmp_path, cache):
    folders = [tmp_path / f"out-{n}" for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda folder: sample_classifier(folder, VERSIONS), folders))
    assert all(files_in(folder) == files_in(folders[0]) for folder in folders)
    assert {*files_in(cached(cache_home()))} == {*FILES, DIGESTS}
