"""The pages in a real browser: drawn, searched, followed, printed, and read by assistive technology."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from goldwash.pipeline.reporting.comparison import write_comparison
from goldwash.pipeline.reporting.page import write_report
from tests.pipeline.reporting.test_page import ran
from tests.support.browsers import launched, opened
from tests.support.hostile import documents

pytestmark = pytest.mark.xdist_group("browser")
WIDTHS = (390, 820, 1360)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def report(sample_run: Path, tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    return Path(write_report(str(sample_run), str(tmp_path_factory.mktemp("report") / "report.html")))


@pytest.fixture(scope="module")
def comparison(sample_run: Path, tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    one = ran(_made(folder / "a"), ["one two three four five", "six seven", "eight nine ten"])
    other = ran(
        _made(folder / "b"), ["one two three four five", "six seven", "eight nine ten"],
        "stages:\n  - heuristics:\n      steps:\n        - {keep: word_count, max: 3}\n",
    )  # fmt: skip
    return Path(write_comparison(str(one), str(other), str(folder / "comparison.html")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    texts, ids, urls = documents()
    run = ran(tmp_path_factory.mktemp("hostile"), texts, id=pa.array(ids), url=pa.array(urls))
    return Path(write_report(str(run)))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_chart_is_drawn_and_nothing_is_wider_than_the_window(browser: Any, report: Path, width: int, dark: bool) -> None:
    with opened(browser, report, width, dark) as found:
        page = found.page
        assert page.evaluate("document.documentElement.scrollWidth") == width
        charts = page.locator("figure.chart svg")
        assert charts.count() >= 20
        empty = page.evaluate(
            "[...document.querySelectorAll('figure.chart svg')].filter(s => s.getBoundingClientRect().width < 200 "
            "|| !s.querySelector('.mark-rect path, .mark-rect rect, g.mark-rect > *')).length"
        )
        assert empty == 0
        assert found.complaints == []
        assert [r for r in found.requests if not r.startswith("file:")] == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(x) for x in paper[4:-1].split(",")) < 200) == dark
        bar = page.evaluate("getComputedStyle(document.querySelector('g.mark-rect path, g.mark-rect rect')).fill")
        assert bar.startswith("rgb(")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1360, False), (1360, True)])
@pytest.mark.parametrize("name", ["report", "comparison", "hostile"])
def test_axe_finds_nothing_wrong(browser: Any, name: str, width: int, dark: bool, request: pytest.FixtureRequest) -> None:
    with opened(browser, request.getfixturevalue(name), width, dark) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert found.violations() == []


def test_search_shows_what_matches_and_its_address_is_kept(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        page = found.page
        before = page.locator("[data-hit]:visible").count()
        page.keyboard.press("/")
        page.keyboard.type("Fasttext_Word")
        shown = page.locator("[data-hit]:visible")
        assert 0 < shown.count() < before
        assert "match" in page.locator("#found").inner_text()
        texts = [text.lower() for text in shown.all_text_contents()]
        assert all("fasttext_word" in text for text in texts)
        assert page.evaluate("location.hash") == "#q=Fasttext_Word"
        page.reload()
        assert page.locator("#search").input_value() == "Fasttext_Word"
        assert page.locator("[data-hit]:visible").count() == len(texts)
        page.locator("#search").press("Escape")
        assert page.locator("[data-hit]:visible").count() == before
        page.locator("#search").fill("no such thing anywhere")
        assert page.locator("#found").inner_text() == "0 matches"
        assert found.complaints == []


def test_a_link_opens_what_it_names(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        page = found.page
        hidden = page.locator("details .doc[id]").first
        name = hidden.get_attribute("id")
        assert not hidden.is_visible()
        page.evaluate(f"location.hash = '#{name}'")
        page.wait_for_selector(f"[id='{name}'].here")
        assert hidden.is_visible()
        deadline = time.monotonic() + 20  # it scrolls smoothly; `wait_for_function` is against the page's own policy
        while abs(hidden.evaluate("e => e.getBoundingClientRect().top")) >= 900 and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        assert abs(hidden.evaluate("e => e.getBoundingClientRect().top")) < 900
        page.locator("table.funnel tr.rule a").first.click()
        page.wait_for_selector("article.here")
        assert found.complaints == []


def test_the_keyboard_reaches_the_report(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        page = found.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        for _ in range(4):
            page.keyboard.press("Tab")
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid", page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


def test_it_prints_on_paper(browser: Any, report: Path) -> None:
    with opened(browser, report) as found:
        printed = found.page.pdf(format="A4")
        assert printed.startswith(b"%PDF-")
        assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page/") + printed.count(b"/Type /Page ") >= 3
        found.page.emulate_media(media="print", color_scheme="dark")
        assert not found.page.locator("nav.menu").is_visible()
        assert found.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_it_can_be_read_without_scripts(browser: Any, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as found:
        assert "684 read" in found.page.locator("#ledger").inner_text()
        assert found.page.locator("figure.chart svg").first.is_visible()


def test_hostile_documents_are_shown_and_never_run(browser: Any, hostile: Path) -> None:
    with opened(browser, hostile) as found:
        page = found.page
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        for link in page.locator("a[href^='#']").all()[:40]:
            link.evaluate("e => e.click()")
        assert page.evaluate("window.pwned === undefined")
        assert page.evaluate("document.scripts.length") == 1
        assert (
            page.evaluate(
                "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
            )
            == 0
        )
        assert "window.pwned=1" in page.locator("main").inner_text()
        assert found.complaints == []
        assert [r for r in found.requests if not r.startswith("file:")] == []
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") == width


def test_no_other_script_may_run(browser: Any, report: Path, tmp_path: Path) -> None:
    """A hole in the escaping would still run nothing: the policy allows one script, by its digest."""
    text = report.read_text("utf-8").replace(
        "<main", "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'><main"
    )
    (tmp_path / "report.html").write_text(text, "utf-8")
    with opened(browser, tmp_path / "report.html") as found:
        found.page.wait_for_timeout(100)
        assert found.page.evaluate("window.pwned === undefined")
        assert found.complaints


def test_a_comparison_is_drawn(browser: Any, comparison: Path) -> None:
    with opened(browser, comparison, 390) as found:
        text = found.page.locator("body").inner_text()
        assert "+1 gained" in text.replace("\n", " ")
        assert found.page.evaluate("document.documentElement.scrollWidth") == 390
        assert found.complaints == []
