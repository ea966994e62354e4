"""Training logs as curves: CSV, JSONL, TensorBoard, and the text that OpenLM, nanochat and nanotron print.

Invariants: a curve's tokens rise strictly; where a log goes back (a resumed run), the later record of a step replaces the
earlier ones, and the number of replaced records is noted. Losses are in nats per token, or bits per byte where the log says so.
A record without a finite loss is counted in ``diverged``, never skipped silently.

Formats, detected by content, not by name:

* CSV with a header, JSONL with one object per record: columns named as in `NAMES`.
* TensorBoard: a folder or file of events (needs the package ``tensorboard``); tags like ``train/loss`` and ``train/tokens``.
* OpenLM: ``Train Epoch: 0 [1024/8192 (12%)] Loss: 5.1 ...``; tokens are samples x ``seq_len``.
* nanochat: ``Step 00250 | Validation bpb: 0.98``, ``step 00250/10000 (2.50%) | loss: 3.1 | ... | tok/sec: 1,000 |
  total time: 1.5m``, ``Total batch size 524,288``.
* nanotron: ``iteration: 5 / 100 | consumed_tokens: 1.31M | ... | lm_loss: 7.86 | lr: 0.0003``.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.mixing.quantities import SUFFIXES
from goldwash.text_output import printable

NAMES = {
    "tokens": ("tokens", "consumed_tokens", "tokens_seen", "total_tokens", "num_tokens", "train/tokens", "_tokens"),
    "step": ("step", "iteration", "_step", "global_step", "iter", "train/step"),
    "flops": ("flops", "total_training_flops", "total_flops", "train/flops"),
    "seconds": ("seconds", "total_training_time", "wall_time", "elapsed", "_runtime", "time"),
    "bpb": ("bpb", "val_bpb", "val/bpb", "bits_per_byte", "validation_bpb"),
    "validation": ("val_loss", "val/loss", "validation_loss", "eval_loss", "eval/loss", "valid_loss"),
    "loss": ("loss", "train/loss", "train_loss", "lm_loss", "training_loss"),
    "lr": ("lr", "learning_rate", "train/lr", "train/lrm", "lrm"),
    "batch": ("total_batch_size", "batch_tokens", "tokens_per_step"),
    "tokenizer": ("tokenizer",),
    "parameters": ("parameters", "params", "n_params", "num_params"),
}
DECAYED = 0.15  # a schedule has ended if it has decayed to a tenth of its peak or less
METRICS = ("bpb", "validation", "loss")
NANOTRON = re.compile(
    r"iteration: (?P<step>\d+) / (?P<steps>\d+) \|.*?consumed_tokens: (?P<tokens>[\d.]+[KMBGT]?)\b.*?lm_loss: (?P<loss>\S+)"
)
NANOTRON_EXTRA = re.compile(r"elapsed_time_per_iteration_ms: (?P<ms>[\d.]+[KMBGT]?)|\| lr: (?P<lr>[\d.eE+-]+)")
OPENLM = re.compile(r"Train Epoch: (?P<epoch>\d+) \[\s*(?P<samples>\d+)/(?P<total>\d+) \(\d+%\)\].*?Loss: (?P<loss>\S+)")
OPENLM_EXTRA = re.compile(r"LR: (?P<lr>[\d.eE+-]+)|Batch \(t\): (?P<seconds>[\d.]+)")
NANOCHAT = re.compile(r"^step (?P<step>\d+)(?:/(?P<steps>\d+))? .*?\| loss: (?P<loss>[^\s|]+)", re.MULTILINE)
NANOCHAT_VALIDATION = re.compile(r"^Step (?P<step>\d+) \| Validation bpb: (?P<bpb>\S+)", re.MULTILINE)
NANOCHAT_EXTRA = re.compile(r"\| lrm: (?P<lr>[\d.]+)|total time: (?P<minutes>[\d.]+)m")
SEQ_LEN = re.compile(r"seq_len['\"]?[:=]\s*(\d+)")
BATCH = re.compile(r"Total batch size:?\s+([\d,]+)")
PARAMETERS = re.compile(r"Number of parameters: ([\d,]+)")
TOKENIZER = re.compile(r"[Tt]okenizer(?:_name)?['\"]?\s*[:=]\s*['\"]?([\w./-]+)")


@dataclass(frozen=True)
class Record:
    """One line of a log; what it does not say is None."""

    tokens: float
    value: float
    seconds: float | None = None
    flops: float | None = None
    lr: float | None = None


@dataclass(frozen=True)
class Curve:
    """A run's curve. ``metric`` is bpb, validation or loss; tokens rise strictly over ``records``."""

    name: str
    metric: str
    records: tuple[Record, ...]
    tokenizer: str | None = None
    parameters: float | None = None
    finished: bool | None = None
    """Whether the log shows the planned end; None if it does not tell."""
    replaced: int = 0
    diverged: int = 0
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Hints:
    """Facts that a log may lack: tokens per step, tokens per sample, the metric to read."""

    tokens_per_step: float | None = None
    sequence_length: float | None = None
    metric: str | None = None


