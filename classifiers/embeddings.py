"""Embeddings: a text as a vector, by a static table of token vectors or by an encoder of another package.

Invariants:

- An embedding is named in one word::

    wordllama                    the table in the wheel of the package wordllama: 256 numbers, no download
    FOLDER, hf://OWNER/REPO      a model2vec model: model.safetensors, tokenizer.json, config.json
    fastembed:NAME               an encoder such as BAAI/bge-small-en-v1.5, by the package fastembed
    sentence-transformers:NAME   the same, by the package sentence-transformers

- `Embedding.embed` returns rows of length 1, and a row of zeros for a text without a known token.
- Only the first ``characters`` of a text count, so that one huge document costs no more than another.
- Static embeddings are sums in a fixed order, so that they are the same on every machine. Those of encoders depend on the
  machine's matrix products: they repeat on one machine, with the versions of packages that `versions` names.

Sources: WordLlama (github.com/dleemiller/WordLlama); Model2Vec (github.com/MinishLab/model2vec); BGE, arXiv 2309.07597.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module, util
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.model_file import ModelError
from goldwash.filters.fetch import FetchError, fetched, file_digest
from goldwash.filters.texts import Texts
from goldwash.text_output import printable, without_password

CHARACTERS = 4096
"""Characters of a text that are embedded unless another number is given."""

WORDLLAMA = ("weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json")
MODEL2VEC = ("model.safetensors", "tokenizer.json", "config.json")

Vectors = npt.NDArray[np.float32]


class Embedding(Protocol):
    """Turns texts into vectors."""

    @property
    def dimension(self) -> int:
        """The numbers of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors: ``float32[N, dimension]``, of length 1, or zeros for a text without a known token."""
        ...

    def versions(self) -> dict[str, str]:
        """What decides its numbers: digests of files, versions of packages."""
        ...


def embedding(place: str) -> Embedding:
    """The embedding that a word names, loaded once per process.

    Raises `ModelError` if its package is not installed, or if its files are missing or broken.
    """
    kind, colon, name = place.partition(":")
    if colon and kind in ENCODERS:
        return _encoder(kind, name)
    if place == "wordllama":
        return _static(*map(str, _wordllama()))
    return _static(*map(str, _model2vec(place)))


def lasting(place: str) -> str:
    """A word for the same embedding that holds in every folder: a model's folder by its whole path."""
    return os.path.abspath(place) if os.path.isdir(place) else place


def embedded(model: Embedding, texts: Texts, characters: int = CHARACTERS) -> Vectors:
    """The vectors of the beginnings of texts: ``float32[N, dimension]``."""
    if not len(texts):
        return np.zeros((0, model.dimension), np.float32)
    return model.embed([beginning(texts, row, characters) for row in range(len(texts))])


def beginning(texts: Texts, row: int, characters: int) -> str:
    """The first characters of a text, without decoding the rest of it."""
    first, last = int(texts.starts[row]), int(texts.ends[row])
    return texts.utf8[first : min(last, first + 4 * characters)].tobytes().decode("utf-8", "ignore")[:characters]


