"""The nearest documents of a text, by the signatures that a `minhash` stage left.

Invariants: every signature of the run is compared, whether or not it shares a band, and the best ``count`` are shown with
datasketch's estimate and, where the text can still be read, the counted Jaccard similarity of the shingles. Memory is bounded
by one shard of keys. The answer always says how the question was understood (as an id, a URL, a file or a text).
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.dedup.passes import read_keys
from goldwash.pipeline.flow import run_folders
from goldwash.pipeline.inspect.explain import PROPOSED, SEEN, names_of
from goldwash.pipeline.stages.minhash import MinHash, signatures_of
from goldwash.pipeline.storage.addresses import located
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import opened
from goldwash.pipeline.storage.locations import filesystem, join, read_json
from goldwash.pipeline.storage.source import Input
from goldwash.text_output import printable

TOKEN = re.compile(r"(?=.*[0-9A-Za-z])[!-~]+")
"""One word of ASCII: an id, a URL or a file's name, not a text."""


@dataclass(frozen=True)
class Neighbour:
    """A document, its similarity (estimated; counted, or None where its text is not available), and the number of shared
    bands.
    """

    id: str
    url: str
    estimated: float
    counted: float | None
    bands: int


def _silent(line: str) -> None:
    """Ignore the line."""


def near(
    run: str, asked: str, count: int = 10, as_text: bool = False, notify: Callable[[str], None] = _silent
) -> list[Neighbour]:
    """The documents nearest to a document of the run (by id or URL), to a text file's content, or to a text.

    ``run``: a run's folder, or that of a finished minhash stage (where the texts of dropped documents are not available).
    ``as_text``: ``asked`` is the text itself. Raises `DataError` where it is neither a known document nor a text.
    """
    folder, stage, before = _stage_of(located(run))
    shards = _key_files(folder)
    own_id, text, meaning = _understood(asked, stage, shards, [*before, *_kept(folder)], as_text)
    notify(f"understood as {meaning}")
    bands, rows, permutations = stage.layout
    signed, shingles = kernels.signatures(Texts.of([text]), stage.ngram, kernels.permutations(permutations, stage.seed))
    if shingles[0] == 0:
        raise DataError("the text has no words: nothing can be near it")
    signature_asked = kernels.as_minhash(signed[0], stage.seed)
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
            if share[row] > 0 and id_ != own_id:
                best.append((-float(share[row]), number, int(row), id_, url, held[row]))
        best = sorted(best, key=lambda b: b[:3])[:count]
    texts = dict(_texts({b[3] for b in best}, [*before, *_kept(folder)]))
    own = _set(text, stage.ngram)
    found = []
    for _, _, _, id_, url, signature in best:
        estimated = float(signature_asked.jaccard(kernels.as_minhash(signature, stage.seed)))
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
    raise DataError(f"{run} has no finished stage minhash, whose signatures are compared: run a recipe with that stage")


def _key_files(folder: str) -> list[str]:
    inputs = read_json(join(folder, "report.json"))["inputs"]
    return [join(folder, "keys", f"keys-{n:05d}.parquet") for n in range(len(inputs))]


def _kept(folder: str) -> list[str]:
    report: Mapping[str, Any] = read_json(join(folder, "report.json")) or {"shards": {}}
    return [join(folder, name) for name in sorted(report["shards"])]


def _understood(asked: str, stage: MinHash, keys: list[str], shards: list[str], as_text: bool) -> tuple[str | None, str, str]:
    """The id of the document that is meant (None: it is no document), the text, and the meaning in words."""
    if as_text:
        return None, asked, f"a text of {len(asked.split()):,} words"
    names = names_of(asked)
    found = _document(names, stage, keys)
    if found is not None:
        id_, url = found
        texts = dict(_texts({id_}, shards))
        if id_ not in texts:
            raise DataError(
                f"{printable(asked)} is known, but its text is not available: give the run's folder, not the stage's, or the "
                "text itself"
            )
        return id_, texts[id_], f"document {printable(id_)} {printable(url)}"
    content = _content(asked)
    if content is not None:
        return None, content, f"the text file {printable(asked)}"
    if TOKEN.fullmatch(asked) or asked.startswith(("http://", "https://", "urn:", "<urn:")):
        _refuse(asked, stage, keys)
    return None, asked, f"a text of {len(asked.split()):,} words"


def _content(path: str) -> str | None:
    """The text of a file; None where there is no such file."""
    try:
        return Path(path).read_text("utf-8") if Path(path).is_file() else None
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)} is not a UTF-8 text file ({error})") from error
    except (OSError, ValueError):  # a text too long for a file's name, or with a NUL
        return None


def _refuse(asked: str, stage: MinHash, keys: list[str]) -> NoReturn:
    """Raise a `DataError` about a name that no document has: how it was understood, and the nearest names."""
    kind = "URL" if "://" in asked else "id, URL or file name"
    close = _nearest(asked, stage, keys)
    hint = f"did you mean {', '.join(close)}?" if close else "no name in it is similar."
    raise DataError(
        f"{printable(asked)} was understood as an {kind}: the stage minhash read no document with this id or URL, and there is "
        f"no such file; {hint} To compare the words themselves, give --text"
    )


def _document(names: list[str], stage: MinHash, keys: list[str]) -> tuple[str, str] | None:
    """The id and URL of the first document with one of these ids or URLs; an id wins over a URL."""
    by_url = None
    wanted = pa.array(names, pa.string())
    for file in keys:
        table = read_keys(file, stage, ["id", "url"])
        for column in ("id", "url"):
            rows = table.filter(pc.is_in(table[column], wanted)).slice(0, 1).to_pylist()
            if rows and column == "id":
                return str(rows[0]["id"]), str(rows[0]["url"])
            if rows and by_url is None:
                by_url = str(rows[0]["id"]), str(rows[0]["url"])
    return by_url


def _nearest(asked: str, stage: MinHash, keys: list[str]) -> list[str]:
    """The ids or URLs that are most like a name, of the first `SEEN` documents."""
    column = "url" if "://" in asked else "id"
    names: list[str] = []
    for file in keys:
        names += [str(name) for name in read_keys(file, stage, [column])[column].to_pylist() if name]
        if len(names) >= SEEN:
            break
    return [printable(name, 200) for name in difflib.get_close_matches(asked, dict.fromkeys(names[:SEEN]), PROPOSED, 0.6)]


def _texts(ids: set[str], shards: list[str]) -> Iterator[tuple[str, str]]:
    """The texts of documents, each from the first shard that has it; shards that are gone are passed over."""
    left = set(ids)
    for shard in shards:
        if not left:
            return
        fs, path = filesystem(shard)
        if not fs.exists(path):
            continue
        with opened(Input(shard, 0, shard)) as rows:
            for table in rows.tables(["id", "text"]):
                wanted = pc.is_in(table["id"].cast(pa.string()), pa.array(sorted(left), pa.string()))
                for row in table.filter(wanted).to_pylist():
                    if str(row["id"]) in left:
                        left.discard(str(row["id"]))
                        yield str(row["id"]), row["text"]
