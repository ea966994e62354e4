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

from goldwash.errors import GoldwashError
from goldwash.filters.bits import SEPARATORS, block, eight, first_eight, lowest, put_edges
from goldwash.filters.characters import classes
from goldwash.filters.cut import Bytes, Rows, strip
from goldwash.filters.fetch import file_digest
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import FACTOR, Hashes, mixed, table_size
from goldwash.filters.texts import Texts

Floats = npt.NDArray[np.float32]

MAGIC, VERSION = 793712314, 12
HIERARCHICAL, SOFTMAX, SUPERVISED = 1, 3, 3
PREFIX = "__label__"
END = "</s>"
FOLD_FORMAT = 3


class ModelError(GoldwashError, ValueError):
    """A file that is no model, or one that cannot do what is asked; the message says which and what would do."""


class Quantised(ModelError):
    """A model whose rows are codes."""


def _one_line(text: str) -> str:
    return " ".join(text.strip().splitlines())


@dataclass(frozen=True, eq=False)
class Folded:
    """A two-label model as one number a feature.

    ``words: uint32[slots, 2]`` is an open-addressing table, four fifths full, of half a word's hash (0: empty) and its weight's
    bits; ``ngram_weights: float32[bucket]``. A text's logit for ``labels[1]`` is the mean of the weights of its features.
    3.7 million words and 2 million buckets, DCLM's size, take 46 MB in place of 2.4 GB.
    """

    labels: tuple[str, str]
    words: npt.NDArray[np.uint32]
    ngram_weights: Floats
    word_ngrams: int

    def halves(self) -> tuple[npt.NDArray[np.uint32], Floats]:
        """The hashes and the weights of the table of words, as two views of it."""
        return self.words[:, 0], self.words.view(np.float32)[:, 1]

    def word_weights(self, words: Texts) -> npt.NDArray[np.float64]:
        """What each word pulls towards ``labels[1]``, by itself: ``float64[N]``; nan for a word that the model has not seen."""
        return np.asarray(weights_of(words.utf8, words.starts, words.ends, *self.halves()))

    def probability(self, texts: Texts, label: str) -> npt.NDArray[np.float64]:
        """The probability of a label, as ``f.predict`` gives it (1e-5 more for the likelier one): ``float64[N]``."""
        starts, ends = strip(texts.utf8, texts.starts, texts.ends, classes())
        logits = mean_weights(texts.utf8, starts, ends, *self.halves(), self.ngram_weights, self.word_ngrams)
        second = 1 / (1 + np.exp(np.minimum(-logits, 700)))  # beyond, it is 0 as it is
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
        found: list[tuple[str, int, int]] = []
        held, at = b"", 0
        while len(found) < self.size:
            end = held.find(b"\0", at)
            if end < 0 or end + 10 > len(held):
                more = self.file.read(1 << 20)
                if not more:
                    raise ModelError(f"{self.path} is truncated at byte {self.file.tell()}: copy it again")
                held, at = held[at:] + more, 0
                continue
            count, kind = struct.unpack_from("<qb", held, end + 1)
            found.append((held[at:end].decode("utf-8", "replace"), kind, count))
            at = end + 10
        self.file.seek(at - len(held), 1)
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
    table = weight_table(words.utf8, words.starts, words.ends, weights[: len(words)].view(np.uint32))
    return _frozen(Folded((labels[0], labels[1]), table, weights[head.words :], head.arguments["word_ngrams"]))


def _folded_rows(path: str | Path, at: int, rows: int, dim: int, direction: Floats, block: int = 65536) -> Floats:
    matrix = np.memmap(path, "<f4", "r", at, (rows, dim))
    out = np.empty(rows, np.float32)
    for row in range(0, rows, block):
        out[row : row + block] = matrix[row : row + block] @ direction
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
            words, ngram_weights = (_mapped(path, name) for name in ("words", "ngram_weights"))
            return _frozen(Folded((labels[0], labels[1]), words, ngram_weights, word_ngrams))
    except (KeyError, zipfile.BadZipFile, OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} is not a whole folded model ({error}): fold the .bin again") from error


