"""What a comparison says: values for JSON, tables, sentences, a page.

Invariants: nothing is ranked where the interval of a difference contains 0; a dataset's rank is then a range. Values hold no
time and no machine, so that equal comparisons give equal bytes. It always says the published reliability of such proxies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from goldwash.evidence import charts
from goldwash.evidence.compare.experiment import Comparison, Measured
from goldwash.evidence.compare.intervals import Estimate, Multiplier, multiplier
from goldwash.evidence.compare.kinds import KINDS
from goldwash.evidence.quantities import short
from goldwash.evidence.tables import table
from goldwash.text_output import html_text, printable

UNDECIDED = "no difference shown"
COLUMNS = ("dataset", "bits per byte", "difference to {first}", "verdict", "multiplier")
MEAN = "mean of targets"


@dataclass(frozen=True)
class Table:
    """A table with a sentence above it."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def ranks(comparison: Comparison, result: Measured) -> list[tuple[int, int]]:
    """The best and the worst rank that each dataset may have, from 1, by the mean over targets."""
    count = len(comparison.names)
    out = []
    for i in range(count):
        signs = [comparison.mean_difference(result, i, j).verdict for j in range(count) if j != i]
        out.append((1 + sum(sign < 0 for sign in signs), count - sum(sign > 0 for sign in signs)))
    return out


def flips(comparison: Comparison) -> list[str]:
    """Sentences on pairs of datasets that two learning rates rank in opposite ways, or whose means change places."""
    out, names = list[str](), comparison.names
    rated = [result for result in comparison.measured if result.learner.rate is not None]
    for i, one in enumerate(names):
        for j in range(i + 1, len(names)):
            found = {result.learner.rate: comparison.mean_difference(result, i, j) for result in rated}
            better = {sign: [f"{rate:g}" for rate, d in found.items() if d.verdict == sign] for sign in (-1, 1)}
            pair = f"{one} and {names[j]}"
            if better[-1] and better[1]:
                out.append(
                    f"the ranking of {pair} flips by learning rate: {names[j]} is better at {', '.join(better[-1])}, {one} at "
                    f"{', '.join(better[1])}; trust the smaller rates (arXiv 2512.24503)"
                )
            elif len({d.mean > 0 for d in found.values() if d.mean}) > 1:
                out.append(f"the order of {pair} differs between learning rates, within the intervals")
    return out


def reliability(comparison: Comparison) -> list[str]:
    """Published sentences on how far proxies of these sizes can be trusted, with their sources."""
    known, out = table("proxies"), list[str]()
    for result in comparison.measured:
        size = result.learner.parameters
        entry = known["below-15M" if size is None or size < known["from-15M"]["parameters"][0] else "from-15M"]
        what = result.learner.name if size is None else f"{result.learner.name} ({short(size)} parameters)"
        about = "no study ranks data for large models by n-grams; " if size is None else ""
        out.append(f"{what}: {about}{entry['sentence']} ({entry['source']})")
    if any(result.learner.rate is not None for result in comparison.measured):
        out.append(f"{known['rate']['sentence']} ({known['rate']['source']})")
    if max(comparison.repeats) == 1 and comparison.settings.run_tokens is None:
        out.append(
            f"each token is seen once here; {known['repeats']['sentence']} ({known['repeats']['source']}): give --run-tokens"
        )
    return list(dict.fromkeys(out))


