"""A headless browser for pages: Debian's chromium, or any that $GOLDWASH_BROWSER names, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
AXE = "node_modules/axe-core/axe.min.js"


def executable() -> str:
    """The browser's path; the test skips where there is none."""
    found = os.environ.get("GOLDWASH_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no browser: `make browser` installs one, or name it in $GOLDWASH_BROWSER")
    return found


def axe() -> str:
    """axe-core's script; the test skips where it is not installed."""
    for place in (os.environ.get("GOLDWASH_AXE"), ROOT / ".venv" / "browser" / AXE):
        if place and Path(place).is_file():
            return Path(place).read_text("utf-8")
    pytest.skip("axe-core is not installed: `make browser` does that with npm, or name its axe.min.js in $GOLDWASH_AXE")


@contextmanager
def launched() -> Iterator[Any]:
    """A browser."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install 'goldwash[browser]'")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page in a browser, with what it complained of and what it asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """What axe finds wrong."""
        script = f"{axe()}\n;axe.run(document, {{resultTypes: ['violations']}}).then(r => r.violations.map(v => v.id + ': ' "
        return list(self.page.evaluate(script + "+ v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join(' | ')))"))


@contextmanager
def opened(browser: Any, file: Path, width: int = 1280, dark: bool = False, **options: Any) -> Iterator[Opened]:
    """A file in a window of this width."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", bypass_csp=False, **options
    )
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("dialog", lambda dialog: (found.complaints.append(dialog.message), dialog.dismiss()))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(file.as_uri())
    yield found
    context.close()
