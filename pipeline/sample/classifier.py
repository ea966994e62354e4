"""The built-in quality classifier, a toy that is trained on examples that goldwash writes itself.

Invariants: a machine trains it once per version, in half a second, and keeps it in the cache. What the cache has is verified;
a cache that is full, damaged or cannot be written costs that half second and nothing else.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from goldwash.classifiers.examples import examples
from goldwash.classifiers.train import FILES, Settings, train
from goldwash.filters.cache import cache_home, in_cache, put
from goldwash.pipeline.storage.failures import in_plain_words

SETTINGS = Settings(dim=16, bucket=100_000, epoch=25)
DIGESTS = "sha256.json"
"""The cached files' SHA-256 by name. It is written last."""


def sample_classifier(out: Path, versions: Mapping[str, str]) -> Path:
    """Write `FILES` of the built-in classifier into a folder; the path of the model.

    ``versions``: everything that decides its bytes. Raises `StorageError` where the folder's disk is full.
    """
    decisive = json.dumps(versions, sort_keys=True).encode()
    folder = f"sample-classifier-{hashlib.sha256(decisive).hexdigest()[:16]}"
    with in_plain_words(str(out), writing=True, disk_only=True):
        cached = _cached(folder)
        if cached is None:
            _train(out)
            _keep(folder, {name: (out / name).read_bytes() for name in FILES})
        else:
            _write(out, cached)
    return out / "model.bin"


def _train(out: Path) -> None:
    from goldwash.pipeline.sample.crawl import write_examples

    with tempfile.TemporaryDirectory() as spare:
        write_examples(spare)
        sides = [list(examples(Path(spare) / f"{side}.jsonl")) for side in ("positive", "negative")]
        good, bad = ([replace(example, origin="built-in") for example in side] for side in sides)
        train(good, bad, out, SETTINGS)


def _cached(folder: str) -> dict[str, bytes] | None:
    """The files in a folder of the cache; None if it lacks one, or if one is not as it was written."""
    try:
        digests = json.loads(in_cache(folder, DIGESTS).read_bytes())
        files = {name: in_cache(folder, name).read_bytes() for name in FILES}
    except (OSError, ValueError):
        return None
    return files if digests == _digests(files) else None


def _keep(folder: str, files: Mapping[str, bytes]) -> None:
    with suppress(OSError):
        _write(cache_home() / folder, {**files, DIGESTS: json.dumps(_digests(files)).encode()})


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        with put(folder / name) as half:
            half.write_bytes(content)
