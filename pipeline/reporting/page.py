"""The page: one HTML file of a run, without anything outside it.

Invariants:

* The file has at most `MOST_BYTES`, however large the run: lists are cut, excerpts are short, and where charts and documents
  would still be too many, fewer are shown.
* Templates escape every value; only our own SVG, style and script are markup. A content security policy lets no other script
  run and nothing be loaded.
* The same run gives the same bytes.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from goldwash import __version__
from goldwash.pipeline.inspect.explain import readable
from goldwash.pipeline.inspect.summary import duration, share, size
from goldwash.pipeline.report import Count
from goldwash.pipeline.reporting import charts, hosts, published
from goldwash.pipeline.reporting.annotated import heuristics_rules
from goldwash.pipeline.reporting.facts import BYTES_PER_TOKEN, Run, Stage, facts_of
from goldwash.pipeline.reporting.families import Families, families_of
from goldwash.pipeline.reporting.parts import KEPT, Parts, chosen, fates
from goldwash.pipeline.reporting.scores import bloom_rules, early_rules, quality_rules
from goldwash.pipeline.reporting.values import Rule
from goldwash.pipeline.reporting.worries import SHOWN, worries_of
from goldwash.pipeline.storage.atomic import write_text
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.text_output import printable, without_password

NAME = "report.html"
MOST_BYTES = 4_900_000
CHARTS = 150
"""Charts of rules on a page; further rules have their numbers alone."""
EXCERPT, ITEMS, PLACES, SAMPLES, GROUPS, PARAMETERS = 320, 12, 50, 3, 60, 20_000


def write_report(run: str, out: str | None = None) -> str:
    """Write the page of a run or a single stage (``out``: its file, by default ``report.html`` in the run); returns its place.

    Raises `DataError` where the folder is neither.
    """
    facts = facts_of(run)
    place = out or join(facts.folder, NAME)
    write_text(place, page(facts))
    return place


def page(run: Run) -> str:
    """The page of a run."""
    looked = _looked(run)
    most = CHARTS
    while True:
        made = rendered("report.html.j2", _context(run, looked, most))
        if len(made.encode("utf-8", "replace")) <= MOST_BYTES or most == 0:
            return made
        most //= 2


@dataclass(frozen=True)
class _Looked:
    """What was read of single documents."""

    parts: Parts
    fates: pa.Table
    rules: list[Rule]
    scores: list[Rule]
    notes: list[str]
    families: list[Families]
    hosts: hosts.Hosts


def _looked(run: Run) -> _Looked:
    parts = chosen(run)
    table = fates(run, parts)
    rules, notes = heuristics_rules(run, parts)
    rules += early_rules(run, table) + bloom_rules(run, parts, table)
    return _Looked(parts, table, rules, quality_rules(run, parts, table), notes, families_of(run, parts), hosts.hosts_of(table))


def _context(run: Run, looked: _Looked, most: int) -> dict[str, Any]:
    contamination = _contamination(run)
    done = run.finished
    ruled = {(rule.stage, rule.name) for rule in (*looked.rules, *looked.scores)}
    total = done[0].read if done else Count()
    samples = _dropped_samples(run, looked.fates, ruled)
    linked = ruled | {(group["stage"], group["rule"]) for group in samples}
    languages = hosts.languages_of(looked.fates)[: hosts.SHOWN]
    worries = worries_of(run, [*looked.rules, *looked.scores], looked.hosts, looked.families, contamination)
    context: dict[str, Any] = {
        "run": run, "title": run.name, "ledger": run.ledger, "headline": _headline(run), "total": total,
        "worries": worries[:SHOWN], "funnel": _funnel(run, linked), "bytes_per_token": f"{BYTES_PER_TOKEN:g}",
        "idle": _idle(run, looked.rules), "published": published.beside_published(run), "dclm_kept": published.KEPT_PERCENT,
        "kept_percent": 100 * run.ledger.kept / total.documents if total.documents else 0.0,
        "scores": _cards(run, looked.scores, most), "rules": _cards(run, looked.rules, most), "rule_notes": looked.notes,
        "dropped_samples": samples[: max(most, 1)], "families": _families(looked.families), "hosts": looked.hosts,
        "lost_documents": hosts.LOST_DOCUMENTS, "lost_share": f"{hosts.LOST_SHARE:.0%}", "languages": languages,
        "most_of_a_language": max((max(each.dropped, each.kept) for each in languages), default=1),
        "contamination": _contamination_shown(contamination), "contamination_note": _why_no_contamination(run),
        "damage": run.losses.listed[:PLACES],
        "without": [*run.losses.without_records, *run.losses.without_documents][:PLACES],
        "timed": [stage for stage in done if stage.usage.tasks], "inputs": _inputs(run), "parts": looked.parts,
        "whole": looked.parts.whole, "unreadable": looked.parts.unreadable, "parameters": _parameters,
    }  # fmt: skip
    context["sections"] = _sections(context)
    return context


SECTIONS = (
    ("first", "First"), ("funnel", "Funnel"), ("published", "DCLM"), ("quality", "Quality"), ("rules", "Rules"),
    ("dropped", "Dropped"), ("families", "Duplicates"), ("hosts", "Hosts"), ("languages", "Languages"),
    ("contamination", "Contamination"), ("damage", "Damage"), ("time", "Time"), ("versions", "Versions"),
)  # fmt: skip


def _sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    there = {
        "published": context["published"], "quality": context["scores"], "rules": context["rules"] or context["rule_notes"],
        "dropped": context["dropped_samples"], "families": context["families"], "hosts": context["hosts"].count_read,
        "languages": context["languages"], "damage": context["damage"] or context["without"],
    }  # fmt: skip
    return [(id_, title) for id_, title in SECTIONS if there.get(id_, True)]


def _headline(run: Run) -> list[tuple[str, str]]:
    done = run.finished
    shown: list[tuple[str, str]] = [("state", run.state)]
    if done:
        last = done[-1].kept
        counted = f"{run.tokens['count']:,} of {printable(run.tokens.get('tokenizer'), 80)}" if run.tokens else ""
        shown += [("text kept", size(last.bytes)), ("tokens", counted or f"about {tokens(last.bytes)}")]
        shown.append(("share kept", share(run.ledger.kept, run.ledger.read)))
    seconds = sum(stage.usage.seconds for stage in done)
    if seconds:
        shown.append(("time", duration(seconds)))
    version = run.held.get("goldwash")
    return [*shown, *([("made by goldwash", printable(version, 40))] if version else [])]


def tokens(bytes_: float) -> str:
    """The tokens of a text of so many bytes, roughly, for people.

    >>> tokens(4300), tokens(43e9)
    ('1.0 k', '10.0 B')
    """
    count = bytes_ / BYTES_PER_TOKEN
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f}"


def _funnel(run: Run, linked: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """The rows of the funnel: what was read, each stage's drops, the largest first, and what it keeps."""
    rows: list[dict[str, Any]] = []
    for stage in run.finished:
        html_read = stage.name == "extract"
        if not rows:
            rows.append(_row("stage", "read", stage.read, text=not html_read))
        for rule, count in sorted(stage.dropped.items(), key=lambda item: (-item[1].documents, item[0])):
            made = _row("rule", rule, count, "−", text=not html_read)
            made["link"] = anchor("rule", f"{stage.key}-{rule}") if (stage.key, rule) in linked else ""
            rows.append(made)
        rows.append(_row("stage", f"kept by {stage.key}", stage.kept))
    return rows


