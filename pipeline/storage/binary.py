"""Write files that are not Parquet, with the digest that a task's marker records.

Invariants: a file appears whole or not at all. Its digest is that of the bytes that were written.
"""

import hashlib
from contextlib import suppress
from typing import Any, Protocol

from isal.isal_zlib import crc32

from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.failures import in_plain_words


class Digest(Protocol):
    """A hash of `hashlib`, or `Crc32`."""

    @property
    def name(self) -> str:
        """Its key in the facts of a file."""

    def update(self, data: Any, /) -> None:
        """Take further bytes."""

    def hexdigest(self) -> str:
        """The digest of all bytes so far."""


class Crc32:
    """The checksum of files that are read once and removed: it costs a twentieth of SHA-256 (30 GB/s and 1.8, 2026-11)."""

    name = "crc32"

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: Any, /) -> None:
        """Take further bytes."""
        self._value = crc32(data, self._value)

    def hexdigest(self) -> str:
        """Eight digits."""
        return f"{self._value:08x}"


class BinaryWriter:
    """Writes one file; held in memory: a buffer of ``buffer`` bytes. ``sync``: as for `atomic_write`."""

    def __init__(self, location: str, buffer: int = 1 << 20, digest: Digest | None = None, sync: bool = True) -> None:
        self.location, self.bytes, self.rows = location, 0, 0
        self._digest: Digest = digest or hashlib.sha256()
        self._whole = atomic_write(location, sync)
        half = self._whole.__enter__()
        try:
            with in_plain_words(location, writing=True, disk_only=True):
                self._file = open(half, "wb", buffering=buffer)  # noqa: SIM115 - commit and abandon close it
        except BaseException as error:
            with suppress(type(error)):
                self._whole.__exit__(type(error), error, error.__traceback__)
            raise

    def write(self, data: Any) -> None:
        """Append bytes, or the memory of an array."""
        view = memoryview(data)
        if not view.nbytes:
            return
        view = view.cast("B")
        with in_plain_words(self.location, writing=True, disk_only=True):
            self._file.write(view)
        self._digest.update(view)
        self.bytes += len(view)

    def commit(self) -> dict[str, Any]:
        """Publish the file; returns its rows (as its writer counted them), bytes and digest."""
        with in_plain_words(self.location, writing=True, disk_only=True):
            self._file.close()
        self._whole.__exit__(None, None, None)
        return {"rows": self.rows, "bytes": self.bytes, self._digest.name: self._digest.hexdigest()}

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(Exception):
            self._file.close()
        with suppress(RuntimeError):
            self._whole.__exit__(RuntimeError, RuntimeError("abandoned"), None)
