"""The layout of fastText's model files, checked before fastText or an allocation depends on it.

Invariants:

- A file is hostile until `Reader.check` has returned: every count, size and index in it agrees with the others and with the
  file's length. fastText trusts them, and crashes, divides by zero or allocates terabytes.
- Nothing is allocated by a number of the file before that number is known to fit the file.

The layout is that of ``fasttext/src/fasttext.cc``, ``args.cc``, ``dictionary.cc``, ``densematrix.cc``, ``quantmatrix.cc`` and
``productquantizer.cc`` (0.9.2), little-endian. Versions 11 and 12 are read, as by fastText.
"""

import struct
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from goldwash.errors import GoldwashError
from goldwash.text_output import printable

Floats = npt.NDArray[np.float32]

MAGIC, VERSIONS = 793712314, (11, 12)
HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VERSUS_ALL = 1, 2, 3, 4
SKIPGRAM, CBOW, SUPERVISED = 1, 2, 3
ARGUMENTS = (
    "dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket", "minn", "maxn", "lr_update", "t",
)  # fmt: skip
LONGEST_NGRAM = 64
"""More than any model has; time and memory grow with the length of n-grams."""
LARGEST_COUNT = 10**15
"""fastText's Huffman tree takes this for a node that does not exist yet."""
CENTROIDS = 256


class ModelError(GoldwashError, ValueError):
    """A file that is not a usable model, or a model that cannot do what was asked; the message gives the cure."""


