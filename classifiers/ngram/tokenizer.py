"""Byte-level byte-pair tokenizers: texts as ids, and the raw bytes of each id.

Invariants: the bytes of a text's tokens, joined, are the text's bytes; `ByteTokenizer.encode` checks their number for every
text and refuses a tokenizer that changes texts. A token's bytes come from the byte-level alphabet, not from decoding, so that
half a character counts its bytes. A huge text is encoded in pieces, cut before a space, where every byte-level pattern ends a
token anyway. The `tokenizers` library trains and encodes; equal texts give an equal tokenizer.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.counts import Ids, Rows
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # goldwash's processes are its parallelism; the library warns on fork

VOCABULARY = 4096
TRAINED_ON = 20_000_000
"""Bytes of text that a tokenizer is trained on at most; more changes few merges."""
LONGEST_TOKEN = 32
PIECE = 1 << 20
"""Longest piece of a text that is encoded at once, in bytes."""
AT_ONCE = 1 << 21
"""Bytes that are encoded at once: the library needs about a hundred bytes per token."""


def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary, as in GPT-2's ``bytes_to_unicode``.

    >>> byte_alphabet()["Ġ"], byte_alphabet()["A"], len(byte_alphabet())
    (32, 65, 256)
    """
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(others)}


@dataclass(frozen=True, eq=False)
class ByteTokenizer:
    """A byte-level tokenizer by its ``tokenizer.json``. Raises `ModelError` when it is first used, if it is of another kind."""

    definition: str
    name: str = "the tokenizer"

    @staticmethod
    def train(texts: Iterable[str], vocabulary: int = VOCABULARY) -> "ByteTokenizer":
        """A tokenizer of at most ``vocabulary`` tokens, 256 of them bytes, from the first `TRAINED_ON` bytes of the texts.

        Raises `ModelError` for a vocabulary under 257.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        if vocabulary < 257:
            raise ModelError(
                f"a byte-level tokenizer has 256 bytes and at least one merge: expected at least 257 tokens, found {vocabulary}"
            )
        made: Any = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        trainer: Any = trainers.BpeTrainer(
            vocab_size=vocabulary,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
            max_token_length=LONGEST_TOKEN,
        )
        made.train_from_iterator(_beginning(texts), trainer)
        return ByteTokenizer(made.to_str())

    @staticmethod
    def load(path: str | Path) -> "ByteTokenizer":
        """The tokenizer of a ``tokenizer.json``; `ModelError` if there is none or it is no byte-level tokenizer."""
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"no tokenizer at {printable(path)} ({error}): give the path of a tokenizer.json") from error
        made = ByteTokenizer(text, printable(path))
        _ = made.pieces
        return made

    @cached_property
    def _made(self) -> Any:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_str(self.definition)
        except Exception as error:
            raise ModelError(
                f"{self.name} cannot be read ({printable(error, 200)}): give a tokenizer.json of the `tokenizers` library"
            ) from error

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The raw bytes of each token, by id; empty for an id that no text gives."""
        alphabet = byte_alphabet()
        added = {token.content for token in self._made.get_added_tokens_decoder().values()}
        vocabulary: dict[str, int] = self._made.get_vocab(with_added_tokens=True)
        out = [b""] * (max(vocabulary.values(), default=-1) + 1)
        for token, number in vocabulary.items():
            if token in added:
                out[number] = token.encode()
            elif all(character in alphabet for character in token):
                out[number] = bytes(alphabet[character] for character in token)
            else:
                raise ModelError(
                    f"{self.name}: token {number}, {printable(token, 40)}, is not written in the byte-level alphabet, so the "
                    "bytes of tokens are not known; give a byte-level tokenizer (GPT-2, Llama 3, Qwen, OLMo), or none"
                )
        if len({piece[0] for piece in out if len(piece) == 1}) < 256:
            raise ModelError(
                f"{self.name} has no token for some bytes, so that it cannot encode every text; give a byte-level tokenizer"
            )
        return tuple(out)

    @property
    def vocab(self) -> int:
        """How many ids there are."""
        return len(self.pieces)

    @cached_property
    def byte_counts(self) -> Rows:
        """Raw bytes of each token: ``int64[vocab]``."""
        return np.array([len(piece) for piece in self.pieces], np.int64)

    def encode(self, texts: Texts) -> tuple[Ids, Rows]:
        """The tokens of texts: ids ``int32[tokens]``, offsets ``int64[N + 1]``; an empty text has none.

        Raises `ModelError`, with the row, where the tokens' bytes are not the text's: the tokenizer normalises texts.
        """
        found: list[npt.NDArray[np.int32]] = []
        sizes = np.zeros(len(texts), np.int64)
        for rows, pieces in _batches(texts):
            for row, encoding in zip(rows, self._made.encode_batch_fast(pieces, add_special_tokens=False), strict=True):
                ids = np.array(encoding.ids, np.int32)
                found.append(ids)
                sizes[row] += len(ids)
        ids = np.concatenate([np.zeros(0, np.int32), *found])
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._check(texts, ids, offsets)
        return ids, offsets

    def _check(self, texts: Texts, ids: Ids, offsets: Rows) -> None:
        sums = np.concatenate([[0], np.cumsum(self.byte_counts[ids])])
        wrong = np.flatnonzero(sums[offsets[1:]] - sums[offsets[:-1]] != texts.byte_counts)
        if len(wrong):
            row = int(wrong[0])
            raise ModelError(
                f"{self.name} changes texts: the {int(texts.byte_counts[row]):,} bytes of row {row} became tokens of "
                f"{int(sums[offsets[row + 1]] - sums[offsets[row]]):,}, so that bits per byte would be wrong; give a tokenizer "
                "without a normalizer and without a prefix space"
            )


def _beginning(texts: Iterable[str]) -> Iterator[str]:
    left = TRAINED_ON
    for text in texts:
        if left <= 0:
            return
        piece = text[:left]
        left -= len(piece.encode())
        yield piece


def _batches(texts: Texts) -> Iterator[tuple[list[int], list[str]]]:
    """The rows and pieces to encode at once."""
    rows: list[int] = []
    pieces: list[str] = []
    size = 0
    for row in range(len(texts)):
        for piece in cut(texts.utf8[texts.starts[row] : texts.ends[row]].tobytes()):
            rows.append(row)
            pieces.append(piece.decode())
            size += len(piece)
            if size >= AT_ONCE:
                yield rows, pieces
                rows, pieces, size = [], [], 0
    if rows:
        yield rows, pieces


def cut(text: bytes, longest: int = 0) -> Sequence[bytes]:
    """A text in pieces of at most ``longest`` bytes (0: `PIECE`), each cut before a space that follows no white space.

    Where a piece has no such place, it is cut between two characters. An empty text has no piece.

    >>> cut(b"gold wash", 6), cut(b"", 6)
    ([b'gold', b' wash'], [])
    """
    longest = longest or PIECE
    out, at = list[bytes](), 0
    while len(text) - at > longest:
        end = at + longest
        space = text.rfind(b" ", at + 1, end + 1)
        while space > at and text[space - 1 : space].isspace():
            space = text.rfind(b" ", at + 1, space)
        if space > at:
            end = space
        else:
            while end > at + 1 and text[end] & 0xC0 == 0x80:
                end -= 1
        out.append(text[at:end])
        at = end
    if at < len(text):
        out.append(text[at:])
    return out
