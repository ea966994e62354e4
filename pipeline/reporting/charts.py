"""The charts of the page: Altair's, drawn when the report is made, as SVG inside the page.

Invariants: a chart is a drawing and nothing else. It has no script, so that the page opens in any browser, prints, and has
about 10 kB per chart instead of 830 kB of Vega's scripts; its colours are variables of the page's style, so that it follows
dark mode. Numbers that a reader needs are beside it as text: the drawing is hidden from screen readers, its caption is not.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import altair
import vl_convert

from goldwash.pipeline.reporting.values import Histogram

WIDTH, HEIGHT = 300, 96
"""Of the drawing area, in pixels: with its axes it is as wide as a phone."""

COLOURS = {"kept": "var(--kept)", "others": "var(--other)", "dropped": "var(--dropped)"}
ORDER = ("kept", "others", "dropped")

_SIZE = re.compile(r'(<svg[^>]*?) width="[\d.]+" height="[\d.]+"')
_BACKGROUND = re.compile(r'<rect width="[\d.]+" height="[\d.]+" fill="transparent"/>')

CONFIG: dict[str, Any] = {
    "view": {"stroke": None},
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "domainColor": "var(--line)", "tickColor": "var(--line)",
        "gridColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelPadding": 4,
    },
    "aria": False,
}  # fmt: skip


def histogram(shown: Histogram, limits: Sequence[float]) -> str:
    """A histogram with its thresholds drawn in, as SVG."""
    rows = []
    for k, (low, high) in enumerate(zip(shown.edges, shown.edges[1:], strict=False)):
        at = 0
        for name in ORDER:
            count = getattr(shown, name)[k]
            if count:
                rows.append({"low": low, "high": high, "from": at, "to": at + count, "fill": COLOURS[name]})
            at += count
    scale = altair.Scale(
        type="log" if shown.logarithmic else "linear", domain=[shown.edges[0], shown.edges[-1]], nice=False, zero=False
    )
    x = altair.X("low:Q", title=None, scale=scale, axis=_axis(shown.edges[-1]))
    y = altair.Y("from:Q", title=None, axis=_counts(max(map(sum, zip(shown.kept, shown.dropped, shown.others, strict=True)))))
    bars = (
        _chart(rows)
        .mark_rect(stroke="var(--paper)", strokeWidth=0.5)
        .encode(x=x, x2="high:Q", y=y, y2="to:Q", color=altair.Color("fill:N", scale=None))
    )
    inside = [{"at": limit} for limit in limits if shown.edges[0] <= limit <= shown.edges[-1]]
    if not inside:
        return svg(bars)
    rule = (
        _chart(inside).mark_rule(color="var(--ink)", strokeWidth=1.5, strokeDash=[4, 3]).encode(x=altair.X("at:Q", scale=scale))
    )
    return svg(bars + rule)


def columns(rows: Sequence[tuple[str, int]], title: str) -> str:
    """A column per name, in the order given, as SVG."""
    values = [{"name": name, "count": count} for name, count in rows]
    chart = (
        _chart(values)
        .mark_bar(color="var(--kept)", size=max(6, min(34, WIDTH // max(1, len(rows)) - 8)))
        .encode(
            x=altair.X("name:N", sort=None, title=title, axis=altair.Axis(labelAngle=0, ticks=False, labelOverlap=True)),
            y=altair.Y("count:Q", title=None, axis=_counts(max((count for _, count in rows), default=0))),
        )
    )
    return svg(chart)


def _chart(rows: Sequence[Mapping[str, Any]]) -> Any:
    return altair.Chart({"values": list(rows)})


def _axis(most: float) -> Any:
    """An axis of values up to ``most``; thousands as ``10k``."""
    more: dict[str, Any] = {"format": "~s"} if abs(most) >= 1000 else {}
    return altair.Axis(grid=False, tickCount=5, labelOverlap=True, **more)


def _counts(most: int) -> Any:
    """An axis of counts: no ticks between whole numbers."""
    return altair.Axis(tickCount=min(3, max(1, most)), format="~s", domain=False, ticks=False)


def svg(chart: Any) -> str:
    """A chart as SVG that scales with the page and is hidden from screen readers."""
    return _drawn(chart.properties(width=WIDTH, height=HEIGHT).configure(**CONFIG).to_json(indent=None))


@lru_cache(512)
def _drawn(spec: str) -> str:
    """A specification of Vega-Lite as SVG; a page that is made again with fewer charts does not draw them again."""
    drawn = str(vl_convert.vegalite_to_svg(spec))
    drawn = _BACKGROUND.sub("", _SIZE.sub(r"\1", drawn, count=1), count=1)
    return drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
