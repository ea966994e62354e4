"""Files of slices: what is written is read, in any pieces, on a disk and in a store; what changed is refused."""

import random
import shutil
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.storage import slices as module
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.slices import INDEX_BYTES, SliceWriter, opened_slices

CONTENT = [b"first", b"", b"\0" * 1000, bytes(range(256)) * 3, b"", b"last"]


def made(location: str, content: list[bytes]) -> dict[str, Any]:
    writer = SliceWriter(location)
    for data in content:
        writer.write([data[:3], data[3:]])
    return writer.commit()


@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_slices_are_read_as_they_were_written(content, data):
    location = f"memory://slices/{random.randrange(1 << 60)}"
    facts = made(location, content)
    assert facts["bytes"] == sum(map(len, content)) + INDEX_BYTES * len(content)
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, len(content)))
    piece = data.draw(st.sampled_from([1, 16, 1 << 20]))
    with pytest.MonkeyPatch.context() as patched, opened_slices(location, facts) as held:
        patched.setattr(module, "PIECE", piece)
        assert list(held.each(first, last)) == content[first:last]
        assert [held.read(n) for n in range(len(content))] == content
        assert held.size(first, last) == sum(map(len, content[first:last]))
        for n, expected in enumerate(content):
            stream, found = held.stream(n), b""
            while len(found) < len(expected):
                found += stream.array(min(piece, len(expected) - len(found)), np.uint8).tobytes()
            stream.close()
            assert found == expected
    fsspec.filesystem("memory").rm("/slices", recursive=True)


def test_arrays_of_any_kind_make_a_slice(tmp_path):
    writer = SliceWriter(str(tmp_path / "new" / "a.slices"))
    columns = [np.arange(5), np.arange(3, dtype=np.uint32), np.zeros(0), np.array([[1.5, 2.5]])]
    writer.write(columns)
    facts = writer.commit()
    with opened_slices(writer.location, facts) as held:
        assert held.read(0) == b"".join(column.tobytes() for column in columns)
    assert {"rows", "bytes", "slices", "sha256"} == set(facts)


def test_each_flipped_bit_is_noticed_by_who_reads_it(tmp_path):
    """Whether a slice is read whole or as a stream: every bit of a slice and of the index."""
    facts = made(str(tmp_path / "whole"), CONTENT)
    data = (tmp_path / "whole").read_bytes()
    ends = np.cumsum([0, *map(len, CONTENT)]).tolist()
    draw = random.Random(1)
    for bit in draw.sample(range(8 * len(data)), 300):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "flipped").write_bytes(flipped)
        for n, read in ((n, read) for n in range(len(CONTENT)) for read in (_whole, _streamed)):
            if bit // 8 >= ends[-1] or ends[n] <= bit // 8 < ends[n + 1]:
                with pytest.raises(DataError, match="is not what it was when this work was planned"):
                    read(tmp_path / "flipped", facts, n)
                shutil.move(tmp_path / "flipped.broken", tmp_path / "flipped")
            else:
                assert read(tmp_path / "flipped", facts, n) == CONTENT[n]


def _whole(file: Path, facts: dict[str, Any], n: int) -> bytes:
    with opened_slices(str(file), facts) as held:
        return held.read(n)


def _streamed(file: Path, facts: dict[str, Any], n: int) -> bytes:
    with opened_slices(str(file), facts) as held:
        stream = held.stream(n)
        data = stream.array(len(CONTENT[n]), np.uint8).tobytes()
        stream.close()
    return data


@pytest.mark.parametrize("cut", [1, 30, 1000])
def test_a_file_that_is_cut_off_or_longer_is_refused(cut, tmp_path):
    facts = made(str(tmp_path / "a"), CONTENT)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[:-cut])
    with pytest.raises(DataError, match=r"is not what it was .* run again"), opened_slices(str(tmp_path / "a"), facts):
        pass
    (tmp_path / "b").write_bytes(b"x" * cut + data)
    with pytest.raises(DataError, match=r"is not what it was .* run again"), opened_slices(str(tmp_path / "b"), facts):
        pass


@pytest.mark.parametrize("count", [10, 10_000, -1])
def test_a_stream_that_is_not_read_to_its_end_or_beyond_it_is_refused(count, tmp_path):
    facts = made(str(tmp_path / "a"), CONTENT)
    with opened_slices(str(tmp_path / "a"), facts) as held:
        stream = held.stream(3)
        with pytest.raises(DataError, match="is not what it was"):
            _ = stream.array(count, np.uint8), stream.close()


@pytest.mark.parametrize("error", [FileNotFoundError("/another"), PermissionError(13, "no"), ValueError("one's own")])
def test_errors_of_a_block_that_reads_slices_stay_its_own(error, tmp_path):
    facts = made(str(tmp_path / "a"), CONTENT)
    with pytest.raises(type(error)) as caught, opened_slices(str(tmp_path / "a"), facts):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("folder", ["", "memory://missing"])
def test_a_missing_file_is_named(folder, tmp_path):
    location = f"{folder or tmp_path}/sets-00001.slices"
    with (
        pytest.raises(DataError, match=r"sets-00001\.slices is missing: a pass has not run"),
        opened_slices(location, {"bytes": 12, "slices": 1, "sha256": "0" * 64}),
    ):
        pass


def test_nothing_is_there_before_the_end_or_after_an_error(tmp_path):
    writer = SliceWriter(str(tmp_path / "a"))
    writer.write([b"something"])
    assert not (tmp_path / "a").exists()
    writer.abandon()
    assert list(Path(tmp_path).iterdir()) == []
