"""The nearest documents of a text, by the signatures that a `minhash` stage left.

Law: every signature of the run is compared, band or no band, and the best ``count`` are shown with datasketch's estimate and,
where the text can still be read, the counted Jaccard similarity of the shingles. Memory is bounded by one shard of keys.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.dedup.passes import read_keys
from goldwash.pipeline.flow import run_folders
from goldwash.pipeline.stages.minhash import MinHash, signatures_of
from goldwash.pipeline.storage.locations import DataError, filesystem, join, read_json


@dataclass(frozen=True)
class Neighbour:
    """A document, how near it is (estimated; counted, or None where its text is not at hand), and the bands that they share."""

    id: str
    url: str
    estimated: float
    counted: float | None
    bands: int


def near(run: str, id_or_text: str, count: int = 10) -> list[Neighbour]:
    """The documents nearest to one of the run, to a text, or to a text file's content; a `DataError` where none can be told.

    ``run`` is a run's folder, or that of a finished minhash stage (whose dropped documents' texts are not at hand).
    """
    folder, stage, before = _stage_of(run)
    shards = _key_files(folder)
    text = _text_of(id_or_text, stage, shards, [*before, *_kept(folder)])
    bands, rows, permutations = stage.layout
    signed, shingles = kernels.signatures(Texts.of([text]), stage.ngram, kernels.permutations(permutations, stage.seed))
    if shingles[0] == 0:
        raise DataError("the text has no word: nothing can be near it")
    asked = kernels.as_minhash(signed[0], stage.seed)
    best: list[tuple[float, int, int, str, str, Any]] = []
    for number, file in enumerate(shards):
        names = ["id", "url", *(name for name, _ in stage.key_columns), *(name for name, _ in stage.more_columns())]
        table = read_keys(file, stage, names)
        if table.num_rows == 0:
            continue
        held = signatures_of(table)
        share = (held == signed[0]).mean(axis=1)
        share[np.asarray(table["shingle_count"]) == 0] = 0
        for row in np.argsort(-share, kind="stable")[: count + 1]:
            id_, url = table["id"][row].as_py(), table["url"][row].as_py()
            if share[row] > 0 and id_ != id_or_text:
                best.append((-float(share[row]), number, int(row), id_, url, held[row]))
        best = sorted(best, key=lambda b: b[:3])[:count]
    texts = dict(_texts({b[3] for b in best}, [*before, *_kept(folder)]))
    own = _set(text, stage.ngram)
    found = []
    for _, _, _, id_, url, signature in best:
        estimated = float(asked.jaccard(kernels.as_minhash(signature, stage.seed)))
        counted = float(kernels.similarity(own, _set(texts[id_], stage.ngram))) if id_ in texts else None
        met = (signature[: bands * rows] == signed[0][: bands * rows]).reshape(bands, rows).all(axis=1)
        found.append(Neighbour(id_, url, estimated, counted, int(met.sum())))
    return found


def _set(text: str, n: int) -> Any:
    return np.unique(kernels.shingle_hashes(Texts.of([text]), n)[0])


def _stage_of(run: str) -> tuple[str, MinHash, list[str]]:
    """The minhash stage's folder, its parameters, and the shards that it read, where they are known."""
    alone = read_json(join(run, "report.json"))
    if alone is not None and alone.get("stage") == MinHash.name:
        return run, MinHash.of(alone["config"]), []
    before: list[str] = []
    for folder, report in run_folders(run):
        if report["stage"] == MinHash.name:
            return folder, MinHash.of(report["config"]), before
        before = [join(folder, name) for name in sorted(report["shards"])]
    raise DataError(f"{run} has no finished stage minhash, whose signatures are what is compared: run one with that stage")


def _key_files(folder: str) -> list[str]:
    inputs = read_json(join(folder, "report.json"))["inputs"]
    return [join(folder, "keys", f"keys-{n:05d}.parquet") for n in range(len(inputs))]


def _kept(folder: str) -> list[str]:
    report: Mapping[str, Any] = read_json(join(folder, "report.json")) or {"shards": {}}
    return [join(folder, name) for name in sorted(report["shards"])]


def _text_of(asked: str, stage: MinHash, keys: list[str], shards: list[str]) -> str:
    """The text of a document of this id, of a file, or the words themselves."""
    for file in keys:
        if pc.any(pc.equal(read_keys(file, stage, ["id"])["id"], asked)).as_py():
            texts = dict(_texts({asked}, shards))
            if asked not in texts:
                raise DataError(
                    f"{asked} is known, but its text is not at hand: give the run's folder, not the stage's, or the text itself"
                )
            return texts[asked]
    if asked.startswith(("urn:uuid:", "<urn:uuid:")):
        raise DataError(f"{asked}: the stage minhash met no document of this id")
    try:
        return Path(asked).read_text("utf-8") if Path(asked).is_file() else asked
    except OSError:  # a text too long for a file's name
        return asked
    except UnicodeDecodeError as error:
        raise DataError(f"{asked} is not a UTF-8 text file ({error})") from error


def _texts(ids: set[str], shards: list[str]) -> Iterator[tuple[str, str]]:
    """The texts of documents, from the shards that have them and are still there; the first that has one is believed."""
    left = set(ids)
    for shard in shards:
        if not left:
            return
        fs, path = filesystem(shard)
        if not fs.exists(path):
            continue
        with fs.open(path, "rb") as opened:
            for batch in pq.ParquetFile(opened).iter_batches(1024, columns=["id", "text"]):
                wanted = pc.is_in(batch["id"].cast(pa.string()), pa.array(sorted(left), pa.string()))
                for row in batch.filter(wanted).to_pylist():
                    if str(row["id"]) in left:
                        left.discard(str(row["id"]))
                        yield str(row["id"]), row["text"]
