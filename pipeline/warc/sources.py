"""The unpacked bytes of an archive as a window that moves on: of a stretch of plain records, or of frames one after the other.

Invariants:

- Places are offsets in the file for `Plain`, and in what the frames unpack to for `Packed`. Bytes before ``base`` are gone.
- A window never goes back, so that all of its work is linear in the bytes.
- A frame that follows another without a gap continues it: records may go on from one gzip member into the next.
"""

import re
from typing import Any

from goldwash.pipeline.warc.frames import BLANKS, CHUNK, MAGICS, PIECE, Frame, Raw
from goldwash.pipeline.warc.heads import SIGN, begins

LOOK = 1 << 14
"""Bytes that show whether a record's head begins; an ARC line has at most about 12,600."""
HEAD_BYTES = 1 << 20
"""A head that has no empty line within so many bytes is none."""
NEWLINES = re.compile(rb"[\r\n]*+")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_PLAIN_SIGN = re.compile(SIGN.pattern + b"|" + b"|".join(re.escape(magic) for magic in MAGICS), re.MULTILINE)


class Source:
    """A window on unpacked bytes."""

    def __init__(self, raw: Raw, base: int) -> None:
        self.raw, self.base, self.data = raw, base, bytearray()
        self.ended = False
        self._empty_line = -1

    @property
    def filled(self) -> int:
        """Where the bytes that are held end."""
        return self.base + len(self.data)

    def more(self) -> bytes:
        """The next bytes; none at the end."""
        raise NotImplementedError

    def opens(self, place: int) -> bool:
        """Whether a record seems to begin at a place that a sign was found at."""
        raise NotImplementedError

    def fill(self, place: int) -> bool:
        """Hold the bytes up to a place; whether there are so many."""
        while self.filled < place and not self.ended:
            data = self.more()
            self.data += data
            self.ended = not data
        return self.filled >= place

    def drop(self, place: int) -> None:
        """Release the bytes before a position, except the last one: it shows whether a line begins there."""
        count = min(place - 1 - self.base, len(self.data))
        if count > 0:
            del self.data[:count]
            self.base += count

    def at(self, place: int, count: int) -> bytes:
        """Bytes at a place, fewer at the end."""
        self.fill(place + count)
        return bytes(self.data[place - self.base : place - self.base + count])

    def after(self, pattern: "re.Pattern[bytes]", place: int) -> int:
        """Where a run of bytes that begins at a place ends."""
        while True:
            self.fill(place + 1)
            end = self.base + pattern.match(self.data, place - self.base).end()  # type: ignore[union-attr]  # possibly of none
            if end < self.filled or self.ended:
                return end
            place = end
            self.drop(place)

    def blanks_end(self, place: int) -> int:
        """The first place that holds more than newlines, spaces and zeros."""
        return self.after(BLANKS, place)

    def begins(self, place: int) -> bool:
        """Whether a record's head begins at a place."""
        self.fill(place + LOOK)
        return begins(self.data, place - self.base)

    def empty_line(self, place: int) -> int:
        """Where the first empty line from a place on ends; -1 if there is none within `HEAD_BYTES`."""
        if self._empty_line <= place:
            at = place
            while True:
                self.fill(at + LOOK)
                found = _EMPTY_LINE.search(self.data, max(place, at - 2) - self.base)
                if found or self.ended or self.filled - place > HEAD_BYTES:
                    self._empty_line = self.base + found.end() if found else self.filled + HEAD_BYTES
                    break
                at = self.filled
        return self._empty_line if self._empty_line <= min(place + HEAD_BYTES, self.filled) else -1

    def next_start(self, place: int, signs: "re.Pattern[bytes]" = SIGN) -> int:
        """The first place from one on where a record seems to begin; the end where none does."""
        while True:
            self.drop(place)
            self.fill(place + CHUNK)
            found = signs.search(self.data, place - self.base)
            if found is None:
                if self.ended:
                    return self.filled
                place = max(place, self.filled - LOOK)
                if self.filled - place >= LOOK:
                    self.fill(self.filled + PIECE)
                continue
            place = self.base + found.start()
            if self.opens(place):
                return place
            place += 1


class Plain(Source):
    """A stretch of the file that is not packed as a whole; frames may follow its records.

    ``plain_from``: before that place only frames are looked for.
    """

    def __init__(self, raw: Raw, start: int, plain_from: int = 0) -> None:
        super().__init__(raw, start)
        self.plain_from = plain_from
        self.budget: Any = None

    def more(self) -> bytes:
        """The next bytes."""
        return self.raw.read(self.filled, CHUNK)

    def next_start(self, place: int, signs: "re.Pattern[bytes]" = _PLAIN_SIGN) -> int:
        """The same, for frames too."""
        return super().next_start(place, signs)

    def opens(self, place: int) -> bool:
        """Whether a record or a frame of records begins there."""
        self.fill(place + LOOK)
        at = place - self.base
        if self.data.startswith(MAGICS, at):
            return begins(self.raw.opening(place).lstrip(b"\r\n"))
        return place >= self.plain_from and begins(self.data, at)

    def jump(self, place: int) -> None:
        """Go on at a place, without the bytes before it."""
        if place > self.filled:
            self.base, self.data, self.ended = place, bytearray(), False
            self.fill(place + 1)


class Packed(Source):
    """Frames that follow one another, as what they unpack to."""

    def __init__(self, frame: Frame, unpacked: bytes = b"") -> None:
        super().__init__(frame.raw, 0)
        self.frame, self.data = frame, bytearray(unpacked)
        self.frames: list[tuple[int, Frame]] = [(0, self.frame)]
        """Frames whose bytes may still be held, with the places where they begin."""

    def more(self) -> bytes:
        """The next bytes, of the next frame where one ends."""
        while not (data := self.frame.read()):
            if self.frame.end is None or not self.raw.packed(self.frame.end):
                return b""
            self.frame = self.raw.frame(self.frame.end)
            if self.frames[-1][0] == self.filled:  # the frame before was empty
                self.frames.pop()
            self.frames.append((self.filled, self.frame))
        return data

    def drop(self, place: int) -> None:
        """Let go of bytes, and of the frames that hold none of the others."""
        super().drop(place)
        gone = 0
        while gone + 1 < len(self.frames) and self.frames[gone + 1][0] < place:
            gone += 1
        del self.frames[:gone]

    def opens(self, place: int) -> bool:
        """Whether a record begins there."""
        return self.begins(place)

    def frame_of(self, place: int) -> tuple[int, Frame]:
        """The frame that the byte at a place comes from, and where it begins."""
        return next((each for each in reversed(self.frames) if each[0] <= place), self.frames[0])

    def boundary(self, after: int, before: int) -> int:
        """The first place between two, at which a frame begins with a record's head; -1 for none."""
        for place, _ in self.frames:
            if after < place < before and self.begins(self.after(NEWLINES, place)):
                return place
        return -1

    @property
    def broken(self) -> str:
        """Why the frames cannot be read further."""
        return self.frame.broken