@dataclass(frozen=True, eq=False)
class Static:
    """The mean of the vectors of a text's tokens."""

    table: Vectors
    tokenizer: Any
    digests: tuple[tuple[str, str], ...]
    rows: npt.NDArray[np.int64] | None = None
    """The row of ``table`` for each token; None: the token's own number."""
    weights: npt.NDArray[np.float64] | None = None
    """A factor for each token; None: 1."""
    unknown: int | None = None
    """The token that stands for unknown words, and that does not count."""

    @property
    def dimension(self) -> int:
        """See `Embedding`."""
        return int(self.table.shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedding`."""
        found = np.zeros((len(texts), self.dimension), np.float64)
        for row, encoding in enumerate(self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            ids = np.asarray(encoding.ids, np.int64)
            ids = ids[ids != self.unknown] if self.unknown is not None else ids
            if len(ids):
                vectors = self.table[ids if self.rows is None else self.rows[ids]]
                if self.weights is not None:
                    vectors = vectors * self.weights[ids, None]
                found[row] = np.add.reduce(vectors, axis=0, dtype=np.float64)  # row after row: the same on every machine
        return unit_rows(found)

    def versions(self) -> dict[str, str]:
        """See `Embedding`."""
        return {**dict(self.digests), "tokenizers": version("tokenizers")}


def unit_rows(vectors: npt.NDArray[Any]) -> Vectors:
    """Vectors of length 1 in the same directions: ``float32[N, d]``; zeros stay zeros."""
    columns = np.ascontiguousarray(vectors.T, np.float64)
    length = np.sqrt(np.add.reduce(columns * columns, axis=0))
    return np.ascontiguousarray((columns / np.where(length > 0, length, 1.0)).T, np.float32)


def _wordllama() -> tuple[Path, Path]:
    """The files in wordllama's wheel. The package itself is not imported: its import configures Python's logging."""
    found = util.find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise ModelError("embedding wordllama: the package is not installed: pip install 'goldwash[semantic]'")
    folder = Path(found.submodule_search_locations[0])
    for file in WORDLLAMA:
        if not (folder / file).is_file():
            raise ModelError(
                f"embedding wordllama: version {version('wordllama')} has no file {file}: pip install 'goldwash[semantic]' "
                "installs one that has it"
            )
    return folder / WORDLLAMA[0], folder / WORDLLAMA[1]


def _model2vec(place: str) -> tuple[Path, Path, Path]:
    """The files of a model2vec model: in a folder, or fetched from Hugging Face."""
    shown = printable(without_password(place))
    if "://" in place:
        try:
            one, two, three = (fetched(f"{place.rstrip('/')}/{file}") for file in MODEL2VEC)
        except FetchError as error:
            raise ModelError(f"embedding {shown}: {error}") from error
        return one, two, three
    missing = [file for file in MODEL2VEC if not (Path(place) / file).is_file()]
    if missing:
        raise ModelError(
            f"embedding {shown}: no such embedding: expected wordllama, {', '.join(f'{kind}:NAME' for kind in ENCODERS)}, "
            f"hf://OWNER/REPO, or a folder with {', '.join(MODEL2VEC)} (missing: {', '.join(missing)})"
        )
    return Path(place) / MODEL2VEC[0], Path(place) / MODEL2VEC[1], Path(place) / MODEL2VEC[2]


def _static(weights: str, tokenizer: str, config: str = "") -> Static:
    digests = tuple(file_digest(file) for file in (weights, tokenizer, config) if file)
    return _loaded(weights, tokenizer, config, digests)


@lru_cache(maxsize=4)
def _loaded(weights: str, tokenizer: str, config: str, digests: tuple[str, ...]) -> Static:
    try:
        from safetensors import SafetensorError, safe_open
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelError(f"static embeddings need {error.name}: pip install 'goldwash[semantic]'") from error
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # a task has one core; and its threads do not survive a fork
    try:
        with safe_open(weights, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{printable(weights)} is not a whole file of safetensors ({error}): fetch it again") from error
    name = next((name for name in ("embedding.weight", "embeddings") if name in tensors), None)
    if name is None or tensors[name].ndim != 2:
        raise ModelError(
            f"{printable(weights)} holds {', '.join(map(printable, sorted(tensors))) or 'nothing'}: expected a matrix called "
            "embeddings, as in a model2vec model"
        )
    try:
        made = Tokenizer.from_file(tokenizer)
        settings = json.loads(Path(config).read_text("utf-8")) if config else {}
    except Exception as error:  # tokenizers raises Exception itself
        raise ModelError(f"{printable(tokenizer)} is not a whole tokenizer ({printable(error)}): fetch it again") from error
    made.no_truncation()
    made.no_padding()
    table, mapping = np.ascontiguousarray(tensors[name], np.float32), tensors.get("mapping")
    _check_tokens(weights, made.get_vocab_size(), table, mapping)
    factors = tensors.get("weights")
    unknown = _unknown(made) if config else None
    return Static(
        table,
        made,
        tuple(zip(("embedding", "tokenizer", "embedding's settings"), digests, strict=False)),
        None if mapping is None else np.asarray(mapping, np.int64),
        None if factors is None else np.asarray(factors, np.float64),
        unknown if isinstance(settings, dict) else None,
    )


def _check_tokens(weights: str, tokens: int, table: Vectors, mapping: Any) -> None:
    """Refuse a table that has no row for a token of its tokenizer."""
    known = len(table) if mapping is None else len(mapping)
    if tokens > known or (mapping is not None and int(np.max(mapping, initial=0)) >= len(table)):
        raise ModelError(
            f"{printable(weights)} has vectors for {known:,} tokens, and its tokenizer has {tokens:,}: the files are of two "
            "models; fetch both from one place"
        )


def _unknown(tokenizer: Any) -> int | None:
    """The token for unknown words, which model2vec leaves out."""
    name = json.loads(tokenizer.to_str())["model"].get("unk_token")
    found = tokenizer.token_to_id(name) if isinstance(name, str) else None
    return None if found is None else int(found)


@dataclass(frozen=True, eq=False)
class Encoder:
    """An encoder of another package, behind a function from strings to a matrix."""

    package: str
    name: str
    encode: Callable[[Sequence[str]], npt.NDArray[Any]] = field(repr=False)
    dimension: int = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedding`; an empty text is not encoded. `ModelError` if vectors have another dimension than at first."""
        found = np.zeros((len(texts), self.dimension), np.float32)
        known = [row for row, text in enumerate(texts) if text.strip()]
        if known:
            made = np.asarray(self.encode([texts[row] for row in known]), np.float64)
            if made.shape != (len(known), self.dimension) or not np.isfinite(made).all():
                raise ModelError(
                    f"embedding {self.package}:{printable(self.name)} gave numbers of shape {made.shape} for {len(known)} "
                    f"texts; expected finite ones of shape {(len(known), self.dimension)}"
                )
            found[known] = unit_rows(made)
        return found

    def versions(self) -> dict[str, str]:
        """See `Embedding`."""
        return {self.package: version(self.package), "embedding": self.name}


def _fastembed(name: str) -> Callable[[Sequence[str]], npt.NDArray[Any]]:
    made = import_module("fastembed").TextEmbedding(name, threads=1)
    return lambda texts: np.stack(list(made.embed(list(texts))))


def _sentence_transformers(name: str) -> Callable[[Sequence[str]], npt.NDArray[Any]]:
    made = import_module("sentence_transformers").SentenceTransformer(name)
    return lambda texts: np.asarray(made.encode(list(texts), show_progress_bar=False))


ENCODERS = {"fastembed": _fastembed, "sentence-transformers": _sentence_transformers}
"""What makes the function of an encoder, by its package."""


@lru_cache(maxsize=2)
def _encoder(package: str, name: str) -> Encoder:
    try:
        encode = ENCODERS[package](name)
        dimension = int(np.asarray(encode(["gold"])).shape[1])
    except ImportError as error:
        raise ModelError(
            f"embedding {package}:{printable(name)}: {printable(error)}: pip install {package}, and give the command again"
        ) from error
    except Exception as error:
        raise ModelError(
            f"embedding {package}:{printable(name)} cannot be loaded ({type(error).__name__}: "
            f"{printable(without_password(str(error)))}): give a model that {package} knows, and fetch it where there is a "
            "network"
        ) from error
    return Encoder(package, name, encode, dimension)
