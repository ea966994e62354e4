"""Reports: what happened to documents, in numbers that add up.

Invariants: reports form a monoid with ``+`` and the zero ``Report()``. One cannot be made if documents or bytes are missing:
``read = kept + dropped`` for documents, ``read = kept + dropped + edited`` for bytes. A dropped document counts with the bytes
that it had when it was dropped; bytes that edits had removed before count under the edits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldwash.errors import GoldwashError


class ReportError(GoldwashError, AssertionError):
    """Documents or bytes are not accounted for: a bug in goldwash or in a plug-in."""


@dataclass(frozen=True)
class Count:
    """A number of documents, and their bytes of text."""

    documents: int = 0
    bytes: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.documents + other.documents, self.bytes + other.bytes)


def _add(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{k: one[k] + v if k in one else v for k, v in other.items()}}


@dataclass(frozen=True)
class Report:
    """Documents read, kept, and dropped by rule.

    ``edited``: by edit, the documents whose length it changed and the bytes that it removed. ``notes``: further counts that add
    up.
    """

    read: Count = Count()
    kept: Count = Count()
    dropped: Mapping[str, Count] = field(default_factory=dict)
    edited: Mapping[str, Count] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dropped = sum(self.dropped.values(), Count())
        edited = sum(count.bytes for count in self.edited.values())
        if self.read.documents != self.kept.documents + dropped.documents:
            raise ReportError(
                f"{self.read.documents} documents read, but {self.kept.documents} kept + {dropped.documents} dropped"
            )
        if self.read.bytes != self.kept.bytes + dropped.bytes + edited:
            raise ReportError(
                f"{self.read.bytes} bytes read, but {self.kept.bytes} kept + {dropped.bytes} dropped + {edited} edited away"
            )

    def __add__(self, other: "Report") -> "Report":
        return Report(
            self.read + other.read,
            self.kept + other.kept,
            _add(self.dropped, other.dropped),
            _add(self.edited, other.edited),
            _add(self.notes, other.notes),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, sorted by name, so that equal reports are equal bytes."""

        def counts(table: Mapping[str, Count]) -> dict[str, Any]:
            return {name: vars(table[name]) for name in sorted(table)}

        return {
            "read": vars(self.read),
            "kept": vars(self.kept),
            "dropped": counts(self.dropped),
            "edited": counts(self.edited),
            "notes": {name: self.notes[name] for name in sorted(self.notes)},
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Report":
        """The inverse of `to_dict`."""

        def counts(table: Mapping[str, Any]) -> dict[str, Count]:
            return {name: Count(**count) for name, count in table.items()}

        return Report(
            Count(**values["read"]),
            Count(**values["kept"]),
            counts(values["dropped"]),
            counts(values["edited"]),
            values["notes"],
        )
