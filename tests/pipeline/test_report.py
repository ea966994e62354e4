import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.report import Count, Report, ReportError

NAMES = st.sampled_from(["a", "b", "word_count", "lines.x"])
COUNTS = st.builds(Count, st.integers(0, 99), st.integers(0, 10**6))
TABLES = st.dictionaries(NAMES, COUNTS, max_size=4)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    kept, dropped, edited = draw(COUNTS), draw(TABLES), draw(TABLES)
    documents = kept.documents + sum(c.documents for c in dropped.values())
    bytes_ = kept.bytes + sum(c.bytes for c in [*dropped.values(), *edited.values()])
    return Report(Count(documents, bytes_), kept, dropped, edited, draw(st.dictionaries(NAMES, st.integers(0, 99), max_size=3)))


@given(reports(), reports(), reports())
def test_reports_are_a_commutative_monoid(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + Report() == a == Report() + a
    assert (a + b).to_dict() == (b + a).to_dict()


@given(reports(), reports())
def test_a_sum_counts_both(a, b):
    total = a + b
    assert total.read == a.read + b.read
    for name in {*a.dropped, *b.dropped}:
        assert total.dropped[name] == a.dropped.get(name, Count()) + b.dropped.get(name, Count())


@given(reports())
def test_a_report_survives_json(report):
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@given(reports(), st.sampled_from(["documents", "bytes"]), st.sampled_from([-1, 1]))
def test_missing_documents_and_bytes_are_refused(report, of, by):
    wrong = replace(report.read, **{of: getattr(report.read, of) + by})
    with pytest.raises(ReportError, match=rf"{getattr(wrong, of)} {of} read, but"):
        replace(report, read=wrong)


def test_equal_reports_are_equal_bytes():
    one = Report(Count(2, 2), dropped={"b": Count(1, 1), "a": Count(1, 1)})
    other = Report(Count(2, 2), dropped={"a": Count(1, 1), "b": Count(1, 1)})
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())
