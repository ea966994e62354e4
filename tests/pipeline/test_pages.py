"""A batch of pages by itself, without a stage's tasks: what is kept, dropped, counted and left untouched."""

from goldwash.pipeline.engines.isolation import READING, TOGETHER, Again
from goldwash.pipeline.pages import Batch, PageSettings
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.warc.records import Damage, Record, Seams

HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: text/html\r\n\r\n"
EARLY = ({"keep": "fasttext_word_count", "min": 2},)


def found(url: str, body: bytes, status: int = 200, kind: str = "response") -> Record:
    block = HEAD % status + body if kind == "response" else body
    return Record(kind, int(url), len(block), f"id {url}", url, "", block, len(block))


def batch_of(settings: PageSettings, again: Again, *records: Record | Damage) -> tuple[Batch, list[int]]:
    begun: list[int] = []
    batch = Batch(settings, "a.warc", again, begun.append)
    for number, each in enumerate(records):
        batch.add(number, each)
    return batch, begun


def test_each_record_is_kept_dropped_or_counted() -> None:
    batch, begun = batch_of(
        Extract().page_settings,
        Again(),
        found("0", b"<title>t</title><p>gold"),
        found("1", b"<p>gone", 404),
        found("2", b"<p>"),
        found("3", b"x: y", kind="metadata"),
        Damage(7, "blank bytes", 5),
    )
    made = batch.made(Seams())
    assert made.kept.select(["url", "archive", "offset", "title", "text"]).to_pylist() == [
        {"url": "0", "archive": "a.warc", "offset": 0, "title": "t", "text": "gold"}
    ]
    assert [(r["url"], r["dropped_by"], r["value"]) for r in made.dropped.to_pylist()] == [
        ("a.warc", "damage", 7.0),
        ("1", "http_status", 404.0),
        ("2", "no_text", None),
    ]
    assert (made.report.read.documents, made.report.kept.documents) == (3, 1)
    assert made.report.notes == {"records.metadata": 1, "damaged_places": 1, "damaged_bytes": 5}
    assert (made.records, made.reached, [place["archive"] for place in made.damage]) == (4, 3, ["a.warc"])
    assert begun == [0, READING, 1, READING, 2, READING, 0, READING, 2, READING]


def test_a_page_that_hung_before_is_not_touched_again() -> None:
    for singly in (False, True):
        settings = Extract(early=EARLY).page_settings
        again = Again(skip={1: "time_limit"}, singly=singly)
        batch, begun = batch_of(settings, again, *(found(str(n), b"<p>gold in the pan") for n in range(3)))
        made = batch.made(Seams())
        assert made.kept["url"].to_pylist() == ["0", "2"]
        assert [(r["url"], r["dropped_by"]) for r in made.dropped.to_pylist()] == [("1", "time_limit")]
        assert begun.count(1) == 1
        assert (TOGETHER in begun) != singly


def test_a_page_that_is_dropped_holds_no_bytes() -> None:
    batch, _ = batch_of(Extract(early=EARLY).page_settings, Again(), found("0", b"<p>gold"), found("1", b"<p>gold in the pan"))
    batch.tables()
    dropped, kept = batch.pages
    assert (dropped.reason, kept.reason) == ("fasttext_word_count", "")
    for page in (dropped, kept):
        assert (bytes(page.body), page.html, bytes(page.utf8)) == (b"", None, b"")
