"""Charts of curves and points: in the terminal, as SVG, and as a page of HTML.

matplotlib writes SVG without a browser, a network or a script in the page, and a chart of ten curves is 30 kB; altair needs a
33 MB package or a network for the same. plotext draws in the terminal. Invariants: equal charts give equal bytes; labels come
from data and are escaped; points that a logarithmic axis cannot show are left out.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.text_output import html_text, printable

MOST_POINTS = 2000  # per series in a chart; more make the file larger without changing a pixel


@dataclass(frozen=True)
class Series:
    """One curve, or points where ``line`` is False. ``x`` and ``y`` have equal lengths."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    line: bool = True


@dataclass(frozen=True)
class Chart:
    """Series over common axes."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False


def _points(chart: Chart, series: Series) -> tuple[list[float], list[float]]:
    kept = [
        (x, y) for x, y in zip(series.x, series.y, strict=True)
        if (x > 0 or not chart.log_x) and (y > 0 or not chart.log_y)
    ]  # fmt: skip
    step = max(1, -(-len(kept) // MOST_POINTS))
    thinned = kept[::step] + (kept[-1:] if kept and (len(kept) - 1) % step else [])
    return [x for x, _ in thinned], [y for _, y in thinned]


def svg(chart: Chart) -> str:
    """The chart as SVG. Raises `EvidenceError` where matplotlib is not installed."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise EvidenceError("charts as files need matplotlib: pip install 'goldwash[charts]'") from None
    with matplotlib.rc_context({"svg.hashsalt": "goldwash", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9, 5.2), layout="constrained")
        axes = figure.add_subplot()
        for series in chart.series:
            x, y = _points(chart, series)
            style: dict[str, Any] = (
                {"linewidth": 1.5} if series.line else {"linestyle": "none", "marker": "o", "markersize": 3.5}
            )
            axes.plot(x, y, label=_label(series.name), **style)
        if chart.log_x:
            axes.set_xscale("log")
        if chart.log_y:
            axes.set_yscale("log")
        axes.set(title=_label(chart.title), xlabel=_label(chart.x_label), ylabel=_label(chart.y_label))
        axes.grid(alpha=0.3)
        if len(chart.series) > 1:
            axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "goldwash"})
        return text.getvalue()


def _label(text: str) -> str:
    """Escaped, and without matplotlib's mathematics ($) and its rule that a name with a leading underscore is hidden."""
    shown = printable(text, 80).replace("$", r"\$")
    return f"\u200a{shown}" if shown.startswith("_") else shown


def page(charts: Sequence[Chart], title: str, tables: str = "") -> str:
    """A page of HTML with the charts inline; ``tables`` is HTML that is already escaped."""
    drawn = [svg(chart) for chart in charts]
    figures = "\n".join(f"<figure>{one[one.index('<svg') :]}</figure>" for one in drawn)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html_text(title)}</title>\n'
        "<style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}svg{max-width:100%;height:auto}"
        "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
        "td:first-child,th:first-child{text-align:left}</style></head>\n"
        f"<body><h1>{html_text(title)}</h1>\n{figures}\n{tables}</body></html>\n"
    )


def html_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of HTML, escaped."""
    head = "".join(f"<th>{html_text(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{html_text(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>\n"


def _decades(values: Sequence[float]) -> tuple[list[float], list[str]]:
    """Ticks of a logarithmic axis: powers of ten, or the ends where there are fewer than two."""
    low, high = min(values), max(values)
    ticks = [10.0**n for n in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    ticks = ticks[:: max(1, len(ticks) // 6)] if len(ticks) > 1 else [low, high]
    return ticks, [f"{tick:.3g}" for tick in ticks]


def terminal(chart: Chart, width: int = 100, height: int = 22) -> str:
    """The chart as text without colours. Empty where plotext is not installed or nothing can be shown."""
    try:
        import plotext
    except ImportError:
        return ""
    shown = [(s, *_points(chart, s)) for s in chart.series]
    if not any(x for _, x, _ in shown):
        return ""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    for number, (series, x, y) in enumerate(shown):
        if x:
            draw = plotext.plot if series.line else plotext.scatter
            draw(x, y, label=printable(series.name, 40), marker="*+ox#@%&"[number % 8])
    if chart.log_x:
        plotext.xscale("log")
        plotext.xticks(*_decades([x for _, xs, _ in shown for x in xs]))
    if chart.log_y:
        plotext.yscale("log")
    plotext.title(printable(chart.title, width))
    plotext.xlabel(printable(chart.x_label, 40))
    plotext.ylabel(printable(chart.y_label, 40))
    text = str(plotext.build())
    plotext.clear_figure()
    return plotext.uncolorize(text) if hasattr(plotext, "uncolorize") else text