def _mapped(path: str, name: str) -> Any:
    """An array of a fold, mapped from its file, which processes share."""
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            return np.load(path, allow_pickle=False)[name]
        file.seek(member.header_offset + 26)
        lengths = struct.unpack("<HH", file.read(4))
        file.seek(member.header_offset + 30 + sum(lengths))
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if file.tell() % 64 or not np.prod(shape):
            return np.load(path, allow_pickle=False)[name]
        return np.asarray(np.memmap(path, dtype, "r", file.tell(), shape))


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


@inline
def word_hash(utf8: Bytes, start: Any, end: Any) -> Any:
    """fastText's 32-bit hash of a word (FNV-1a over signed chars), and 64 bits that tell words apart.

    The first eight bytes are hashed without a branch: how long a word is cannot be foreseen.
    """
    size = end - start
    w = first_eight(utf8, start, end)
    h = np.uint64(2166136261)
    for k in range(np.uint64(8)):
        b = (w >> (np.uint64(k) << np.uint64(3))) & np.uint64(255)
        wide = b | ((np.uint64(0) - (b >> np.uint64(7))) & np.uint64(0xFFFFFF00))
        longer = ((h ^ wide) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
        h = longer if np.uint64(k) < size else h
    tail = np.uint64(0)
    if size > np.uint64(8):
        tail = eight(utf8, end - np.uint64(8))
        for i in range(start + np.uint64(8), end):
            b = np.uint64(utf8[np.uint64(i)])
            wide = b | np.uint64(0xFFFFFF00) if b >= np.uint64(128) else b
            h = ((h ^ wide) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    return h, mixed(((w * FACTOR) ^ h) + tail * np.uint64(0xFF51AFD7ED558CCD))


@inline
def _signed(h: Any) -> Any:
    """A 32-bit hash as the signed number that fastText makes word n-grams of."""
    return np.int64(h) - ((np.int64(h) >> np.int64(31)) << np.int64(32))


@kernel
def weight_table(utf8: Bytes, starts: Rows, ends: Rows, weights: Any) -> Any:
    """The table of `Folded.words` for rows of words and the bits of their weights."""
    slots = max(len(starts) + len(starts) // 4 + 1, 16)
    out = np.zeros((slots, 2), np.uint32)
    for row in range(len(starts)):
        _, h = word_hash(utf8, np.uint64(starts[row]), np.uint64(ends[row]))
        slot = ((h >> np.uint64(32)) * np.uint64(slots)) >> np.uint64(32)
        while out[slot, 0] != 0:
            slot = slot + np.uint64(1) if slot + np.uint64(1) < np.uint64(slots) else np.uint64(0)
        out[slot, 0], out[slot, 1] = max(h & np.uint64(0xFFFFFFFF), np.uint64(1)), weights[row]
    return out


@inline
def _slot(words: Any, h: Any) -> Any:
    """A word's slot in the table, or the empty one where it would stand."""
    slots = np.uint64(len(words))
    half = max(h & np.uint64(0xFFFFFFFF), np.uint64(1))
    slot = ((h >> np.uint64(32)) * slots) >> np.uint64(32)
    while words[slot] != 0 and words[slot] != half:
        slot = slot + np.uint64(1) if slot + np.uint64(1) < slots else np.uint64(0)
    return slot


@kernel
def weights_of(utf8: Bytes, starts: Rows, ends: Rows, words: Any, weights: Floats) -> Any:
    """The weight of each word; nan for one that is not in the table: ``float64[N]``."""
    out = np.empty(len(starts), np.float64)
    for row in range(len(starts)):
        _, h = word_hash(utf8, np.uint64(starts[row]), np.uint64(ends[row]))
        slot = _slot(words, h)
        out[row] = np.float64(weights[slot]) if words[slot] != 0 else np.nan
    return out


@inline
def _wide_separators(utf8: Bytes, i: Any, last: Any) -> Any:
    """Bits of the bytes, among 64, of line ends beyond ASCII (U+0085, U+2028, U+2029); and how many of the next block's."""
    bits, beyond = np.uint64(0), np.uint64(0)
    leads = block(utf8, i, last, 0xC2) | block(utf8, i, last, 0xE2)
    while leads != np.uint64(0):
        k = np.uint64(lowest(leads))
        leads &= leads - np.uint64(1)
        size = np.uint64(0)
        second = utf8[i + k + np.uint64(1)]
        if utf8[i + k] == 0xC2:
            size = np.uint64(2 if second == 0x85 else 0)
        elif second == 0x80 and (utf8[i + k + np.uint64(2)] == 0xA8 or utf8[i + k + np.uint64(2)] == 0xA9):
            size = np.uint64(3)
        bits |= ((np.uint64(1) << size) - np.uint64(1)) << k
        if k + size > np.uint64(64):
            beyond = k + size - np.uint64(64)
    return bits, beyond


@inline
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
    utf8: Bytes, starts: Rows, ends: Rows, words: Any, weights: Floats, ngram_weights: Floats, longest: int
) -> Any:
    """The mean weight of each text's features, fastText's way: words it knows, ``</s>``, hashed word n-grams: ``float64[N]``.

    0 for a text without a feature. ``words`` and ``weights`` are the halves of `Folded.words`. Some hundred words at a time are
    cut, then hashed, then looked up, so that waits for memory overlap.
    """
    out = np.zeros(len(starts), np.float64)
    edges = np.empty(576, np.int64)
    before: Any = max(longest - 1, 0)
    keys, hashed = np.empty(300, np.uint64), np.empty(300 + before, np.int64)
    end_token = np.array([60, 47, 115, 62], np.uint8)
    end_hash, end_key = word_hash(end_token, np.uint64(0), np.uint64(4))
    buckets = np.uint64(len(ngram_weights))
    for row in range(len(starts)):
        total, features, earlier = 0.0, np.int64(0), np.int64(0)
        i, last, outside, spill = np.uint64(starts[row]), np.uint64(ends[row]), np.uint64(1), np.uint64(0)
        n, whole = np.int64(0), True
        while whole:
            while i < last and n < 448:  # where words begin and end
                wide, beyond = _wide_separators(utf8, i, last)
                spaces = block(utf8, i, last, SEPARATORS) | wide | spill
                spill = (np.uint64(1) << beyond) - np.uint64(1)
                if i + np.uint64(64) > last:
                    spaces |= ~np.uint64(0) << (last - i)
                n = put_edges(spaces, outside, i, edges, n)
                outside = spaces >> np.uint64(63)
                i += np.uint64(64)
            if i >= last and n & 1:
                edges[n] = ends[row]
                n += 1
            count = np.int64(0)
            for k in range(n >> 1):  # their hashes
                begin, stop = edges[2 * k], edges[2 * k + 1]
                if is_label(utf8, begin, stop):
                    continue
                h, key = word_hash(utf8, np.uint64(begin), np.uint64(stop))
                keys[count] = key
                hashed[earlier + count] = _signed(h)
                count += 1
                if key == end_key:  # fastText takes a literal </s> for the end
                    whole = False
                    break
            if whole and i >= last:
                keys[count] = end_key
                hashed[earlier + count] = _signed(end_hash)
                count += 1
                whole = False
            for k in range(count):  # words that the model knows
                slot = _slot(words, keys[k])
                if words[slot] != 0:
                    total += np.float64(weights[slot])
                    features += 1
            if before > 0 and buckets > np.uint64(0):
                for k in range(earlier, earlier + count):  # n-grams that end with a word
                    for first in range(max(k - before, 0), k):
                        gram = np.uint64(hashed[first])
                        for j in range(first + 1, k + 1):
                            gram = gram * np.uint64(116049371) + np.uint64(hashed[j])
                        bucket = gram % np.uint64(2_000_000) if buckets == np.uint64(2_000_000) else gram % buckets
                        total += np.float64(ngram_weights[bucket])
                        features += 1
                kept: Any = min(earlier + count, before)
                for k in range(kept):
                    hashed[k] = hashed[earlier + count - kept + k]
                earlier = kept
            if n > 0:
                edges[0] = edges[n - 1]
            n &= 1
        if features > 0:
            out[row] = total / features
    return out
