"""fastText models: their file, their features, their scores over `Texts`.

Law: a score depends on the text and the model's bytes alone, and equals what Facebook's fastText gives for the same line. A
two-label softmax model without character n-grams is *folded*: the logit is linear in the averaged input rows, so each row's
``row . (output[1] - output[0])`` is all that scoring needs, one float32 a row instead of ``dim``; such models are scored by a
kernel. Every other model is scored by fasttext-wheel through ``model.f.predict``: its own ``predict`` breaks under NumPy 2,
and on a list gives every label the first one's probability.

A text is one line to fastText: ``" ".join(text.strip().splitlines())``, as DCLM has it before it scores.
File layout: ``fasttext/src/fasttext.cc``, ``dictionary.cc`` (0.9.2), little-endian.
"""

import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt

from filters.characters import classes
from filters.cut import Bytes, Rows, fasttext_space, strip
from filters.fetch import file_digest
from filters.jit import kernel, part
from filters.ngrams import Hashes, hashes, row_hash, table_size
from filters.texts import Texts

Floats = npt.NDArray[np.float32]

MAGIC, VERSION = 793712314, 12
HIERARCHICAL, SOFTMAX, SUPERVISED = 1, 3, 3
PREFIX = "__label__"
END = "</s>"
FOLD_FORMAT = 2


class ModelError(ValueError):
    """A file that is no model, or one that cannot do what is asked; the message says which and what would do."""


class Quantised(ModelError):
    """A model whose rows are codes."""


def _one_line(text: str) -> str:
    return " ".join(text.strip().splitlines())


@dataclass(frozen=True, eq=False)
class Folded:
    """A two-label model as one number a feature.

    ``keys: uint64[slots]`` and ``weights: float32[slots]`` are an open-addressing table of words (0: empty);
    ``ngram_weights: float32[bucket]``. A text's logit for ``labels[1]`` is the mean of the weights of its features.
    """

    labels: tuple[str, str]
    keys: Hashes
    weights: Floats
    ngram_weights: Floats
    word_ngrams: int

    def probability(self, texts: Texts, label: str) -> npt.NDArray[np.float64]:
        """The probability of a label, as ``f.predict`` gives it (1e-5 more for the likelier one): ``float64[N]``."""
        starts, ends = strip(texts.utf8, texts.starts, texts.ends, classes())
        logits = mean_weights(texts.utf8, starts, ends, self.keys, self.weights, self.ngram_weights, self.word_ngrams)
        second = 1 / (1 + np.exp(-logits))
        second = np.where(second >= 0.5, second + 1e-5, second - 1e-5)
        return np.asarray(second if label == self.labels[1] else 1 - second)


@dataclass(frozen=True, eq=False)
class Whole:
    """Any other model, held by fasttext-wheel."""

    labels: tuple[str, ...]
    native: Any

    def probability(self, texts: Texts, label: str) -> npt.NDArray[np.float64]:
        """The probability of a label: ``float64[N]``; 0 where fastText finds no feature that it knows."""
        wanted = PREFIX + label
        return np.fromiter(
            (dict((l_, p) for p, l_ in self._predict(text, -1)).get(wanted, 0.0) for text in texts), np.float64, len(texts)
        )

    def likeliest(self, texts: Texts, one_line: Callable[[str], str]) -> tuple[list[str], npt.NDArray[np.float64]]:
        """The likeliest label of each text and its probability; ("", 0) where fastText gives none."""
        found = [self._predict(text, 1, one_line) for text in texts]
        labels = [f[0][1].removeprefix(PREFIX) if f else "" for f in found]
        return labels, np.array([f[0][0] if f else 0.0 for f in found], np.float64)

    def _predict(self, text: str, k: int, one_line: Callable[[str], str] = _one_line) -> Any:
        return self.native.f.predict(one_line(text) + "\n", k, 0.0, "strict")