def values(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON."""
    data, settings = comparison.data, comparison.settings
    return {
        "settings": vars(settings),
        "budgets": list(comparison.budgets),
        "vocabulary": data.tokenizer.vocab,
        "datasets": [
            {
                "name": d.name, "documents": d.documents, "bytes": d.bytes, "empty": d.empty, "kept_part": d.part,
                "kept_tokens": data.available(n), "passes": comparison.repeats[n], "sample_fraction": comparison.fractions[n],
            }
            for n, d in enumerate(data.datasets)
        ],
        "targets": [
            {
                "name": t.name, "documents": len(t.sizes), "bytes": int(t.sizes.sum()), "tokens": len(t.tokens),
                "contaminated": t.contaminated, "contaminated_by": dict(t.contaminated_by), "left_out": t.left_out,
            }
            for t in data.targets
        ],
        "learners": [_learner(comparison, result) for result in comparison.measured],
        "flips": flips(comparison),
        "notes": list(comparison.notes),
        "reliability": reliability(comparison),
    }  # fmt: skip


def _learner(comparison: Comparison, result: Measured) -> dict[str, Any]:
    learner, placed = result.learner, ranks(comparison, result)
    return {
        "name": learner.name,
        "parameters": learner.parameters,
        "rate": learner.rate,
        "memory_bytes": result.memory,
        "results": [
            _result(comparison, result, target.name, number)
            for target in comparison.data.targets
            for number in range(len(comparison.names))
        ],
        "mean": [
            {
                "dataset": name,
                "bits_per_byte": comparison.mean_level(result, n),
                "difference": _estimate(comparison.mean_difference(result, 0, n)) if n else None,
                "rank": list(placed[n]),
            }
            for n, name in enumerate(comparison.names)
        ],
    }


def _result(comparison: Comparison, result: Measured, target: str, number: int) -> dict[str, Any]:
    sizes = next(t for t in comparison.data.targets if t.name == target)
    by_kind = (sizes.kind_sizes, result.kind_bits[target][number])
    times = comparison.multiplier(result, target, number)
    return {
        "target": target,
        "dataset": comparison.names[number],
        "bits_per_byte": _estimate(comparison.level(result, target, number)),
        "difference": _estimate(comparison.difference(result, target, 0, number)) if number else None,
        "multiplier": {"value": times.value, "bound": times.bound, "tokens_for_one": times.tokens_for_one},
        "curve": comparison.curve(result, target, number).tolist(),
        "by_kind": {k: (float(b / s) if s else None) for k, s, b in zip(KINDS, *by_kind, strict=True)},
    }


def _estimate(one: Estimate) -> dict[str, Any]:
    verdict = {-1: "lower", 0: UNDECIDED, 1: "higher"}[one.verdict]
    return {
        "mean": one.mean, "low": one.low, "high": one.high, "over_seeds": one.over_seeds,
        "over_documents": one.over_documents, "verdict": verdict,
    }  # fmt: skip


def tables(comparison: Comparison, by_kind: bool = False) -> list[Table]:
    """A table per learner and target, one of the means if there are several targets, and one per target of kinds."""
    out = list[Table]()
    for result in comparison.measured:
        out += [_target_table(comparison, result, target.name) for target in comparison.data.targets]
        if len(comparison.data.targets) > 1:
            out.append(_mean_table(comparison, result))
        if by_kind:
            out += [_kind_table(comparison, result, number) for number in range(len(comparison.data.targets))]
    return out


def _columns(comparison: Comparison) -> tuple[str, ...]:
    return tuple(title.format(first=printable(comparison.names[0], 24)) for title in COLUMNS)


def _target_table(comparison: Comparison, result: Measured, target: str) -> Table:
    one = next(t for t in comparison.data.targets if t.name == target)
    rows = []
    for n, name in enumerate(comparison.names):
        level = comparison.level(result, target, n)
        apart = comparison.difference(result, target, 0, n) if n else None
        times = _multiplier(comparison.multiplier(result, target, n)) if n else "1"
        rows.append((name, f"{level.mean:.4f}", *difference_cells(apart), times))
    title = f"{result.learner.name}, target {target} ({len(one.sizes):,} documents, {short(one.sizes.sum())} bytes)"
    return Table(title, _columns(comparison), rows)


def _mean_table(comparison: Comparison, result: Measured) -> Table:
    rows = []
    for n, name in enumerate(comparison.names):
        apart = comparison.mean_difference(result, 0, n) if n else None
        rows.append((name, f"{comparison.mean_level(result, n):.4f}", *difference_cells(apart)))
    return Table(f"{result.learner.name}, {MEAN}", _columns(comparison)[:4], rows)


def _kind_table(comparison: Comparison, result: Measured, number: int) -> Table:
    target = comparison.data.targets[number]
    rows = [
        (name, *(f"{b / s:.3f}" if s else "-" for s, b in zip(target.kind_sizes, bits, strict=True)))
        for name, bits in zip(comparison.names, result.kind_bits[target.name], strict=True)
    ]
    return Table(f"{result.learner.name}, target {target.name}: bits per byte by kind", ("dataset", *KINDS), rows)


def difference_cells(one: Estimate | None) -> tuple[str, str]:
    """A difference with its half interval, and its verdict in words; dashes for the first dataset."""
    if one is None:
        return "-", "-"
    verdict = {-1: "better", 0: UNDECIDED, 1: "worse"}[one.verdict]
    return f"{one.mean:+.4f} ±{one.half_width:.4f}", verdict


def mean_multiplier(comparison: Comparison, result: Measured, number: int) -> str:
    """The multiplier over the first dataset, by the mean of all targets' curves."""
    found = comparison.mean_curve(result, 0), comparison.mean_curve(result, number)
    return _multiplier(multiplier(comparison.budgets, *found)) if number else "1"


def _multiplier(one: Multiplier) -> str:
    return f"{one.bound} {one.value:.2f}".strip()


def sentences(comparison: Comparison) -> list[str]:
    """The ranking of each learner, flips by learning rate, notes, and what is known of proxies of this size."""
    out = list[str]()
    for result in comparison.measured:
        placed = ranks(comparison, result)
        order = sorted(range(len(placed)), key=lambda n: (placed[n], comparison.mean_level(result, n)))
        words = [f"{comparison.names[n]} {_rank(placed[n])}" for n in order]
        several = len(comparison.data.targets) > 1
        out.append(f"ranks by {result.learner.name}{f', {MEAN}' if several else ''}: {', '.join(words)}")
        if any(low != high for low, high in placed):
            out.append(
                f"a range of ranks: {UNDECIDED}, since the 95% interval of a difference contains 0; more --seeds or targets"
            )
    first = comparison.names[0]
    out.append(
        f"multiplier: one token of a dataset does what so many of {first} do; differences are in bits per byte, lower is better"
    )
    return [*out, *flips(comparison), *comparison.notes, *reliability(comparison)]


def _rank(placed: tuple[int, int]) -> str:
    return str(placed[0]) if placed[0] == placed[1] else f"{placed[0]} to {placed[1]}"


def headline(comparison: Comparison) -> str:
    """What was trained and asked, in a line."""
    memory = max(result.memory for result in comparison.measured)
    return (
        f"{len(comparison.names)} datasets, {short(comparison.budgets[-1])} tokens each, {comparison.settings.seeds} seeds, a "
        f"vocabulary of {comparison.data.tokenizer.vocab:,}; a model takes up to {memory / 1e6:,.0f} MB"
    )


def curves(comparison: Comparison) -> list[charts.Chart]:
    """A chart per learner and target: bits per byte by tokens."""
    return [
        charts.Chart(
            f"{result.learner.name}, target {target.name}",
            "tokens",
            "bits per byte",
            [
                charts.Series(name, list(map(float, comparison.budgets)), comparison.curve(result, target.name, n).tolist())
                for n, name in enumerate(comparison.names)
            ],
            log_x=True,
        )
        for result in comparison.measured
        for target in comparison.data.targets
    ]


def page(comparison: Comparison, title: str, by_kind: bool, extra: Sequence[Table] = ()) -> str:
    """A page of HTML with tables, curves and sentences. Raises `EvidenceError` where matplotlib is not installed."""
    body = [f"<p>{html_text(headline(comparison))}</p>"]
    body += [
        f"<h2>{html_text(one.title)}</h2>\n{charts.html_table(one.columns, one.rows)}"
        for one in (*extra, *tables(comparison, by_kind))
    ]
    body.append("<ul>" + "".join(f"<li>{html_text(line)}</li>\n" for line in sentences(comparison)) + "</ul>")
    drawn = curves(comparison) if len(comparison.budgets) > 1 else []
    return charts.page(drawn, title, "\n".join(body))
