"""robots: the robots.txt files of a crawl, as a table of hosts.

Invariants: the inputs are archives of robots.txt responses (Common Crawl's ``robotstxt`` subset). A response is kept as a row,
or dropped with a reason; `optouts.table` reads the rows. A redirect to another host's robots.txt is a row with its target,
and a server's error (5xx) is a row without rules, which disallows everything (RFC 9309, section 2.3.1). Both are counted in
the notes ``redirects`` and ``server_errors``.

=================  ===============================================================================
dropped by         when
=================  ===============================================================================
``damage``         a part of the archive that cannot be read
``not_robots``     the URL's path is not ``/robots.txt``, or it has no host
``redirect``       status 3xx to the same host, to no robots.txt, or to nowhere: the target's own record counts
``no_file``        status 4xx: everything is allowed (RFC 9309, section 2.3.1.3)
``server_error``   a status that is none (below 100, 100 to 199, 600 and above)
``html``           the body is an HTML page
``binary``         the body is no text
``too_large``      the body unpacks to more than 64 MB
``no_rules``       the file has no line ``User-agent``
``unnamed``        with ``named_only``: it names no crawler of training data
=================  ===============================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import version
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

from goldwash.filters.lists import url_host
from goldwash.pipeline.optouts.robots import SiteRules, site_rules
from goldwash.pipeline.optouts.table import SITES
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, finish, stage_of, tasks_for
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tables import DROPPED
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.warc.http import HEAD_BYTES, TooLarge, response
from goldwash.pipeline.warc.records import Damage, Record, records

MOST_BODY = 64 << 20
"""Bytes to which a body may unpack; `optouts.robots` reads the first 500 KiB."""
ROWS = 10_000


@dataclass(frozen=True)
class Robots(Stage):
    """Make a table of hosts from a crawl's robots.txt archives."""

    name: ClassVar[str] = "robots"
    makes_documents: ClassVar[bool] = True
    named_only: bool = False
    """Keep only files that name a crawler of training data or have a content signal; the table is a tenth as large."""

    def versions(self) -> dict[str, str]:
        """Those of the packages that read archives."""
        return {name: version(name) for name in ("isal", "protego")}

    def cost(self, load: Load) -> Cost:
        """20 MB of archive per CPU-second: an estimate."""
        return Cost(20.0)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task per archive."""
        tasks = tasks_for(self, inputs, out)
        run(read_robots, tasks)
        return finish(self, inputs, out, tasks)


def read_robots(task: Task) -> None:
    """Turn an archive into rows of the table."""
    stage = stage_of(task, Robots)
    archive = task.source.name or task.inputs[0]
    kept, dropped = list[dict[str, Any]](), list[dict[str, Any]]()
    found, damage = 0, list[dict[str, Any]]()
    with TaskOutput(task, SITES) as output, local_copy(task.inputs[0]) as path:
        try:
            stream = open(path, "rb")  # noqa: SIM115  (closed below)
        except OSError as error:
            raise DataError(f"{archive} cannot be read: {error}") from error
        with stream:
            stream.seek(0, 2)
            size = stream.tell()
            stream.seek(0)
            for record in records(stream, size, MOST_BODY + HEAD_BYTES):
                if isinstance(record, Damage):
                    damage.append({"archive": archive, "offset": record.offset, "bytes": record.bytes, "reason": record.reason})
                    output.report += Report(notes={"damaged_places": record.places, "damaged_bytes": record.bytes})
                    dropped.append(_dropped("", archive, "damage", float(record.offset), record.reason))
                    continue
                found += 1
                if record.kind != "response":
                    output.report += Report(notes={f"records.{record.kind}": 1})
                    continue
                _take(stage, record, kept, dropped, output)
                if len(kept) + len(dropped) >= ROWS:
                    _write(output, kept, dropped)
                    heartbeat(task, output.report.read.documents, output.report.read.bytes)
        _write(output, kept, dropped)
        output.facts |= {"damage": damage[:1000], "records": found, "bytes": size}


def _take(stage: Robots, record: Record, kept: list[dict[str, Any]], dropped: list[dict[str, Any]], output: TaskOutput) -> None:
    size = len(record.block)
    reason, value, rules = _read(record)
    status, target = 200, ""
    if reason == "redirect" and (target := _target(record)):
        reason, status = "", int(value or 0)
        output.report += Report(notes={"redirects": 1})
    elif reason == "server_error" and value is not None and 500 <= value < 600:
        reason, status = "", int(value)
        output.report += Report(notes={"server_errors": 1})
    if not reason and status == 200 and stage.named_only and not rules.named and not rules.content_signal:
        reason = "unnamed"
    if rules.cut:
        output.report += Report(notes={"cut": 1})
    if reason:
        dropped.append(_dropped(record.id, record.url, reason, value, None))
        output.report += Report(Count(1, size), Count(), {reason: Count(1, size)})
        return
    row = {"host": (url_host(record.url) or "").strip("."), "date": record.date, "named": ", ".join(rules.named)}
    row |= {"content_signal": rules.content_signal, "rules": rules.rules, "url": record.url}
    kept.append({**row, "status": status, "target": target})
    output.report += Report(Count(1, size), Count(1, size))


def _read(record: Record) -> tuple[str, float | None, SiteRules]:
    """Why a record is dropped ("" if it is not), the status, and what of the file is kept."""
    try:
        path, host = urlsplit(record.url).path, url_host(record.url)
    except ValueError:
        path, host = "", None
    if path != "/robots.txt" or not host:
        return "not_robots", None, SiteRules()
    try:
        answer = response(record.block, MOST_BODY)
    except TooLarge:
        return "too_large", None, SiteRules()
    status = answer.status or 200
    if not 200 <= status < 300:
        kind = "redirect" if 300 <= status < 400 else "no_file" if 400 <= status < 500 else "server_error"
        return kind, float(status), SiteRules()
    header = Message()
    header["content-type"] = answer.headers.get("content-type", "")
    rules = site_rules(bytes(answer.body), str(header.get_param("charset") or ""))
    return rules.problem, None, rules


def _target(record: Record) -> str:
    """The host to whose robots.txt a response redirects; "" for the same host, another path, and no address."""
    try:
        location = response(record.block, MOST_BODY).headers.get("location", "").split("\n")[0].strip()
        address = urljoin(record.url, location)
        host = (url_host(address) or "").strip(".") if urlsplit(address).path == "/robots.txt" else ""
    except (ValueError, TooLarge):
        return ""
    return "" if host == (url_host(record.url) or "").strip(".") else host


def _dropped(id_: str, url: str, reason: str, value: float | None, detail: str | None) -> dict[str, Any]:
    return {"id": id_, "url": url, "dropped_by": reason, "value": value, "detail": detail}


def _write(output: TaskOutput, kept: list[dict[str, Any]], dropped: list[dict[str, Any]]) -> None:
    output.write("kept", pa.Table.from_pylist(kept, SITES))
    output.write("dropped", pa.Table.from_pylist(dropped, DROPPED))
    kept.clear()
    dropped.clear()