def load(path: str | Path) -> Folded | Whole:
    """The model in a file: a fold, or a fastText ``.bin`` or ``.ftz``; loaded once a process for the same bytes.

    Raises `ModelError` where the file is missing, truncated or no model.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no model at {path}: give the path of a fastText .bin, .ftz or of a .fold")
    return _load(str(path), file_digest(path))


@lru_cache(maxsize=8)
def _load(path: str, digest: str) -> Folded | Whole:
    if zipfile.is_zipfile(path):
        return _load_fold(path)
    with open(path, "rb") as file:
        head = Reader(file, path)
        folds = head.foldable()
    if folds:
        with suppress(Quantised):
            return fold(path)
    return _load_whole(path)


def _load_whole(path: str) -> Whole:
    with open(path, "rb") as file:  # fasttext-wheel trusts the file, and crashes on half of one
        whole = Reader(file, path)
        whole.entries()
        whole.pruned_buckets()
        whole.skip_input()
        whole.output()
    fasttext.FastText.eprint = lambda *_: None
    try:
        native = fasttext.load_model(path)
    except (ValueError, MemoryError, RuntimeError) as error:
        raise ModelError(f"{path} is not a model that fastText can read ({error})") from error
    return Whole(tuple(label.removeprefix(PREFIX) for label in native.get_labels()), native)


class Reader:
    """The head of a model file: its arguments and where its parts are."""

    def __init__(self, file: Any, path: str) -> None:
        self.file, self.path = file, path
        magic, version = self.unpack("<ii")
        if magic != MAGIC or version != VERSION:
            raise ModelError(f"{path} is not a fastText model (it begins with {magic}, {version}; expected {MAGIC}, {VERSION})")
        values = self.unpack("<12id")
        names = [
            "dim",
            "ws",
            "epoch",
            "min_count",
            "neg",
            "word_ngrams",
            "loss",
            "model",
            "bucket",
            "minn",
            "maxn",
            "lr_update",
            "t",
        ]
        self.arguments = dict(zip(names, values, strict=True))
        self.size, self.words, self.labels, _, self.pruned = self.unpack("<iiiqq")

    def unpack(self, form: str) -> tuple[Any, ...]:
        """The next values; `ModelError` where the file ends before them."""
        data = self.file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            raise ModelError(f"{self.path} is truncated at byte {self.file.tell()}: copy it again")
        return struct.unpack(form, data)

    def entries(self) -> list[tuple[str, int, int]]:
        """The dictionary: each entry's text, kind (0: word, 1: label) and count."""
        found = []
        for _ in range(self.size):
            word = bytearray()
            while (byte := self.file.read(1)) not in (b"\0", b""):
                word += byte
            count, kind = self.unpack("<qb")
            found.append((word.decode("utf-8", "replace"), kind, count))
        return found

    def pruned_buckets(self) -> npt.NDArray[np.int32]:
        """The buckets that pruning left and their rows: ``int32[*, 2]``; after `entries`."""
        count = max(self.pruned, 0)
        return np.frombuffer(self.file.read(count * 8), "<i4").reshape(count, 2)

    def skip_input(self) -> None:
        """Pass over the input matrix, dense or quantised (``QMatrix::save``); after `pruned_buckets`."""
        (quantised,) = self.unpack("<?")
        if not quantised:
            rows, columns = self.unpack("<qq")
            self.file.seek(rows * columns * 4, 1)
            return
        norms, rows, _, codes = self.unpack("<?qqi")
        self.file.seek(codes, 1)
        self._skip_quantiser()
        if norms:
            self.file.seek(rows, 1)
            self._skip_quantiser()

    def _skip_quantiser(self) -> None:
        dim, *_ = self.unpack("<4i")
        self.file.seek(dim * 256 * 4, 1)

    def output(self) -> Floats | None:
        """The output matrix; None where it is quantised; after `skip_input`."""
        (quantised,) = self.unpack("<?")
        if quantised:
            return None
        rows, columns = self.unpack("<qq")
        data = self.file.read(rows * columns * 4)
        if len(data) < rows * columns * 4:
            raise ModelError(f"{self.path} is truncated inside its output matrix: copy it again")
        return np.frombuffer(data, "<f4").reshape(rows, columns).copy()

    def foldable(self) -> bool:
        """Whether this is a supervised softmax model of two labels, with dense rows and no character n-grams."""
        a = self.arguments
        return bool(
            a["model"] == SUPERVISED and a["loss"] == SOFTMAX and self.labels == 2 and a["maxn"] == 0 and self.pruned < 0
        )