def _row(kind: str, name: str, count: Count, sign: str = "", text: bool = True) -> dict[str, Any]:
    """``text``: whether the bytes are of text; those of a stage that reads archives are of HTML."""
    return {
        "kind": kind, "name": name, "documents": count.documents, "sign": sign, "link": "",
        "bytes": size(count.bytes) + ("" if text else " HTML"), "tokens": f"≈ {tokens(count.bytes)}" if text else "",
    }  # fmt: skip


def _idle(run: Run, rules: Sequence[Rule]) -> list[str]:
    dropping = {(stage.key, rule) for stage in run.finished for rule in stage.dropped}
    return [rule.name for rule in rules if (rule.stage, rule.name) not in dropping][:GROUPS]


def _cards(run: Run, rules: Sequence[Rule], most: int) -> list[dict[str, Any]]:
    """The rules as cards, those that drop most first; the first ``most`` with a chart and documents."""
    made = []
    for rule in rules:
        stage = run.stage(rule.stage)
        count = stage.dropped.get(rule.name, Count()).documents if stage else 0
        made.append((rule, count, stage.read.documents if stage else 0))
    made.sort(key=lambda each: -each[1])
    return [
        {
            **vars(rule),
            "count": count,
            "read": read,
            "svg": Markup(charts.histogram(rule.histogram, rule.limits)) if rule.histogram and n < most else "",
            "logarithmic": rule.histogram is not None and rule.histogram.logarithmic,
            "near": rule.near if n < most else (),
        }
        for n, (rule, count, read) in enumerate(made)
    ]


