"""The parameters of the stage mix, which all of its passes read.

Invariants: everything that can be refused without opening a file is refused when the stage is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from goldwash.credentials import kept_apart
from goldwash.pipeline.mixing.quantities import quantity
from goldwash.pipeline.mixing.sources import MOST_COPIES, Source, sources_of
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.source import Input

INPUT = "input"
"""The name of the one source of a mixture without ``sources``."""

Unit = Literal["tokens", "bytes", "documents"]


@dataclass(frozen=True)
class Mixture(Stage):
    """The parameters of the stage mix, which its passes read."""

    sources: Mapping[str, Any] = field(default_factory=dict)
    """The sources by name (docs/mixing.md). Empty: the input alone."""
    tokens: str | float | None = None
    """The total in tokens, as 8.2B, or ``all``: as much as the weights allow without repeating anything. Null: see unit."""
    bytes: str | float | None = None
    """The total in bytes of text instead, or ``all``."""
    documents: str | float | None = None
    """The total in documents instead, or ``all``. Without any of the three: all, weighed in tokens."""
    bytes_per_token: float | None = None
    """An estimate of tokens for files without a column ``token_count``, as 4.5."""
    max_repeats: float = 4.0
    """The most repeats of a source that sets no ``max_repeats`` of its own."""
    columns: tuple[str, ...] | None = None
    """The columns to keep besides id, url and text. Null: all."""
    seed: int = 0
    """The seed of the draws and of the shuffle."""
    shard_bytes: int = 256 << 20
    """The size of an output shard, on average."""

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.tokens, self.bytes, self.documents)) > 1:
            raise RecipeError("stage mix: give one of tokens, bytes and documents, and set the others to null", ("tokens",))
        try:
            _ = self.total
        except ValueError as error:
            raise RecipeError(f"stage mix: {self.unit} is {self.given!r}: {error}, or all", (self.unit,)) from error
        if self.bytes_per_token is not None and not 0.1 <= self.bytes_per_token <= 1000:
            raise RecipeError(
                f"stage mix: bytes_per_token is {self.bytes_per_token}; expected a number such as 4.5", ("bytes_per_token",)
            )
        if not 0 < self.max_repeats <= MOST_COPIES:
            raise RecipeError(
                f"stage mix: max_repeats is {self.max_repeats}; expected more than 0 and up to {MOST_COPIES}", ("max_repeats",)
            )
        if self.shard_bytes < 1:
            raise RecipeError(f"stage mix: shard_bytes is {self.shard_bytes}; expected 1 or more", ("shard_bytes",))
        _ = self.parsed

    @property
    def unit(self) -> Unit:
        """The unit of the weights and of the total."""
        return "bytes" if self.bytes is not None else "documents" if self.documents is not None else "tokens"

    @property
    def given(self) -> str | float | None:
        """The total as given."""
        return self.tokens if self.tokens is not None else self.bytes if self.bytes is not None else self.documents

    @property
    def total(self) -> float | None:
        """The total; None for all."""
        return None if self.given is None or self.given == "all" else quantity(self.given)

    @cached_property
    def parsed(self) -> tuple[Source, ...]:
        """The sources."""
        return sources_of(self.sources or {INPUT: None}, self.max_repeats)

    @cached_property
    def own(self) -> tuple[tuple[int, Input], ...]:
        """The files of the sources that name their input, each with its source's number."""
        return tuple(
            (n, file)
            for n, source in enumerate(self.parsed)
            if source.input
            for file in find_shards([kept_apart(name) for name in source.input], source.reading)
        )