def read_curve(path: str, hints: Hints | None = None) -> Curve:
    """The curve of a log. Raises `EvidenceError` for a file of no known format, without tokens, or without a finite loss."""
    given, place = hints or Hints(), Path(path)
    if place.is_dir() or "tfevents" in place.name:
        return _curve(path, list(_tensorboard(path)), given)
    try:
        text = place.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise EvidenceError(f"{path}: cannot read a log: {error.strerror}") from None
    if not text.strip():
        raise EvidenceError(f"{path}: the log is empty")
    for pattern, read in ((NANOTRON, _nanotron), (OPENLM, _openlm), (NANOCHAT, _nanochat), (NANOCHAT_VALIDATION, _nanochat)):
        if pattern.search(text):
            return _curve(path, list(read(text, path, given)), given, text)
    if text.lstrip().startswith("{"):
        return _curve(path, list(_jsonl(text, path)), given)
    return _curve(path, list(_csv(text, path)), given)


def _jsonl(text: str, path: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                raise EvidenceError(f"{path}, line {number}: expected JSON: {error}") from None
            if not isinstance(value, dict):
                raise EvidenceError(f"{path}, line {number}: expected a JSON object")
            yield _named(value)


def _csv(text: str, path: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    titles = {str(title).strip().lower() for title in reader.fieldnames or []}
    if not titles & {name for key in METRICS for name in NAMES[key]}:
        shown = ", ".join(map(printable, list(reader.fieldnames or [])[:8]))
        raise EvidenceError(
            f"{path}: no known log: expected OpenLM's, nanochat's or nanotron's text, JSONL, TensorBoard, or CSV with tokens "
            f"(or step) and loss, val_loss or bpb; found {shown or 'nothing'}"
        )
    yield from map(_named, reader)


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    lowered = {str(key).strip().lower(): value for key, value in row.items() if value is not None and value != ""}
    return {
        key: lowered[name]
        for key, names in NAMES.items()
        if (name := next((n for n in names if n in lowered), None)) is not None
    }


def _tensorboard(path: str) -> Iterator[Mapping[str, Any]]:
    if Path(path).is_dir() and not any(Path(path).rglob("*tfevents*")):
        raise EvidenceError(
            f"{printable(path)} is a folder without TensorBoard's events: give a log's file, or the folder of its events"
        )
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        raise EvidenceError(f"{path}: TensorBoard's events need a package: pip install tensorboard") from None
    events = EventAccumulator(path, size_guidance={"scalars": 0})
    events.Reload()
    steps: dict[int, dict[str, Any]] = {}
    for tag in events.Tags()["scalars"]:
        key = next((k for k, names in NAMES.items() if tag.lower() in names), None)
        if key is not None:
            for event in events.Scalars(tag):
                steps.setdefault(event.step, {"step": event.step})[key] = event.value
                steps[event.step].setdefault("at", event.wall_time)
    start = min((row["at"] for row in steps.values()), default=0.0)
    for step in sorted(steps):
        steps[step].setdefault("seconds", steps[step]["at"] - start)
        yield steps[step]


def _units(text: str) -> float:
    return float(text[:-1]) * SUFFIXES[text[-1].lower()] if text[-1].isalpha() else float(text)


def _extra(pattern: "re.Pattern[str]", line: str) -> dict[str, str]:
    return {k: v for match in pattern.finditer(line) for k, v in match.groupdict().items() if v is not None}


def _nanotron(text: str, path: str, hints: Hints) -> Iterator[Mapping[str, Any]]:
    del path
    matches = [(match, line) for line in text.splitlines() if (match := NANOTRON.search(line))]
    # Tokens are printed with three digits, so that many lines print the same. The step counts them, at the last line's rate.
    last = max((match for match, _ in matches), key=lambda match: int(match["step"]))
    batch = hints.tokens_per_step or _units(last["tokens"]) / max(int(last["step"]), 1)
    seconds, before = 0.0, 0
    for match, line in matches:
        extra, step = _extra(NANOTRON_EXTRA, line), int(match["step"])
        if "ms" in extra:
            seconds += _units(extra["ms"]) / 1000 * max(step - before, 1)  # a line is printed every so many iterations
        before = step
        yield {
            "step": step, "steps": int(match["steps"]), "tokens": step * batch, "loss": match["loss"], "lr": extra.get("lr"),
            "seconds": seconds,
        }  # fmt: skip


def _openlm(text: str, path: str, hints: Hints) -> Iterator[Mapping[str, Any]]:
    found = SEQ_LEN.search(text)
    length = hints.sequence_length or (float(found[1]) if found else None)
    if length is None:
        raise EvidenceError(f"{path}: OpenLM's log counts samples and does not print seq_len; give --sequence-length")
    for line in text.splitlines():
        if match := OPENLM.search(line):
            extra, total = _extra(OPENLM_EXTRA, line), int(match["total"])
            samples = int(match["epoch"]) * total + int(match["samples"])
            yield {
                "tokens": samples * length,
                "loss": match["loss"],
                "lr": extra.get("lr"),
                "done": int(match["samples"]) >= total,
            }


def _nanochat(text: str, path: str, hints: Hints) -> Iterator[Mapping[str, Any]]:
    found = BATCH.search(text)
    batch = hints.tokens_per_step or (float(found[1].replace(",", "")) if found else None)
    if batch is None:
        raise EvidenceError(f"{path}: the log counts steps and does not print 'Total batch size'; give --tokens-per-step")
    last: dict[str, Any] = {}
    for line in text.splitlines():
        if match := NANOCHAT.match(line):
            extra = _extra(NANOCHAT_EXTRA, line)
            minutes = extra.get("minutes")
            last = {"seconds": float(minutes) * 60 if minutes else None, "lr": extra.get("lr"), "steps": match["steps"]}
            # The loss is that of the batch before the step is counted.
            yield {"step": int(match["step"]), "tokens": (int(match["step"]) + 1) * batch, "loss": match["loss"], **last}
        elif match := NANOCHAT_VALIDATION.match(line):
            yield {"step": int(match["step"]), "tokens": int(match["step"]) * batch, "bpb": match["bpb"], **last}


def _curve(path: str, rows: "list[Mapping[str, Any]]", hints: Hints, text: str = "") -> Curve:
    metric = hints.metric or next((m for m in METRICS if any(m in row for row in rows)), None)
    if metric is None or not any(metric in row for row in rows):
        raise EvidenceError(f"{path}: found no {metric or 'loss'} in {len(rows)} records; choose another --metric")
    batch = hints.tokens_per_step or next((float(row["batch"]) for row in rows if "batch" in row), None)
    kept, replaced, diverged = _records(rows, metric, batch, path)
    if not kept:
        raise EvidenceError(f"{path}: no record has a finite {metric}: the run diverged ({diverged} records)")
    found, size = TOKENIZER.search(text), PARAMETERS.search(text)
    tokenizers = sorted({str(row["tokenizer"]) for row in rows if row.get("tokenizer")})
    if len(tokenizers) > 1:
        raise EvidenceError(
            f"{path}: records of {len(tokenizers)} tokenizers ({', '.join(map(printable, tokenizers[:3]))}); split the log"
        )
    parameters = next((float(row["parameters"]) for row in rows if row.get("parameters")), None)
    return Curve(
        Path(path).name, metric, tuple(kept), tokenizers[0] if tokenizers else found[1] if found else None,
        float(size[1].replace(",", "")) if size else parameters, _finished(rows), replaced, diverged,
    )  # fmt: skip


def _records(rows: Iterable[Mapping[str, Any]], metric: str, batch: float | None, path: str) -> tuple[list[Record], int, int]:
    kept: list[Record] = []
    replaced = diverged = 0
    for number, row in enumerate(rows, 1):
        if row.get(metric) is None:
            continue
        place = f"{path}, record {number}"
        tokens = _float(row["tokens"], "tokens", place) if row.get("tokens") is not None else _tokens(row, batch, place)
        value = _float(row[metric], metric, place)
        if not math.isfinite(value):
            diverged += 1
            continue
        if value <= 0 or not math.isfinite(tokens) or tokens < 0:
            raise EvidenceError(
                f"{place}: expected {metric} above zero and tokens of at least zero, found {value:g} at {tokens:g}"
            )
        while kept and kept[-1].tokens >= tokens:
            kept.pop()
            replaced += 1
        rest = {key: _float(row[key], key, place) for key in ("seconds", "flops", "lr") if row.get(key) is not None}
        kept.append(Record(tokens, value, **rest))
    return kept, replaced, diverged


def _tokens(row: Mapping[str, Any], batch: float | None, place: str) -> float:
    if row.get("step") is None:
        raise EvidenceError(f"{place}: has neither tokens nor step")
    if batch is None:
        raise EvidenceError(f"{place}: has a step and no tokens; give --tokens-per-step")
    return _float(row["step"], "step", place) * batch


def _float(value: Any, name: str, place: str) -> float:
    try:
        return float(str(value).replace(",", ""))
    except ValueError:
        raise EvidenceError(f"{place}: {name}: expected a number, found {printable(value)!r}") from None


def _finished(rows: "list[Mapping[str, Any]]") -> bool | None:
    if any("done" in row for row in rows) and not rows[-1].get("done"):
        return False
    planned = [(int(row["step"]), int(row["steps"])) for row in rows if row.get("steps") and row.get("step") is not None]
    if planned:
        return max(step for step, _ in planned) >= planned[-1][1] - 1
    rates = [float(row["lr"]) for row in rows if row.get("lr") not in (None, "")]
    if len(rates) < 3 or max(rates) <= 0:
        return None
    return rates[-1] <= DECAYED * max(rates)
