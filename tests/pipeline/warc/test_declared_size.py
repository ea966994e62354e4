"""A compressed member of a .wacz that declares more bytes than it has ends, and the rest is reported."""

import io
import zipfile

import pytest

from goldwash.pipeline.warc.records import Damage, Record
from goldwash.pipeline.warc.wacz import wacz_records
from tests.support.archives import warc


@pytest.mark.parametrize("more", [1, 3, 60, 10_000_000])
@pytest.mark.parametrize(("lost", "records", "reason"), [(0, 2, "before its declared size"), (5, 1, "ends within this record")])
def test_a_member_that_declares_more_than_it_has_ends(lost: int, records: int, reason: str, more: int) -> None:
    content, file = b"".join(warc(2)), io.BytesIO()
    content = content[: len(content) - lost]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/a.warc", content)
    declared = len(content).to_bytes(4, "little")
    data = file.getvalue().replace(declared, (len(content) + more).to_bytes(4, "little"))
    *read, last = wacz_records(io.BytesIO(data))
    assert [type(each) for each in read] == [Record] * records
    assert isinstance(last, Damage)
    assert reason in last.reason
