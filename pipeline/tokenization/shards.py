"""A packed shard, as the writer of a format receives it; and what a format is.

Invariants: a format writes each shard by itself, in any order and on any machine, and then the files of the whole from the
shards' facts. It opens files by `Opener` alone. Equal shards give equal bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.tokenization.token_shards import Vocabulary

Numbers = npt.NDArray[np.int64]


class File(Protocol):
    """A file that is written from its beginning to its end."""

    def write(self, data: Any) -> None:
        """Append bytes, or the memory of an array."""
        ...


Opener = Callable[[str], File]
"""Opens a file by its name in the format's folder; it appears whole when the task ends well."""


@dataclass(frozen=True)
class PackedShard:
    """Consecutive rows of the order: ``ids`` of all, ``lengths: int64[N]``, and the pieces of documents in them.

    ``pieces``: in order, ``start`` and ``end`` counted from the shard's first token.
    """

    number: int
    ids: npt.NDArray[Any]
    lengths: Numbers
    pieces: pa.Table
    vocabulary: Vocabulary

    @property
    def name(self) -> str:
        """Its number in five digits or more."""
        return f"{self.number:05d}"

    def mask(self) -> npt.NDArray[np.bool_]:
        """Which tokens count in the loss: ``bool[T]``; false for tags, and for padding."""
        counted = np.zeros(len(self.ids) + 1, np.int64)
        starts, ends = self.bounds()
        np.add.at(counted, starts + np.asarray(self.pieces["masked"], np.int64), 1)
        np.add.at(counted, ends, -1)
        return np.cumsum(counted[:-1]) > 0

    def bounds(self) -> tuple[Numbers, Numbers]:
        """Where pieces begin and end: ``int64[P]`` each."""
        return np.asarray(self.pieces["start"], np.int64), np.asarray(self.pieces["end"], np.int64)

    def document_ends(self) -> Numbers:
        """Where documents end, by their end-of-text tokens: ``int64[E]``, each one past the token."""
        _, ends = self.bounds()
        return ends[self.ids[ends - 1] == self.vocabulary.end] if len(ends) else ends

    def facts(self) -> dict[str, Any]:
        """What the files of the whole say of it; ``length``: that of its rows, None where they differ."""
        lengths = set(self.lengths.tolist())
        return {"rows": len(self.lengths), "tokens": len(self.ids), "length": lengths.pop() if len(lengths) == 1 else None}


Facts = Sequence[Mapping[str, Any]]
"""The facts of all shards, in order: those of `PackedShard.facts`, and ``files``: the bytes and SHA-256 of each file by its
name."""


def no_files(_shards: Facts, _vocabulary: Vocabulary, _masked: bool) -> dict[str, bytes]:
    """A format that has no files of the whole."""
    return {}


@dataclass(frozen=True)
class TokenFormat:
    """A training stack's format."""

    name: str
    write: Callable[[PackedShard, Opener, bool], None]
    """Writes a shard; the last argument: whether some tokens are masked out of the loss."""
    files: Callable[[Facts, Vocabulary, bool], Mapping[str, bytes]] = no_files
    """The files of the whole, by name."""
    extra: int = 0
    """Tokens that a sequence has beyond the model's context: the stack shifts inside the row."""
    documents: bool = True
    """Whether rows may be whole documents of any length."""
    masks: bool = False
    """Whether it says which tokens count in the loss."""
    largest_vocabulary: int = 1 << 31
    """The largest vocabulary that it can write."""
    largest_shard: int | None = None
    """The most tokens that a shard may have."""
    largest_bytes: int | None = None
    """The most bytes that the ids and the mask of a shard may have."""

    def check(self, vocabulary: Vocabulary, sequence_length: int | None, shard_tokens: int) -> None:
        """Refuse what the format cannot hold; a `RecipeError` names the format, the limit and the cure."""
        if vocabulary.size > self.largest_vocabulary:
            raise RecipeError(
                f"format {self.name} holds ids below {self.largest_vocabulary:,}, and {vocabulary.name} has "
                f"{vocabulary.size:,}: choose another format or a smaller vocabulary",
                ("formats",),
            )
        if sequence_length is None and not self.documents:
            raise RecipeError(
                f"format {self.name} holds sequences of one length, and sequence_length is null: give a number, such as 2048",
                ("sequence_length",),
            )
        if self.largest_shard is not None and shard_tokens > self.largest_shard:
            raise RecipeError(
                f"format {self.name} holds at most {self.largest_shard:,} tokens per file, and shard_tokens is "
                f"{shard_tokens:,}: give less",
                ("shard_tokens",),
            )
        width = vocabulary.dtype.itemsize + (self.masks and bool(vocabulary.tag))
        if self.largest_bytes is not None and shard_tokens * width > self.largest_bytes:
            raise RecipeError(
                f"format {self.name} holds at most {self.largest_bytes:,} bytes per file, and shard_tokens is {shard_tokens:,} "
                f"of {width} bytes: give {self.largest_bytes // width:,} or less",
                ("shard_tokens",),
            )

    def check_shard(self, shard: PackedShard) -> None:
        """Refuse a shard that came out too large: its documents are much longer than others."""
        if self.largest_shard is not None and len(shard.ids) > self.largest_shard:
            raise DataError(
                f"shard {shard.number} has {len(shard.ids):,} tokens, and format {self.name} holds at most "
                f"{self.largest_shard:,}: lower shard_tokens, or give a sequence_length, which cuts documents"
            )
