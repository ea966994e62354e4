"""A compressed member of a .wacz that declares more bytes than it has ends, and the rest is reported."""

import io
import zipfile

from goldwash.pipeline.warc.records import Damage, Record
from goldwash.pipeline.warc.wacz import wacz_records
from tests.support.archives import warc


def test_a_member_that_declares_more_than_it_has_ends() -> None:
    content, file = b"".join(warc(1)), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/a.warc", content)
    declared = len(content).to_bytes(4, "little")
    for more in (1, 7, 10_000_000):
        data = file.getvalue().replace(declared, (len(content) + more).to_bytes(4, "little"))
        found = list(wacz_records(io.BytesIO(data)))
        assert [type(each) for each in found].count(Record) == 1, more
        assert isinstance(found[-1], Damage), more