def _families(found: Sequence[Families]) -> list[dict[str, Any]]:
    made = []
    for each in found:
        rows = [(str(low) if low == high else f"{low}–{high}", n) for low, high, n in each.sizes]
        made.append({**vars(each), "svg": Markup(charts.columns(rows, "documents of a family")) if rows else ""})
    return made


def _dropped_samples(run: Run, table: pa.Table, ruled: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """A few dropped documents of each rule that has no card of its own, spread over the shards."""
    groups = []
    for stage in run.finished:
        for rule, count in sorted(stage.dropped.items(), key=lambda item: (-item[1].documents, item[0])):
            if (stage.key, rule) in ruled or not count.documents or rule == KEPT:
                continue
            rows = table.filter(pc.and_(pc.equal(table["stage"], stage.key), pc.equal(table["rule"], rule)))
            step = max(1, rows.num_rows // SAMPLES)
            picked = rows.take(pa.array(range(0, rows.num_rows, step), pa.int64())).slice(0, SAMPLES).to_pylist()
            for row in picked:
                row["detail"] = readable(stage.folder, row["detail"])
            groups.append({"stage": stage.key, "rule": rule, "count": count.documents, "rows": picked})
    return groups[:GROUPS]


def _contamination(run: Run) -> dict[str, Any] | None:
    """``decontamination.json`` of the last decontaminate stage; None where there is none."""
    for stage in reversed(run.finished):
        if stage.name == "decontaminate":
            held = read_json(join(stage.folder, "decontamination.json"))
            return held if isinstance(held, dict) else None
    return None


def _contamination_shown(held: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if held is None:
        return None
    parameters, keys = held.get("parameters") or {}, ("items", "clean", "partly", "dirty", "hits")
    rows = [(str(name), {k: int(row.get(k, 0)) for k in keys}) for name, row in (held.get("benchmarks") or {}).items()]
    shown = [
        {
            "name": str(item.get("name", "")), "status": str(item.get("status", "")),
            "coverage": float(item.get("coverage", 0)),
            "documents": int(item.get("documents", 0)), "question": str(item.get("question", ""))[:2000],
            "url": str((item.get("in") or [{}])[0].get("url", "")),
        }
        for item in (held.get("items") or [])[:ITEMS]
    ]  # fmt: skip
    return {
        "pages": int(held.get("documents_with_a_hit", 0)), "searched": int(parameters.get("items", 0)),
        "benchmarks": rows[:GROUPS],
        "rule": str(parameters.get("rule", "")), "action": str(parameters.get("action", "")), "shown": shown,
    }  # fmt: skip


def _why_no_contamination(run: Run) -> str:
    if any(stage.name == "decontaminate" for stage in run.stages):
        return "The decontaminate stage is not finished."
    return "The recipe has no decontaminate stage: benchmark questions were not looked for."


def _inputs(run: Run) -> str:
    names = [str(name) for name in run.held.get("input") or ()]
    first = (run.stages[0].held.get("inputs") or []) if run.stages else []
    lines = [f"as given: {printable(without_password(name), 300)}" for name in names[:PLACES]]
    for each in first[:PLACES]:
        if isinstance(each, Mapping):
            rows = f", {each['rows']:,} rows" if isinstance(each.get("rows"), int) else ""
            lines.append(f"{printable(each.get('name') or each.get('path'), 300)}  {int(each.get('bytes') or 0):,} bytes{rows}")
    if len(first) > PLACES:
        lines.append(f"and {len(first) - PLACES:,} more")
    return "\n".join(lines)


def _parameters(stage: Stage) -> str:
    """A stage's parameters and versions as lines of JSON, cut."""
    held = {key: stage.held[key] for key in ("config", "versions", "facts", "notes") if stage.held.get(key)}
    facts = held.get("facts")
    if isinstance(facts, Mapping):
        held["facts"] = {key: value for key, value in facts.items() if not isinstance(value, list | dict)}
    text = json.dumps(held, indent=1, ensure_ascii=False)
    lines = [printable(line, 400) for line in text[:PARAMETERS].splitlines()]
    return "\n".join([*lines, *(["…"] if len(text) > PARAMETERS else [])])


# --- templates


def anchor(kind: str, name: object) -> str:
    """The id of an element for a name from data: letters, digits, ``.``, ``-``, ``_``, and a digest if others were left out.

    >>> anchor("host", "a.example")
    'host-a.example'
    """
    text = str(name)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:80]
    digest = f".{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}" if plain != text else ""
    return f"{kind}-{plain}{digest}"


class Once:
    """Gives each element's id once: a document that is near several thresholds has its id where it is shown first."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    def __call__(self, kind: str, name: object) -> Markup:
        """The attribute with the id, or nothing."""
        made = anchor(kind, name)
        if made in self.given:
            return Markup("")
        self.given.add(made)
        return Markup(f' id="{made}"')


def _anchor_of(place: str) -> str:
    """The place of a worry: a section, or a rule's or stage's anchor."""
    kind, _, name = place.partition("-")
    if place.startswith("kept-host-"):
        return anchor("kept-host", place.removeprefix("kept-host-"))
    return anchor(kind, name) if kind in ("rule", "stage") and name else place


def excerpt(text: object) -> str:
    """The beginning of a text on one line."""
    return printable(" ".join(str(text)[: 6 * EXCERPT].split())[:EXCERPT].strip(), EXCERPT)


def short(text: object, limit: int) -> str:
    """Data on one line, cut to a length."""
    shown = printable(str(text)[: limit + 1], limit + 8)
    return shown if len(str(text)) <= limit else f"{shown[:limit]}…"


def breakable(text: object, limit: int = 80) -> Markup:
    """A name of ours or of a recipe's, with places after ``_`` where a line may break.

    >>> print(breakable("a_<b>"))
    a_<wbr>&lt;b&gt;
    """
    return Markup("_<wbr>").join(short(text, limit).split("_"))


def sentence(text: object) -> str:
    """A text that begins with a capital letter, if its first word is a word."""
    shown = str(text).strip()
    return shown[:1].upper() + shown[1:] if re.match(r"[a-z]+[ ,:;]", shown) else shown


def _number(value: Any) -> str:
    return f"{float(value):.4g}" if value is not None else "–"


def _signed(change: float) -> str:
    count = round(change)
    return "the same" if count == 0 else f"{'+' if count > 0 else '−'}{abs(count):,}"


def _resource(name: str) -> str:
    return files("goldwash.pipeline.reporting").joinpath("templates", name).read_text("utf-8")


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """A page made from one of the templates."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "anchor": anchor, "once": Once(), "anchor_of": _anchor_of, "excerpt": excerpt, "short": short, "breakable": breakable,
        "sentence": sentence, "number": _number, "signed": _signed,
        "percent": share, "size": size, "duration": duration, "version": __version__, "script": Markup(script),
        "script_digest": digest, "style": Markup(_resource("page.css")),
    }  # fmt: skip
    made = environment.get_template(template).render(**context)
    return made.encode("utf-8", "replace").decode("utf-8")  # lone surrogates of file names
