"""`Input`: one file that a stage reads, and how to read it; plain values, so that it travels with a task.

Invariants: `identity` changes with everything that decides the file's documents: its content, the roles of its columns, the
row groups that are read, and the name from which missing ids are generated.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

OnNull = Literal["error", "drop", "empty"]


@dataclass(frozen=True)
class Reading:
    """Which columns hold the text, the id and the URL, and what becomes of a null text.

    A name with dots, as ``metadata.url``, is a field inside an object. ``on_null``: ``error`` refuses the file, ``drop``
    drops the document by the rule ``null_text``, ``empty`` makes it an empty text.
    """

    text: str = "text"
    id: str = "id"
    url: str = "url"
    on_null: OnNull = "error"


PLAIN = Reading()


@dataclass(frozen=True)
class Input:
    """A file that is read: an archive, or a file of documents.

    ``stamp`` changes with its content: the SHA-256 of a shard that a stage wrote, else name, size and time. ``name`` is what
    the file is called in ids and in the column ``archive``: its path below the folder that was named, or its URL. ``groups``
    is a range of a Parquet file's row groups, from the first to before the last; None is all of them.
    """

    path: str
    bytes: int
    stamp: str
    rows: int | None = None
    name: str = ""
    reading: Reading = PLAIN
    groups: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.reading, Mapping):
            object.__setattr__(self, "reading", Reading(**self.reading))
        if self.groups is not None:
            object.__setattr__(self, "groups", tuple(self.groups))

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the content, where it is known."""
        return self.stamp if len(self.stamp) == 64 and not set(self.stamp) - set("0123456789abcdef") else None

    @property
    def label(self) -> str:
        """The prefix of generated ids: the name, or the last part of the path."""
        return self.name or self.path.rstrip("/").rsplit("/", 1)[-1]

    def identity(self) -> list[Any]:
        """Plain values that change with the documents."""
        more: dict[str, Any] = {}
        if self.sha256 is None and self.name:
            more["name"] = self.name
        if self.reading != PLAIN:
            more["reading"] = asdict(self.reading)
        if self.groups is not None:
            more["groups"] = list(self.groups)
        return [self.stamp, self.rows, *([more] if more else [])]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without defaults; ``Input(**values)`` is the input again."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["reading"] = asdict(self.reading) if self.reading != PLAIN else None
        usual = {"rows": None, "name": "", "reading": None, "groups": None}
        return {key: value for key, value in values.items() if key not in usual or value != usual[key]}
