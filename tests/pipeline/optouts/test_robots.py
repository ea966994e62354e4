"""robots.txt: what is kept of good and bad files, agreement with protego, the table, and the signal that uses it."""

import io
from pathlib import Path

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
    assert dropped["https://broken.example/robots.txt"] == "server_error"
    assert dropped["https://page.example/robots.txt"] == "html"
    assert dropped["https://other.example/index.html"] == "not_robots"
    assert "damage" in dropped.values()
    kept = {row["host"]: row for row in rows(table)}
    assert set(kept) == {"no.example", "some.example", "signal.example", "all.example", "xn--bcher-kva.example"}
    assert kept["no.example"]["named"] == "GPTBot"


def test_the_signal_looks_urls_up(table: Path) -> None:
    urls = [
        "https://no.example/x", "http://NO.example:80/y", "https://some.example/private/1", "https://some.example/public",
        "https://signal.example/", "https://all.example/", "https://unknown.example/", "", "https://bücher.example/",
    ]  # fmt: skip
    signal = SIGNALS["robots_disallowed_count"]
    assert signal.bind(table=str(table)).measure(Texts.of(urls)).tolist() == [1, 1, 1, 0, 1, 0, 0, 0, 1]
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


def test_another_table_is_refused(tmp_path: Path) -> None:
    shard(tmp_path / "a.parquet", ["x"])
    with pytest.raises(DataError, match=r"is no table of robots\.txt: expected the columns host"):
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
        "no.example", "some.example", "signal.example", "xn--bcher-kva.example",
    }  # fmt: skip
    assert io.StringIO(printed).read()