def fold(path: str | Path) -> Folded:
    """Fold a two-label softmax ``.bin``; the input matrix is read in blocks and never held whole.

    Raises `ModelError` for models of another kind, and for truncated ones.
    """
    with open(path, "rb") as file:
        head = Reader(file, str(path))
        if not head.foldable():
            raise ModelError(
                f"{path} cannot be folded: that takes a supervised softmax model of two labels without character n-grams; "
                f"it has {head.labels} labels and {head.arguments}"
            )
        entries = head.entries()
        (quantised,) = head.unpack("<?")
        if quantised:
            raise Quantised(f"{path} is quantised and cannot be folded: fold the .bin that it was made from")
        rows, dim = head.unpack("<qq")
        at = file.tell()
        if Path(path).stat().st_size < at + rows * dim * 4 + 17 + 2 * dim * 4:
            raise ModelError(f"{path} is truncated: its matrices need {rows} x {dim} and 2 x {dim} floats; copy it again")
        file.seek(at + rows * dim * 4 + 1 + 16)
        output = np.frombuffer(file.read(2 * dim * 4), "<f4").reshape(2, dim)
        weights = _folded_rows(path, at, rows, dim, output[1] - output[0])
    words = Texts.of([entry for entry, kind, _ in entries if kind == 0])
    labels = tuple(entry.removeprefix(PREFIX) for entry, kind, _ in entries if kind == 1)
    keys, values = word_table(hashes(words.utf8, words.starts, words.ends), weights[: len(words)])
    return _frozen(Folded((labels[0], labels[1]), keys, values, weights[head.words :], head.arguments["word_ngrams"]))


def _folded_rows(path: str | Path, at: int, rows: int, dim: int, direction: Floats, block: int = 65536) -> Floats:
    matrix = np.memmap(path, "<f4", "r", at, (rows, dim))
    out = np.empty(rows, np.float32)
    for row in range(0, rows, block):
        out[row : row + block] = matrix[row : row + block] @ direction
    return out


def _frozen(folded: Folded) -> Folded:
    for array in (folded.keys, folded.weights, folded.ngram_weights):
        array.flags.writeable = False
    return folded


