"""Single bits flipped at random places of every kind of file that goldwash reads back: noticed, or without effect."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.filters import fetch
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import opened_file, opened_output

KEYS = pa.schema([("id", pa.string()), ("band", pa.binary(8)), ("weight", pa.float64())])
rng = random.Random(3)
TABLE = pa.table(
    [[f"urn:uuid:{n}" for n in range(500)], [rng.randbytes(8) for _ in range(500)], [rng.random() for _ in range(500)]],
    schema=KEYS,
)
FLIPS = [random.Random(n).random() for n in range(60)]


def written(folder: Path) -> Path:
    """A file of a pass, with its task's marker."""
    with TaskOutput(Task({"name": "t"}, (), str(folder), 0, "f", "keys"), None, dropped=False) as output:
        output.open("keys", "keys/keys-00000.parquet", KEYS, dictionary=False)
        output.write("keys", TABLE)
    return folder / "keys" / "keys-00000.parquet"


def flipped(data: bytes, share: float) -> bytes:
    at = int(len(data) * 8 * share)
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def read(location: Path, partly: bool) -> Any:
    with opened_output(str(location), partly) as file:
        return pq.read_table(file, columns=["weight"] if partly else None, page_checksum_verification=True, use_threads=False)


def test_what_was_written_is_read(tmp_path):
    file = written(tmp_path)
    assert read(file, partly=False) == TABLE
    assert read(file, partly=True) == TABLE.select(["weight"])


@pytest.mark.parametrize("share", FLIPS)
def test_a_flipped_bit_in_a_file_that_is_read_whole_is_noticed(tmp_path, share):
    file = written(tmp_path)
    file.write_bytes(flipped(file.read_bytes(), share))
    with pytest.raises(DataError, match=r"keys-00000\.parquet is not what it was .*set aside .*run again"):
        read(file, partly=False)
    assert not file.exists()


@pytest.mark.parametrize("share", FLIPS)
def test_a_flipped_bit_in_a_file_of_which_a_column_is_read_changes_no_value(tmp_path, share):
    file = written(tmp_path)
    file.write_bytes(flipped(file.read_bytes(), share))
    try:
        found = read(file, partly=True)
    except (DataError, pa.ArrowInvalid, OSError):
        return
    assert found == TABLE.select(["weight"])


def test_every_byte_of_the_footer_is_verified_where_a_column_is_read(tmp_path):
    data = written(tmp_path).read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for at in range(len(data) - footer, len(data), 37):
        file = written(tmp_path)
        file.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        with pytest.raises(DataError, match="is not what it was"):
            read(file, partly=True)


@pytest.mark.parametrize("spoil", ["file", "marker", "edited marker"])
def test_a_pass_file_without_its_marker_or_with_an_edited_one_is_not_believed(tmp_path, spoil):
    file = written(tmp_path)
    marker = tmp_path / "tasks" / "keys-00000.json"
    if spoil == "edited marker":
        marker.write_text(marker.read_text().replace('"rows": 500', '"rows": 501'))
    else:
        (file if spoil == "file" else marker).unlink()
    with pytest.raises((FileNotFoundError, DataError)):
        read(file, partly=True)


@pytest.mark.parametrize("share", FLIPS[:20])
def test_a_shard_is_verified_before_its_first_row_is_given(tmp_path, share):
    with TaskOutput(Task({"name": "t"}, (), str(tmp_path), 0, "f"), pa.schema([("text", pa.large_string())])) as output:
        output.write("kept", pa.table({"text": [rng.randbytes(100).hex() for _ in range(200)]}))
    facts = output._files["part-00000.parquet"]
    path = tmp_path / "part-00000.parquet"
    source = Input(str(path), facts["bytes"], facts["sha256"], facts["rows"])
    assert sum(table.num_rows for table in read_batches(source)) == 200
    path.write_bytes(flipped(path.read_bytes(), share))
    with pytest.raises(DataError, match="is not what it was"):
        next(iter(read_batches(source)))


def test_a_file_is_hashed_once_per_process(tmp_path, monkeypatch):
    file = written(tmp_path)
    hashed: list[str] = []
    plain = fetch._digest.__wrapped__
    fetch._digest.cache_clear()
    monkeypatch.setattr(fetch, "_digest", fetch.lru_cache(lambda path, *facts: (hashed.append(path), plain(path))[1]))
    for _ in range(3):
        read(file, partly=False)
    assert hashed == [str(file)]


def test_remote_files_are_verified_by_the_bytes_that_are_read(tmp_path):
    from goldwash.pipeline.storage.locations import filesystem

    data = written(tmp_path).read_bytes()
    fs, path = filesystem("memory://verified/a.parquet")
    fs.pipe_file(path, data)
    from hashlib import sha256

    source = Input("memory://verified/a.parquet", len(data), sha256(data).hexdigest())
    with opened_file(source) as file:
        assert file.read() == data
    fs.pipe_file(path, flipped(data, 0.3))
    with pytest.raises(DataError, match="is not what it was"), opened_file(source):
        pass


def test_a_users_file_that_changed_stays_where_it_is(tmp_path):
    write_json(str(tmp_path / "a.jsonl"), {"text": "a"})
    from goldwash.pipeline.storage.inputs import find_shards

    (source,) = find_shards([str(tmp_path / "a.jsonl")])
    check_unchanged(source)
    write_json(str(tmp_path / "a.jsonl"), {"text": "another"})
    with pytest.raises(DataError, match="put the file back"):
        check_unchanged(source)
    assert (tmp_path / "a.jsonl").exists()