class Reader:
    """Reads a model file from its beginning: arguments, dictionary, input matrix, output matrix."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.shown = printable(path)
        self.file: BinaryIO = open(path, "rb")  # noqa: SIM115  (closed by __exit__)
        try:
            self.length = Path(path).stat().st_size
            self._read_head()
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _read_head(self) -> None:
        magic, version = self.unpack("<ii")
        if magic != MAGIC or version not in VERSIONS:
            raise ModelError(
                f"{self.shown} is not a fastText model that can be read: it begins with {magic}, {version}; expected "
                f"{MAGIC} and version 11 or 12"
            )
        a = self.arguments = dict(zip(ARGUMENTS, self.unpack("<12id"), strict=True))
        if version == 11 and a["model"] == SUPERVISED:
            a["maxn"] = 0  # as fastText does: old supervised models have no character n-grams
        self.size, self.words, self.labels, _, self.pruned = self.unpack("<iiiqq")
        self.ensure(a["model"] in (SKIPGRAM, CBOW, SUPERVISED), f"it has the model kind {a['model']}; expected 1 to 3")
        self.ensure(a["loss"] in range(HIERARCHICAL, ONE_VERSUS_ALL + 1), f"it has the loss {a['loss']}; expected 1 to 4")
        self.ensure(a["dim"] > 0, f"it has {a['dim']} dimensions")
        self.ensure(a["bucket"] >= 0, f"it has {a['bucket']} buckets")
        lengths = [a["word_ngrams"], a["minn"], a["maxn"]]
        self.ensure(min(lengths) >= 0, f"it has n-grams of {lengths}")
        ngrams = a["word_ngrams"] > 1 or a["maxn"] > 0
        self.ensure(a["bucket"] > 0 or not ngrams, "it has n-grams but no buckets")
        self.ensure(max(a["word_ngrams"], a["maxn"]) <= LONGEST_NGRAM, f"it has n-grams of over {LONGEST_NGRAM}")
        counts = f"{self.size} entries, {self.words} words and {self.labels} labels"
        self.ensure(min(self.words, self.labels) >= 0 and self.size == self.words + self.labels > 0, f"it has {counts}")
        self.ensure(self.labels > 0 or a["model"] != SUPERVISED, f"it has {counts}")
        self.ensure(self.size * 10 <= self.length, f"it has {counts} in {self.length:,} bytes")
        self.ensure(-1 <= self.pruned <= a["bucket"], f"it has {self.pruned} pruned buckets of {a['bucket']}")
        self.ensure(self.pruned * 8 <= self.length, f"it has {self.pruned} pruned buckets in {self.length:,} bytes")

    def ensure(self, right: bool, fault: str) -> None:
        """Raise `ModelError` unless ``right``."""
        if not right:
            raise ModelError(f"{self.shown} is not a whole fastText model: {fault}; copy it again, or make it again")

    def unpack(self, form: str) -> tuple[Any, ...]:
        """The next values; `ModelError` if the file ends before them."""
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _take(self, count: int) -> bytes:
        if count > self.length - self.file.tell():
            raise self._truncated()
        return self.file.read(count)

    def _skip(self, count: int) -> None:
        if count > self.length - self.file.tell():
            raise self._truncated()
        self.file.seek(count, 1)

    def _truncated(self) -> ModelError:
        return ModelError(f"{self.shown} is truncated at byte {self.length}: copy it again, or train it again")

    def entries(self) -> list[tuple[str, int, int]]:
        """The dictionary: each entry's text, kind (0: word, 1: label) and count; words come first."""
        found: list[tuple[str, int, int]] = []
        held, at = b"", 0
        while len(found) < self.size:
            end = held.find(b"\0", at)
            if end < 0 or end + 10 > len(held):
                more = self.file.read(1 << 20)
                if not more:
                    raise self._truncated()
                held, at = held[at:] + more, 0
                continue
            count, kind = struct.unpack_from("<qb", held, end + 1)
            if kind != (len(found) >= self.words) or not 0 <= count < LARGEST_COUNT:
                name = printable(held[at:end].decode("utf-8", "replace"), 40)
                self.ensure(False, f"its entry {len(found)} ({name}) has kind {kind} and count {count}")
            text = held[at:end].decode("utf-8", "replace")
            self.ensure(kind == 0 or "\ufffd" not in text, f"its label {printable(text, 40)} is not UTF-8")
            found.append((text, kind, count))
            at = end + 10
        self.file.seek(at - len(held), 1)
        total = sum(count for _, kind, count in found if kind == 1)
        self.ensure(total < LARGEST_COUNT, f"its labels' counts add up to {total}")
        return found

    def pruned_buckets(self) -> npt.NDArray[np.int32]:
        """The buckets that pruning left and their rows: ``int32[*, 2]``; after `entries`."""
        count = max(self.pruned, 0)
        pairs = np.frombuffer(self._take(count * 8), "<i4").reshape(count, 2)
        inside = (pairs >= 0).all() and (pairs[:, 0] < self.arguments["bucket"]).all() and (pairs[:, 1] < count).all()
        self.ensure(bool(inside), "a pruned bucket is out of range")
        return pairs

    @property
    def rows(self) -> int:
        """The rows of the input matrix that the dictionary and the buckets need."""
        return int(self.words + (self.arguments["bucket"] if self.pruned < 0 else self.pruned))

    def input(self) -> tuple[bool, int]:
        """Whether the input matrix is quantised, and the byte at which it begins; skips it; after `pruned_buckets`.

        `check_dense_input` checks a dense matrix, `unpacked_rows` reads a quantised one.
        """
        (self.quantised,) = self.unpack("<?")
        self.ensure(self.quantised or self.pruned < 0, "it is pruned but not quantised")
        begins = self.file.tell() + (0 if self.quantised else 16)
        if self.quantised:
            self._skip_quantised("input", self.rows)
        else:
            self._skip_dense("input", self.rows)
        return self.quantised, begins

    def _skip_dense(self, name: str, rows: int) -> None:
        found = self.unpack("<qq")
        expected = (rows, self.arguments["dim"])
        self.ensure(found == expected, f"its {name} matrix is {found[0]} x {found[1]}; expected {expected[0]} x {expected[1]}")
        self._skip(rows * expected[1] * 4)

    def _skip_quantised(self, name: str, rows: int) -> None:
        norms, found, columns, codes = self.unpack("<?qqi")
        dim = self.arguments["dim"]
        self.ensure((found, columns) == (rows, dim), f"its {name} matrix is {found} x {columns}; expected {rows} x {dim}")
        self._skip(max(codes, 0))
        pieces = self._skip_quantiser(name, dim)
        self.ensure(codes == rows * pieces, f"its {name} matrix has {codes} codes; expected {rows} x {pieces}")
        if norms:
            self._skip(rows)
            self._skip_quantiser(f"{name} norms", 1)

    def _skip_quantiser(self, name: str, dim: int) -> int:
        """Skip a product quantiser; the number of pieces of a vector."""
        found, pieces, size, last = self.unpack("<4i")
        right = found == dim and 0 < size <= dim and pieces == -(-dim // size) and last == dim - (pieces - 1) * size
        self.ensure(right, f"its {name} quantiser has {found} dimensions in {pieces} pieces of {size} and {last}")
        self._finite(name, np.frombuffer(self._take(dim * CENTROIDS * 4), "<f4"))
        return int(pieces)

    def _finite(self, name: str, values: Floats) -> None:
        self.ensure(bool(np.isfinite(values).all()), f"its {name} matrix has values that are not finite")

    def output(self) -> Floats | None:
        """The output matrix, ``float32[labels or words, dim]``; None if it is quantised; after `input`."""
        rows = self.labels if self.arguments["model"] == SUPERVISED else self.words
        (quantised,) = self.unpack("<?")
        if self.quantised and quantised:
            self._skip_quantised("output", rows)
            return None
        self._skip_dense("output", rows)
        self.file.seek(-rows * self.arguments["dim"] * 4, 1)
        values = np.frombuffer(self._take(rows * self.arguments["dim"] * 4), "<f4").reshape(rows, -1).copy()
        self._finite("output", values)
        return values

    def check(self, block: int = 1 << 22) -> None:
        """Read the file to its end; `ModelError` names the first thing in it that is wrong."""
        self.entries()
        self.pruned_buckets()
        quantised, begins = self.input()
        if not quantised:
            self.check_dense_input(begins, block)
        self.output()

    def check_dense_input(self, begins: int, block: int = 1 << 22) -> None:
        """`ModelError` if the dense input matrix that begins at this byte has a value that is not finite."""
        values = np.memmap(self.path, "<f4", "r", begins, (self.rows * self.arguments["dim"],)) if self.rows else _NOTHING
        for at in range(0, len(values), block):
            self._finite("input", values[at : at + block])

    def unpacked_rows(self, begins: int, wanted: npt.NDArray[np.int64]) -> Floats:
        """Rows of the quantised input matrix that begins at this byte, as fastText unpacks them: ``float32[N, dim]``.

        A row is the concatenation of one centroid per piece, times the row's norm if norms are quantised too (fastText's
        ``quantmatrix.cc``). The file's position stays where it is. After `input`.
        """
        at = self.file.tell()
        self.file.seek(begins)
        norms, rows, dim, size = self.unpack("<?qqi")
        codes = np.frombuffer(self._take(size), np.uint8).reshape(rows, -1)[wanted]
        _, pieces, width, _ = self.unpack("<4i")
        values = np.frombuffer(self._take(dim * CENTROIDS * 4), "<f4")
        out = np.empty((len(wanted), dim), np.float32)
        for piece in range(pieces):
            first, last = piece * width, min((piece + 1) * width, dim)
            centroids = values[first * CENTROIDS : last * CENTROIDS].reshape(CENTROIDS, last - first)
            out[:, first:last] = centroids[codes[:, piece]]
        if norms:
            codes = np.frombuffer(self._take(rows), np.uint8)[wanted]
            self.unpack("<4i")
            out *= np.frombuffer(self._take(CENTROIDS * 4), "<f4")[codes][:, None]
        self.file.seek(at)
        return out

    def foldable(self) -> bool:
        """Whether this is a supervised softmax model of two labels, with dense rows and no character n-grams."""
        a = self.arguments
        return bool(
            a["model"] == SUPERVISED and a["loss"] == SOFTMAX and self.labels == 2 and a["maxn"] <= 0 and self.pruned < 0
        )


_NOTHING: Floats = np.zeros(0, np.float32)