def save_fold(folded: Folded, path: str | Path) -> None:
    """Write a folded model: an uncompressed ``.npz``, equal bytes for equal models."""
    arrays = {
        "format": np.array([FOLD_FORMAT, folded.word_ngrams]),
        "labels": np.array(folded.labels),
        "keys": folded.keys,
        "weights": folded.weights,
        "ngram_weights": folded.ngram_weights,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _load_fold(path: str) -> Folded:
    try:
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise ModelError(f"{path} is damaged in {broken}: fold the .bin again")
        with np.load(path, allow_pickle=False) as file:
            version, word_ngrams = file["format"].tolist()
            if version != FOLD_FORMAT:
                raise ModelError(
                    f"{path} is a fold of format {version}, this goldwash reads {FOLD_FORMAT}: fold the .bin again"
                )
            labels = file["labels"].tolist()
            return _frozen(Folded((labels[0], labels[1]), file["keys"], file["weights"], file["ngram_weights"], word_ngrams))
    except (KeyError, zipfile.BadZipFile, OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} is not a whole folded model ({error}): fold the .bin again") from error


@kernel
def word_table(word_hashes: Hashes, values: Floats) -> Any:
    """An open-addressing table from hashes to values, at most half full: ``keys: uint64``, ``values: float32``."""
    size = table_size(len(word_hashes))
    keys, out = np.zeros(size, np.uint64), np.zeros(size, np.float32)
    for row in range(len(word_hashes)):
        h = max(word_hashes[row], np.uint64(1))
        slot = np.int64(h & np.uint64(size - 1))
        while keys[slot] != 0:
            slot = (slot + 1) & (size - 1)
        keys[slot], out[slot] = h, values[row]
    return keys, out


@part
def _weight(keys: Hashes, weights: Floats, h: Any) -> Any:
    """A word's weight; nan for a word that the model has not seen."""
    h = max(np.uint64(h), np.uint64(1))
    mask = len(keys) - 1
    slot = np.int64(h & np.uint64(mask))
    while keys[slot] != 0:
        if keys[slot] == h:
            return np.float64(weights[slot])
        slot = (slot + 1) & mask
    return np.nan


@part
def _separator(utf8: Bytes, i: int, end: int) -> Any:
    """Bytes of the separator at ``i``: fastText's own white space, and the other line ends of ``str.splitlines``; 0 if none."""
    b = utf8[i]
    if fasttext_space(b) or 28 <= b <= 30:
        return 1
    if b == 0xC2 and utf8[i + 1] == 0x85:
        return 2
    if b == 0xE2 and utf8[i + 1] == 0x80 and (utf8[i + 2] == 0xA8 or utf8[i + 2] == 0xA9):
        return 3
    return 0


@part
def is_label(utf8: Bytes, start: int, end: int) -> Any:
    """Whether a token begins with ``__label__``, which fastText takes for no word."""
    if end - start < 9 or utf8[start] != 95:
        return False
    prefix = (95, 95, 108, 97, 98, 101, 108, 95, 95)
    for k in range(9):
        if utf8[start + k] != prefix[k]:
            return False
    return True


@kernel
def mean_weights(
    utf8: Bytes, starts: Rows, ends: Rows, keys: Hashes, weights: Floats, ngram_weights: Floats, longest: int
) -> Any:
    """The mean weight of each text's features, fastText's way: words it knows, ``</s>``, hashed word n-grams: ``float64[N]``.

    0 for a text without a feature.
    """
    out = np.zeros(len(starts), np.float64)
    recent = np.zeros(longest, np.int64)  # fastText's 32-bit hashes of the last words, as signed numbers
    end_token = np.array([60, 47, 115, 62], np.uint8)
    for row in range(len(starts)):
        total, features, n = 0.0, 0, 0
        i, end = starts[row], ends[row]
        done = False
        while not done:
            while i < end and _separator(utf8, i, end) > 0:
                i += _separator(utf8, i, end)
            begin = i
            short = np.uint32(2166136261)
            while i < end and _separator(utf8, i, end) == 0:
                b = np.uint64(utf8[i])
                wide = b | np.uint64(0xFFFFFF00) if b >= 128 else b  # fastText hashes signed chars
                short = np.uint32((np.uint64(short) ^ wide) * np.uint64(16777619) & np.uint64(0xFFFFFFFF))
                i += 1
            if i == begin:  # the end of the line
                done = True
                for k in range(4):
                    short = np.uint32(
                        (np.uint64(short) ^ np.uint64(end_token[k])) * np.uint64(16777619) & np.uint64(0xFFFFFFFF)
                    )
            elif is_label(utf8, begin, i):
                continue
            elif i - begin == 4:  # fastText takes a literal </s> for the end
                done = utf8[begin] == 60 and utf8[begin + 1] == 47 and utf8[begin + 2] == 115 and utf8[begin + 3] == 62
            h = row_hash(end_token, 0, 4, False) if i == begin else row_hash(utf8, begin, i, False)
            weight = _weight(keys, weights, h)
            if not np.isnan(weight):
                total += weight
                features += 1
            if longest > 1 and len(ngram_weights) > 0:
                signed = np.int64(short)
                if signed >= 2147483648:
                    signed -= 4294967296
                if n == longest:
                    for k in range(longest - 1):
                        recent[k] = recent[k + 1]
                    n -= 1
                recent[n] = signed
                n += 1
                for first in range(n - 1):  # the n-grams that end with this word
                    gram = np.uint64(recent[first])
                    for k in range(first + 1, n):
                        gram = gram * np.uint64(116049371) + np.uint64(recent[k])
                    total += ngram_weights[np.int64(gram % np.uint64(len(ngram_weights)))]
                    features += 1
        if features > 0:
            out[row] = total / features
    return out
