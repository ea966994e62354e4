"""robots.txt: what is kept of good and bad files, agreement with protego, the table, and the signal that uses it."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from goldwash.filters.signals import SIGNALS
from goldwash.filters.texts import Texts
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.optouts.agents import AGENTS
from goldwash.pipeline.optouts.robots import MOST_BYTES, disallowed, site_rules
from goldwash.pipeline.optouts.table import SITES, sites
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.stages.robots import Robots
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives
from goldwash.pipeline.storage.sealed import read_sealed
from tests.pipeline.conftest import here, rows, shard
from tests.support.archives import gzipped, record

ALL = tuple(AGENTS)


def test_named_agents_and_signals_are_kept() -> None:
    found = site_rules(b"# hello\nUser-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /\n\nuser-agent : gptbot # x\n"
                       b"User-Agent: CCBot\nDisallow: /\nSitemap: https://a.org/s.xml\n")  # fmt: skip
    assert found.named == ("CCBot", "GPTBot")
    assert found.content_signal == "ai-train=no, search=yes"
    assert "Sitemap" not in found.rules
    assert disallowed(found.rules, "https://a.org/x", ["CCBot", "GPTBot", "ClaudeBot"]) == 2


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "html"),
        (b"  <!-- x --><html>", "html"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "binary"),
        (b"", "no_rules"),
        (b"Sitemap: https://a.org/s.xml\n", "no_rules"),
        (b"Disallow: /\n", "no_rules"),
    ],
)
def test_bodies_that_have_no_rules(body: bytes, problem: str) -> None:
    assert site_rules(body).problem == problem


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("\ufeffUser-agent: CCBot\nDisallow: /é".encode(), ""),
        ("User-agent: CCBot\nDisallow: /é".encode("utf-16"), ""),
        ("User-agent: CCBot\nDisallow: /é".encode("utf-16-le"), ""),
        ("User-agent: CCBot\nDisallow: /é".encode("latin-1"), "iso-8859-1"),
        ("User-agent: CCBot\r\nDisallow: /é".encode("latin-1"), "no-such-charset"),
        ("User-agent: CCBot\rDisallow: /é".encode(), ""),
    ],
)
def test_charsets(body: bytes, charset: str) -> None:
    found = site_rules(body, charset)
    assert found.named == ("CCBot",)
    assert disallowed(found.rules, "https://a.org/%C3%A9", ["CCBot"]) == 1
    assert disallowed(found.rules, "https://a.org/b", ["CCBot"]) == 0


def test_a_file_of_ten_megabytes_is_cut() -> None:
    body = b"User-agent: CCBot\nDisallow: /first\n" + b"Disallow: /x\n" * 800_000 + b"Disallow: /last\n"
    found = site_rules(body)
    assert found.cut
    assert len(found.rules) <= MOST_BYTES
    assert disallowed(found.rules, "https://a.org/first", ["CCBot"]) == 1
    assert disallowed(found.rules, "https://a.org/last", ["CCBot"]) == 0


def test_contradictory_rules_are_decided_as_protego_does() -> None:
    text = "User-agent: CCBot\nDisallow: /\nAllow: /\nDisallow: /a/\nAllow: /a/b\nUser-agent: CCBot\nAllow: /a/c\n"
    for path in ("/", "/x", "/a/", "/a/b", "/a/c/d", "/robots.txt"):
        url = f"https://a.org{path}"
        assert disallowed(text, url, ["CCBot"]) == (not Protego.parse(text).can_fetch(url, "CCBot"))


def test_rules_for_everyone_count_only_where_they_shall() -> None:
    text = "User-agent: *\nDisallow: /search\n\nUser-agent: GPTBot\nDisallow: /\n"
    assert disallowed(text, "https://a.org/search", ALL) == 1
    assert disallowed(text, "https://a.org/search", ALL, everyone=True) == len(ALL)
    assert disallowed(text, "https://a.org/x", ALL, everyone=True) == 1


LINE = st.sampled_from(
    [
        "User-agent: *", "User-agent: GPTBot", "user-agent: ccbot", "User-agent: Google", "Disallow: /", "Disallow:",
        "Allow: /a",
        "Disallow: /a/*/b$", "Allow: /a/x", "Disallow: /é", "", "# comment", "Sitemap: https://a.org/s", "Crawl-delay: 5",
        "nonsense", "Disallow: /a # why", "User-agent: GPTBot # x", "Content-Signal: ai-train=no",
    ]
)  # fmt: skip


@given(st.lists(LINE, max_size=12), st.sampled_from(["/", "/a", "/a/x", "/a/q/b", "/%C3%A9", "/b"]), st.booleans())
def test_what_is_kept_decides_as_the_whole_file(lines: list[str], path: str, everyone: bool) -> None:
    text, url = "\n".join(lines), f"https://a.org{path}"
    found = site_rules(text.encode())
    agents = ["GPTBot", "CCBot", "Google-Extended", "ClaudeBot"]
    whole = Protego.parse(text)
    if everyone:
        assert disallowed(found.rules, url, agents, everyone=True) == sum(not whole.can_fetch(url, a) for a in agents)
    else:
        own = [agent for agent in agents if agent in found.named]
        assert disallowed(found.rules, url, agents) == sum(not whole.can_fetch(url, a) for a in own)


def robots(host: str, body: bytes, status: str = "200 OK") -> bytes:
    return record(f"https://{host}/robots.txt", body, status=status, content_type="text/plain")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    archive = tmp_path / "robots.warc.gz"
    archive.write_bytes(
        gzipped(
            [
                robots("no.example", b"User-agent: GPTBot\nDisallow: /\n"),
                robots("some.example", b"User-agent: CCBot\nDisallow: /private\n"),
                robots("signal.example", b"User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n"),
                robots("all.example", b"User-agent: *\nDisallow: /\n"),
                robots("gone.example", b"<html>", "404 Not Found"),
                robots("moved.example", b"", "301 Moved Permanently"),
                robots("broken.example", b"", "503 Service Unavailable"),
                robots("odd.example", b"", "999 Denied"),
                robots("page.example", b"<html><body>Welcome"),
                record("https://other.example/index.html", b"User-agent: *"),
                robots("BÜCHER.example", b"User-agent: CCBot\nDisallow: /\n"),
            ]
        )
        + b"junk"
    )
    out = tmp_path / "table"
    run_stage(Robots(), find_archives([str(archive)]), str(out), here)
    return out


def test_the_stage_keeps_rules_and_counts_the_rest(table: Path) -> None:
    dropped = {row["url"]: row["dropped_by"] for row in rows(table / "dropped")}
    assert dropped["https://gone.example/robots.txt"] == "no_file"
    assert dropped["https://moved.example/robots.txt"] == "redirect"
    assert dropped["https://odd.example/robots.txt"] == "server_error"
    assert dropped["https://page.example/robots.txt"] == "html"
    assert dropped["https://other.example/index.html"] == "not_robots"
    assert "damage" in dropped.values()
    kept = {row["host"]: row for row in rows(table)}
    assert set(kept) == {
        "no.example", "some.example", "signal.example", "all.example", "xn--bcher-kva.example", "broken.example",
    }  # fmt: skip
    assert kept["broken.example"]["status"] == 503
    assert kept["no.example"]["named"] == "GPTBot"


def test_the_signal_looks_urls_up(table: Path) -> None:
    urls = [
        "https://no.example/x", "http://NO.example:80/y", "https://some.example/private/1", "https://some.example/public",
        "https://signal.example/", "https://all.example/", "https://unknown.example/", "", "https://bücher.example/",
    ]  # fmt: skip
    signal = SIGNALS["robots_disallowed_count"]
    assert signal.bind(table=str(table)).measure(Texts.of(urls)).tolist() == [1, 1, 1, 0, 1, 0, 0, 0, 1]
    failed = Texts.of(["https://broken.example/x"])
    assert signal.bind(table=str(table)).measure(failed).tolist() == [len(AGENTS)]
    assert signal.bind(table=str(table), failures=False).measure(failed).tolist() == [0]
    everyone = signal.bind(table=str(table), everyone=True, agents=("CCBot", "GPTBot"), content_signals=False)
    assert everyone.measure(Texts.of(urls)).tolist() == [1, 1, 1, 0, 0, 2, 0, 0, 1]
    assert signal.bind(table=str(table)).measure(Texts.of([])).tolist() == []


def test_the_last_record_of_a_host_counts(tmp_path: Path) -> None:
    said = [
        {"host": "a.org", "date": "2026-02-01", "rules": "User-agent: CCBot\nAllow: /"},
        {"host": "a.org", "date": "2026-01-01", "rules": "User-agent: CCBot\nDisallow: /"},
    ]
    full = [{"named": "CCBot", "content_signal": "", "url": "", **row} for row in said]
    pq.write_table(pa.Table.from_pylist(full, SITES), tmp_path / "t.parquet")
    signal = SIGNALS["robots_disallowed_count"].bind(table=str(tmp_path / "t.parquet"))
    assert signal.measure(Texts.of(["https://a.org/"])).tolist() == [0]


DENY = b"User-agent: CCBot\nDisallow: /\n"


def redirecting(host: str, location: str, status: str = "301 Moved Permanently") -> bytes:
    return record(f"http://{host}/robots.txt", b"<html>moved", status=status, headers=[("Location", location)])


def counted(tmp_path: Path, records: list[bytes], urls: list[str], **parameters: Any) -> list[int]:
    if not (tmp_path / "r.warc.gz").exists():
        (tmp_path / "r.warc.gz").write_bytes(gzipped(records))
    run_stage(Robots(), find_archives([str(tmp_path / "r.warc.gz")]), str(tmp_path / "table"), here)
    signal = SIGNALS["robots_disallowed_count"].bind(table=str(tmp_path / "table"), agents=("CCBot", "GPTBot"), **parameters)
    found: list[int] = signal.measure(Texts.of(urls)).tolist()
    return found


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize(
    ("location", "count"),
    [
        ("https://www.b.example/robots.txt", 1), ("//www.b.example/robots.txt", 1), ("https://WWW.B.example:443/robots.txt", 1),
        ("https://www.b.example/", 0), ("/robots.txt", 0), ("https://away.example/robots.txt", 0), ("", 0), ("http://[", 0),
        ("javascript:x", 0), ("https://www.b.example/robots.txt?x=1#y", 1),
    ],
)  # fmt: skip
def test_redirects_are_followed_to_the_file_of_another_host(tmp_path: Path, status: str, location: str, count: int) -> None:
    records = [redirecting("a.example", location, status), robots("www.b.example", DENY)]
    assert counted(tmp_path, records, ["https://a.example/x"]) == [count]


def test_chains_and_circles_of_redirects(tmp_path: Path) -> None:
    chain = [redirecting(f"h{n}.example", f"https://h{n + 1}.example/robots.txt") for n in range(7)]
    circle = [
        redirecting("c1.example", "https://c2.example/robots.txt"),
        redirecting("c2.example", "http://c1.example/robots.txt"),
    ]
    records = [*chain, robots("h7.example", DENY), *circle]
    urls = [*(f"https://h{n}.example/x" for n in range(8)), "https://c1.example/", "https://c2.example/"]
    assert counted(tmp_path, records, urls) == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]


def test_a_file_counts_before_a_redirect_and_both_before_an_error(tmp_path: Path) -> None:
    records = [
        robots("a.example", DENY), redirecting("a.example", "https://free.example/robots.txt"),
        robots("a.example", b"", "500 x"),
        redirecting("b.example", "https://a.example/robots.txt"), robots("b.example", b"", "503 x"),
        robots("c.example", b"", "599 x"), redirecting("d.example", "https://c.example/robots.txt"),
        robots("free.example", b"User-agent: CCBot\nAllow: /\n"),
        robots("e.example", DENY, "404 x"), robots("f.example", DENY, "410 x"),
        robots("g.example", DENY, "401 x"),
    ]  # fmt: skip
    urls = [f"https://{host}.example/x" for host in ("a", "b", "c", "d", "free", "e", "f", "g")]
    assert counted(tmp_path, records, urls) == [1, 1, 2, 2, 0, 0, 0, 0]
    assert counted(tmp_path, records, urls, failures=False) == [1, 1, 0, 0, 0, 0, 0, 0]


def test_redirects_and_errors_are_counted_in_the_report(tmp_path: Path) -> None:
    records = [
        redirecting("a.example", "https://b.example/robots.txt"),
        robots("c.example", b"", "503 x"),
        robots("d.example", DENY),
    ]
    counted(tmp_path, records, ["https://a.example/"])
    report = read_sealed(str(tmp_path / "table" / "report.json"))
    assert report is not None
    assert report["report"]["notes"] == {"redirects": 1, "server_errors": 1}
    assert report["report"]["kept"]["documents"] == 3


def test_a_table_made_before_redirects_counted_is_read(tmp_path: Path) -> None:
    old = {
        "host": "a.org",
        "date": "",
        "named": "CCBot",
        "content_signal": "",
        "rules": "User-agent: CCBot\nDisallow: /",
        "url": "",
    }
    pq.write_table(pa.Table.from_pylist([old]), tmp_path / "t.parquet")
    signal = SIGNALS["robots_disallowed_count"].bind(table=str(tmp_path / "t.parquet"))
    assert signal.measure(Texts.of(["https://a.org/"])).tolist() == [1]


@pytest.mark.parametrize(
    ("newline", "encoding"), [("\n", "utf-8"), ("\r", "latin-1"), ("\r\n", "utf-16"), ("\n", "utf-16-be"), ("\r", "utf-32")]
)
def test_ten_megabytes_in_any_charset_and_with_any_newline(newline: str, encoding: str) -> None:
    lines = ["User-agent: CCBot", "Disallow: /first", *["Disallow: /é" + "x" * 90] * 100_000, "Disallow: /last"]
    found = site_rules(newline.join(lines).encode(encoding), encoding)
    assert found.cut
    assert len(found.rules) <= MOST_BYTES
    assert [disallowed(found.rules, f"https://a.org/{path}", ["CCBot"]) for path in ("first", "last", "%C3%A9" + "x" * 90)] == [
        1,
        0,
        1,
    ]


@pytest.mark.parametrize(
    "charset",
    ["undefined", "idna", "punycode", "base64", "rot13", "hex", "a\0b", "utf-7", "unicode_escape", "mbcs", "'", "x" * 999],
)
def test_charsets_that_are_none_harm_nothing(charset: str) -> None:
    assert site_rules(b"User-agent: CCBot\nDisallow: /\xe9\xff\\", charset).named == ("CCBot",)


@given(st.binary(max_size=200), st.text(max_size=12))
def test_any_bytes_in_any_charset_give_rules_or_a_reason(body: bytes, charset: str) -> None:
    found = site_rules(body, charset)
    assert bool(found.rules) != bool(found.problem) or not found.rules
    disallowed(found.rules, "https://a.org/x", ["CCBot"])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html><body>\nUser agent strings are listed here\n</body>", "html"),
        (b"<!DOCTYPE html>\n<pre>\nUser-agent: CCBot\nDisallow: /\n</pre>", ""),
        (b"<html>\nUser-agent: *\n</html>", "html"),
    ],
)
def test_html_in_its_place_has_rules_only_if_it_states_some(body: bytes, problem: str) -> None:
    found = site_rules(body)
    assert found.problem == problem
    for path in ("/", "/x"):
        whole = Protego.parse(body.decode()).can_fetch(f"https://a.org{path}", "CCBot")
        assert disallowed(found.rules, f"https://a.org{path}", ["CCBot"]) == (not whole)


RULES = st.lists(
    st.tuples(st.sampled_from(["Allow", "Disallow"]), st.sampled_from(["/", "/a", "/a/", "/a/b", "*", "/*b", "/a$", "", "/A"])),
    min_size=1, max_size=8,
)  # fmt: skip


@given(RULES, RULES, st.sampled_from(["/", "/a", "/a/", "/a/b", "/b", "/A", "/ab"]))
def test_contradictory_rules_of_two_groups_are_decided_as_protego_does(one: Any, other: Any, path: str) -> None:
    groups = ["\n".join(["User-agent: CCBot", *(f"{kind}: {value}" for kind, value in rules)]) for rules in (one, other)]
    text, url = "\n\n".join(groups), f"https://a.org{path}"
    found = site_rules(text.encode())
    assert disallowed(found.rules, url, ["CCBot"]) == (not Protego.parse(text).can_fetch(url, "CCBot"))


def test_another_table_is_refused(tmp_path: Path) -> None:
    shard(tmp_path / "a.parquet", ["x"])
    with pytest.raises(DataError, match=r"is not a table of robots\.txt: expected the columns host"):
        sites(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("content", [b"x", b"PAR1 and no footer"])
def test_a_broken_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path}/table\.parquet is not a whole Parquet file"):
        sites(str(tmp_path / "table.parquet"))


def test_a_keep_uses_the_table_and_its_content_is_in_the_fingerprint(table: Path, tmp_path: Path) -> None:
    source = shard(tmp_path / "in" / "a.parquet", ["one two", "three four"])
    stage = Heuristics.of({"steps": [{"keep": "robots_disallowed_count", "table": str(table), "max": 0}]})
    assert any(name.startswith("table ") for name in stage.versions())
    run_stage(stage, [source], str(tmp_path / "out"), here)
    assert len(rows(tmp_path / "out")) == 2


def test_the_command_writes_the_table(table: Path, tmp_path: Path, cli) -> None:  # type: ignore[no-untyped-def]
    archive = table.parent / "robots.warc.gz"
    code, printed, told = cli("robots", "--input", archive, "--out", tmp_path / "again", "--workers", 1, "--named-only")
    assert code == 0, told
    assert "--robots" in printed
    assert {row["host"] for row in rows(tmp_path / "again")} == {
        "no.example", "some.example", "signal.example", "xn--bcher-kva.example", "broken.example",
    }  # fmt: skip
    assert io.StringIO(printed).read()


def test_bad_files_are_counted_by_the_stage(tmp_path: Path) -> None:
    """What a crawl holds in the place of robots.txt: each is kept or dropped with a reason, and nothing stops the stage."""
    long_ = DENY + b"Disallow: /x\n" * 800_000
    latin = record(
        "https://latin.example/robots.txt", DENY + b"Disallow: /\xe9\n", content_type="text/plain; charset=undefined"
    )
    files = {
        "long.example": long_, "page.example": b"<html><body>Welcome", "binary.example": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
        "empty.example": b"", "wide.example": DENY.decode().encode("utf-16"), "both.example": DENY + b"Allow: /\n" + DENY,
    }  # fmt: skip
    records = [latin, *(robots(host, body) for host, body in files.items())]
    urls = [f"https://{host}/x" for host in ("latin.example", *files)]
    assert counted(tmp_path, records, urls) == [1, 1, 0, 0, 0, 1, 0]
    report = read_sealed(str(tmp_path / "table" / "report.json"))
    assert report is not None
    assert {rule: count["documents"] for rule, count in report["report"]["dropped"].items()} == {
        "html": 1, "binary": 1, "no_rules": 1,
    }  # fmt: skip
    assert report["report"]["notes"] == {"cut": 1}
