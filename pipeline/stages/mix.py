"""mix: a training set from several sources, in given proportions, shuffled.

Invariants: the passes are, in order:

1. Count: the group, the weight and, for quantiles, the score of each document go to ``keys/``. Where the weights need no text
   (in documents, or with a column ``token_count``), the text is not read.
2. For quantiles: a second histogram finds the edges among float32 scores exactly; then each bucket is counted.
3. The driver solves for the rate of each bucket (`mixing.plan`). An impossible mixture is refused here, before any copy.
4. Draw: the documents that are taken at rates close to the wanted ones. The driver sets each rate so that the amount taken is
   within half a document of the amount wanted.
5. Spread and gather (`mixing.passes`): the copies, in the order of their places.

Documents keep all columns and get ``source``, ``bucket`` (if a source is split) and ``epoch`` (int32, 0 for the first use).
Which documents are taken, and where they go, depends on the seed, the source's name and the documents' numbers in it
(`mixing.draws`), so that other sources do not change it. A report counts each document once, however often it is repeated;
``notes.repeats`` counts the further copies.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.credentials import kept_apart
from goldwash.filters.fetch import file_digest
from goldwash.filters.jit import warm_up
from goldwash.filters.texts import Texts
from goldwash.pipeline.mixing import buckets, draws, olmix, passes, plan, schemas
from goldwash.pipeline.mixing.quantities import quantity
from goldwash.pipeline.mixing.sources import MOST_COPIES, Source, sources_of
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, claim, finish, markers_of, stage_of
from goldwash.pipeline.storage.atomic import write_text
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import columns_without_text
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DROPPED, dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import verified
from goldwash.text_output import printable

INPUT = "input"
"""The name of the one source of a mixture without ``sources``."""

RULE = "not_drawn"
"""The rule of documents that the mixture does not take."""

Numbers = npt.NDArray[np.int64]
Unit = Literal["tokens", "bytes", "documents"]


@dataclass(frozen=True)
class Mix(Stage):
    """Mix sources in given proportions: by tokens, with buckets, upsampling by quality, and repeats; shuffled."""

    name: ClassVar[str] = "mix"
    sources: Mapping[str, Any] = field(default_factory=dict)
    """The sources by name (docs/mixing.md). Empty: the input alone."""
    tokens: str | float | None = None
    """The total in tokens, as 8.2B, or ``all``: as much as the weights allow without repeating anything. Null: see unit."""
    bytes: str | float | None = None
    """The total in bytes of text instead, or ``all``."""
    documents: str | float | None = None
    """The total in documents instead, or ``all``. Without any of the three: all, weighed in tokens."""
    bytes_per_token: float | None = None
    """An estimate of tokens for files without a column ``token_count``, as 4.5."""
    max_repeats: float = 4.0
    """The most repeats of a source that sets no ``max_repeats`` of its own."""
    columns: tuple[str, ...] | None = None
    """The columns to keep besides id, url and text. Null: all."""
    seed: int = 0
    """The seed of the draws and of the shuffle."""
    shard_bytes: int = 256 << 20
    """The size of an output shard, on average."""

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.tokens, self.bytes, self.documents)) > 1:
            raise RecipeError("stage mix: give one of tokens, bytes and documents, and set the others to null", ("tokens",))
        try:
            _ = self.total
        except ValueError as error:
            raise RecipeError(f"stage mix: {self.unit} is {self.given!r}: {error}, or all", (self.unit,)) from error
        if self.bytes_per_token is not None and not 0.1 <= self.bytes_per_token <= 1000:
            raise RecipeError(
                f"stage mix: bytes_per_token is {self.bytes_per_token}; expected a number such as 4.5", ("bytes_per_token",)
            )
        if not 0 < self.max_repeats <= MOST_COPIES:
            raise RecipeError(
                f"stage mix: max_repeats is {self.max_repeats}; expected more than 0 and up to {MOST_COPIES}", ("max_repeats",)
            )
        if self.shard_bytes < 1:
            raise RecipeError(f"stage mix: shard_bytes is {self.shard_bytes}; expected 1 or more", ("shard_bytes",))
        _ = self.parsed

    @property
    def unit(self) -> Unit:
        """The unit of the weights and of the total."""
        return "bytes" if self.bytes is not None else "documents" if self.documents is not None else "tokens"

    @property
    def given(self) -> str | float | None:
        """The total as given."""
        return self.tokens if self.tokens is not None else self.bytes if self.bytes is not None else self.documents

    @property
    def total(self) -> float | None:
        """The total; None for all."""
        return None if self.given is None or self.given == "all" else quantity(self.given)

    @cached_property
    def parsed(self) -> tuple[Source, ...]:
        """The sources."""
        return sources_of(self.sources or {INPUT: None}, self.max_repeats)

    @cached_property
    def own(self) -> tuple[tuple[int, Input], ...]:
        """The files of the sources that name their input, each with its source's number."""
        return tuple(
            (n, file)
            for n, source in enumerate(self.parsed)
            if source.input
            for file in find_shards([kept_apart(name) for name in source.input], source.reading)
        )

    def fingerprint(self, inputs: Sequence[Input], with_code: bool = True) -> str:
        """As for any stage; the files of the sources count as inputs."""
        return super().fingerprint([*inputs, *(file for _, file in self.own)], with_code)

    def versions(self) -> dict[str, str]:
        """The digests of the lists of hosts."""
        from goldwash.filters.lists import located

        names = {
            hosts for source in self.parsed for split in source.split for _, hosts in split.hosts if isinstance(hosts, str)
        }
        return {f"list {name}": file_digest(located(name.partition("::")[0])) for name in sorted(names)}

    def preflight(self) -> None:
        """Check that the first file of each source that names its input has the columns that the mixture needs."""
        self.versions()
        for n, source in enumerate(self.parsed):
            files = [file for number, file in self.own if number == n]
            if source.input and not files:
                raise DataError(f"source {source.name}: no documents in {', '.join(map(printable, source.input))}")
            if files:
                self._check(source, files[0])

    def _check(self, source: Source, file: Input) -> None:
        buckets.check_columns(source, self.unit, self.bytes_per_token, schema_of(file).names, file.path)

    def cost(self, load: Load) -> Cost:
        """Measured (docs/mixing.md); the text is copied twice."""
        return Cost(60.0, 1.0, load.text_bytes / max(load.documents, 1) / passes.SPREAD_RATIO, memory=passes.TASK_MEMORY)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Count, plan, draw, spread, gather."""
        self.preflight()
        mixture = _Mixture(self, inputs, out)
        counting = mixture.count(run)
        held = mixture.held(run, counting)
        planned = plan.planned(self.parsed, held.buckets, self.total, self.unit)
        rates = mixture.draw(run, held, planned)
        spreading, gathering = mixture.write(run, held, rates)
        facts = mixture.facts(held, planned, spreading)
        mixture.write_ratios(facts)
        return finish(self, inputs, out, [*spreading, *gathering], facts)

    def preview(self, inputs: Sequence[Input], out: str, run: Run) -> dict[str, Any]:
        """The report's facts that are known before a document is written; the counts stay in ``out``."""
        claim(self, inputs, out)
        mixture = _Mixture(self, inputs, out)
        held = mixture.held(run, mixture.count(run))
        planned = plan.planned(self.parsed, held.buckets, self.total, self.unit)
        return mixture.facts(held, planned)

    def files(self, inputs: Sequence[Input]) -> list[tuple[int, Input]]:
        """All files with their sources' numbers, source by source; `DataError` where inputs belong to no source."""
        own = [n for n, source in enumerate(self.parsed) if not source.input]
        if inputs and not own:
            raise DataError(
                "stage mix has input, but each source names its own: leave out the `input` of one, which is "
                "then the documents of the stage before"
            )
        if own and not inputs:
            raise DataError(
                f"source {self.parsed[own[0]].name} has no input, and there is no stage before: give it one, as `input: FOLDER`"
            )
        found = sorted([*self.own, *((own[0], file) for file in inputs)], key=lambda pair: pair[0])
        seen: dict[tuple[str, Any], int] = {}
        for n, file in found:
            other = seen.setdefault((file.path, file.groups), n)
            if other != n:
                raise DataError(
                    f"{printable(file.path)} is in the sources {self.parsed[other].name} and {self.parsed[n].name}, and its "
                    "documents would count twice: name it in one of them"
                )
        return found


@dataclass(frozen=True)
class _Held:
    """The results of the first passes. ``rows``: for each group of each file, the bucket of each quantile."""

    buckets: list[plan.Held]
    rows: list[list[list[int]]]
    edges: list[list[int]]
    documents: list[int]
    keys: list[dict[str, Any]]
    facts: list[dict[str, Any]]


class _Mixture:
    """One run of the stage."""

    def __init__(self, stage: Mix, inputs: Sequence[Input], out: str) -> None:
        self.stage, self.out = stage, out
        self.files = stage.files(inputs)
        self.tasks = Tasks(stage, inputs, out)

    def count(self, run: Run) -> list[Task]:
        """The first pass."""
        found = [self.tasks.one("count", n, sources=(file,), source=s) for n, (s, file) in enumerate(self.files)]
        run(count_file, found)
        return found

    def held(self, run: Run, counting: Sequence[Task]) -> _Held:
        """The contents of each bucket, after the passes that quantiles need."""
        markers = list(markers_of(counting))
        facts = [marker["facts"] for marker in markers]
        keys = [{"file": _keys_file(n), **_facts_of(marker, _keys_file(n))} for n, marker in enumerate(markers)]
        edges = self._edges(run, facts, keys)
        tallied = self._tallies(run, facts, keys, edges)
        sums: dict[tuple[int, buckets.Parts], list[Any]] = {}
        named: list[tuple[int, list[list[buckets.Parts]]]] = []
        for n, (s, _) in enumerate(self.files):
            named.append((s, []))
            for group, counts in zip(facts[n]["groups"], tallied[n], strict=True):
                parts = [buckets.full_parts(self.stage.parsed[s], tuple(group), q) for q in range(len(counts))]
                for one, count in zip(parts, counts, strict=True):
                    have = sums.setdefault((s, one), [0, 0, 0.0, 0])
                    sums[s, one] = [a + b for a, b in zip(have, count, strict=True)]
                named[-1][1].append(parts)
        order = sorted(sums)
        number = {key: n for n, key in enumerate(order)}
        found = [plan.Held(s, parts, *sums[s, parts]) for s, parts in order]
        rows = [[[number[s, one] for one in parts] for parts in groups] for s, groups in named]
        return _Held(found, rows, edges, [int(fact["documents"]) for fact in facts], keys, facts)

    def _edges(self, run: Run, facts: Sequence[Mapping[str, Any]], keys: Sequence[Mapping[str, Any]]) -> list[list[int]]:
        """The edges between quantiles, for each source; none for one without quantiles.

        An edge is the largest key up to which there is at most its share of the weight: equal scores stay together.
        """
        bins: list[list[tuple[int, float]]] = []
        for s, source in enumerate(self.stage.parsed):
            split = source.quantile
            bins.append([])
            if split is None:
                continue
            table = _summed(fact["histogram"] for (n, _), fact in zip(self.files, facts, strict=True) if n == s)
            whole = sum(table.values())
            bins[s] = [buckets.bin_of(table, whole * q / split.quantiles) for q in range(1, split.quantiles)]
        refined = {n: sorted({at for at, _ in bins[s]}) for n, (s, _) in enumerate(self.files) if bins[s]}
        tasks = [self.tasks.one("edges", k, keys=keys[n], bins=some) for k, (n, some) in enumerate(refined.items())]
        if tasks:
            run(refine_edges, tasks)
        found = dict(zip(refined, (marker["facts"]["histograms"] for marker in markers_of(tasks)), strict=True))
        edges: list[list[int]] = []
        for s, some in enumerate(bins):
            edges.append([])
            own = [found[n] for n, (number, _) in enumerate(self.files) if number == s and n in found]
            for at, want in some:
                table = _summed(tables[str(at)] for tables in own)
                edges[s].append((at << 16) + buckets.last_within(table, want))
        return edges

    def _tallies(
        self, run: Run, facts: Sequence[Mapping[str, Any]], keys: Sequence[Mapping[str, Any]], edges: Sequence[Sequence[int]]
    ) -> list[list[list[list[Any]]]]:
        """The numbers of `_tallied` for each quantile of each group of each file."""
        some = [n for n, (s, _) in enumerate(self.files) if self.stage.parsed[s].quantile is not None]
        tasks = [
            self.tasks.one("tally", k, keys=keys[n], edges=edges[self.files[n][0]], groups=len(facts[n]["groups"]))
            for k, n in enumerate(some)
        ]
        if tasks:
            run(tally, tasks)
        found = dict(zip(some, (marker["facts"]["tally"] for marker in markers_of(tasks)), strict=True))
        return [found[n] if n in found else [[row] for row in fact["tally"]] for n, fact in enumerate(facts)]

    def draw(self, run: Run, held: _Held, planned: plan.Plan) -> list[float]:
        """The rate of each bucket, set so that the amount taken is as near to the target as whole documents allow."""
        rates = [wanted.rate for wanted in planned.wanted]
        open_ = [
            n
            for n, rate in enumerate(rates)
            if rate > 0 and not (rate.is_integer() and _same(held.buckets[n], planned.wanted[n]))
        ]
        width = 8.0
        for attempt in range(6):
            if not open_:
                return rates
            limits = {n: plan.bounds(held.buckets[n], rates[n], width) for n in open_}
            tasks = self._drawing(held, limits, attempt)
            run(draw_file, tasks)
            below, found = dict.fromkeys(open_, 0), {n: list[tuple[Any, Any]]() for n in open_}
            for task, marker in zip(tasks, markers_of(tasks), strict=True):
                for name, weight in marker["facts"]["below"].items():
                    below[int(name)] += weight
                for n, pair in _events(task, marker).items():
                    found[n].append(pair)
            left = []
            for n in open_:
                events, weights = (np.concatenate([pair[k] for pair in found[n]] or [np.zeros(0)]) for k in (0, 1))
                rate = draws.rate_for(planned.wanted[n].target, below[n], events, weights.astype(np.int64))
                if rate is None:
                    left.append(n)
                else:
                    rates[n] = rate
            open_, width = left, width * 8
        raise AssertionError("a bucket's target is outside even the widest bounds")

    def _drawing(self, held: _Held, limits: Mapping[int, tuple[float, float]], attempt: int) -> list[Task]:
        tasks: list[Task] = []
        for n, (start, (s, _)) in enumerate(zip(self.starts(held), self.files, strict=True)):
            here = {b: limits[b] for group in held.rows[n] for b in group if b in limits}
            if here:
                rates = {str(b): list(limit) for b, limit in sorted(here.items())}
                extra: dict[str, Any] = {"keys": held.keys[n], "edges": held.edges[s], "rows": held.rows[n]}
                extra |= {"start": start, "source": s}
                tasks.append(self.tasks.one(f"draw{attempt + 1}", len(tasks), **extra, rates=rates))
        return tasks

    def starts(self, held: _Held) -> list[int]:
        """The number of each file's first document in its source."""
        ends = dict.fromkeys(range(len(self.stage.parsed)), 0)
        found = []
        for (s, _), documents in zip(self.files, held.documents, strict=True):
            found.append(ends[s])
            ends[s] += documents
        return found

    def write(self, run: Run, held: _Held, rates: Sequence[float]) -> tuple[list[Task], list[Task]]:
        """Spread and gather."""
        documents = stored = text = 0.0
        for (s, _), fact in zip(self.files, held.facts, strict=True):
            share = self._share(held, rates, s)
            documents += fact["documents"] * share
            stored, text = stored + fact["stored"] * share, text + fact["text"] * share
        schema = self._schema(held)
        shuffle = passes.Shuffle(self.tasks, passes.Layout.of(documents, stored, text, self.stage.shard_bytes), schema)
        sizes, starts = passes.spread_files([file for _, file in self.files]), self.starts(held)
        spreading = []
        for k, (a, b) in enumerate(passes.groups_of(sizes)):
            extra = [
                {"keys": held.keys[n], "edges": held.edges[self.files[n][0]], "rows": held.rows[n], "start": starts[n],
                 "source": self.files[n][0], "documents": held.documents[n]}
                for n in range(a, b)
            ]  # fmt: skip
            used = sorted({bucket for n in range(a, b) for group in held.rows[n] for bucket in group})
            names = {str(bucket): [held.buckets[bucket].name, rates[bucket]] for bucket in used}
            files = [file for _, file in self.files[a:b]]
            spreading.append(
                self.tasks.one(
                    "spread1", k, sources=files, memory=passes.TASK_MEMORY, held=extra, buckets=names, **shuffle.first_extra()
                )
            )
        return spreading, shuffle.run(run, spread_documents, spreading)

    def _share(self, held: _Held, rates: Sequence[float], s: int) -> float:
        own = [(rates[n] * b.weight, b.weight) for n, b in enumerate(held.buckets) if b.source == s]
        return sum(took for took, _ in own) / max(sum(have for _, have in own), 1)

    def _schema(self, held: _Held) -> pa.Schema:
        """The columns of all sources, and those that the stage adds."""
        found: dict[str, tuple[str, pa.Schema]] = {}
        for (_, file), fact in zip(self.files, held.facts, strict=True):
            if fact["schema"] not in found:
                found[fact["schema"]] = (file.path, schemas.unpacked(fact["schema"]))
        cure = ", or name the columns to keep, as `columns: [date, token_count]`"
        whole = schemas.united(found.values(), self.stage.columns, cure)
        added = {"source": pa.string(), **({"bucket": pa.string()} if self._divided else {}), "epoch": pa.int32()}
        return with_fields(whole, **added)

    @property
    def _divided(self) -> bool:
        return any(source.split for source in self.stage.parsed)

    def facts(self, held: _Held, planned: plan.Plan, spreading: Sequence[Task] | None = None) -> dict[str, Any]:
        """The entries for the report: for each bucket the amounts it had, wanted, gave and has left, and its repeats.

        ``spreading``: the tasks that took documents; None before there are any.
        """
        taken = _taken(spreading) if spreading is not None else None
        rows: list[dict[str, Any]] = []
        for n, (bucket, wanted) in enumerate(zip(held.buckets, planned.wanted, strict=True)):
            row = {"source": self.stage.parsed[bucket.source].name, "bucket": bucket.name or None, "wanted": wanted.target}
            row |= {"had": bucket.weight, "documents": bucket.documents, "repeats": wanted.rate}
            if taken is not None:
                used, copies, once, weight = taken.get(n, (0, 0, 0, 0))
                row |= {"taken": weight, "repeats": weight / bucket.weight if bucket.weight else 0.0}
                row |= {"left": bucket.once - once, "documents_taken": used, "copies": copies}
            rows.append(row)
        mean = [(b.source, b.name, row["repeats"]) for b, row in zip(held.buckets, rows, strict=True)]
        curves = [
            {"source": self.stage.parsed[s].name, "bucket": group or None, "C": c.scale, "p": c.power, "lambda": c.rate}
            for (s, group), c in planned.curves.items()
        ]
        counted = sum(fact["counted"] for fact in held.facts)
        tokens = {"files_counted": counted, "files_estimated": len(held.facts) - counted}
        return {
            "unit": self.stage.unit, "total": planned.total, "buckets": rows, "curves": curves,
            "tokens_by": {**tokens, "bytes_per_token": self.stage.bytes_per_token} if self.stage.unit == "tokens" else None,
            "warnings": plan.warnings(self.stage.parsed, mean),
        }  # fmt: skip

    def write_ratios(self, facts: Mapping[str, Any]) -> None:
        """Write the shares taken as Olmix's ``ratios.csv``, and a ``metrics.csv`` to fill in."""
        named = {row["source"] + (f":{row['bucket']}" if row["bucket"] else ""): row["taken"] for row in facts["buckets"]}
        whole = max(sum(named.values()), 1)
        shares = [[taken / whole for taken in named.values()]]
        write_text(join(self.out, "mixture", "ratios.csv"), olmix.ratios_csv(list(named), shares, ["mixture"]))
        write_text(join(self.out, "mixture", "metrics.csv"), olmix.metrics_csv(["metric_bpb"], ["mixture"]))


def _taken(spreading: Sequence[Task]) -> dict[int, list[int]]:
    """For each bucket: documents taken, copies, weight of the documents, weight of the copies."""
    found: dict[int, list[int]] = {}
    for marker in markers_of(spreading):
        for n, counts in marker["facts"]["taken"].items():
            found[int(n)] = [a + b for a, b in zip(found.get(int(n), [0, 0, 0, 0]), counts, strict=True)]
    return found


def _same(bucket: plan.Held, wanted: plan.Wanted) -> bool:
    """Whether a whole rate takes exactly the wanted amount."""
    return wanted.target == wanted.rate * bucket.weight


def _keys_file(n: int) -> str:
    return f"keys/keys-{n:05d}.parquet"


def _facts_of(marker: Mapping[str, Any], file: str) -> dict[str, Any]:
    return {"bytes": marker["files"][file]["bytes"], "sha256": marker["files"][file]["sha256"]}


def _summed(tables: Any) -> dict[int, int]:
    total: dict[int, int] = {}
    for table in tables:
        for b, weight in table.items():
            total[int(b)] = total.get(int(b), 0) + weight
    return total


# --- the first pass


def count_file(task: Task) -> None:
    """Write the group, the weight, the copies and the score of each document of a file."""
    stage = stage_of(task, Mix)
    source, file = stage.parsed[task.extra["source"]], task.source
    if any(split.hosts for split in source.split):
        warm_up("mix", "hosts", buckets.compile_hosts)
    columns = schema_of(file)
    buckets.check_columns(source, stage.unit, stage.bytes_per_token, columns.names, file.path)
    groups, split = buckets.Groups(source), source.quantile
    schema = pa.schema(
        [("group", pa.int32()), ("weight", pa.int64()), ("times", pa.int32()), *([("key", pa.uint32())] if split else [])]
    )
    tallies: list[list[float]] = []
    histogram: dict[int, int] = {}
    text = 0
    with TaskOutput(task, None, dropped=False) as output:
        output.open("keys", _keys_file(task.index), schema, dictionary=False)
        counted = stage.unit == "tokens" and buckets.TOKEN_COLUMN in columns.names
        for table, bytes_ in _planning_tables(output, source, stage.unit, counted):
            group = groups.of(table, file.path)
            weight = buckets.weights_of(table, stage.unit, stage.bytes_per_token, file.path)
            times = buckets.times_of(table, source.rehydrate, file.path)
            rows = [pa.array(group, pa.int32()), pa.array(weight), pa.array(times, pa.int32())]
            if split:
                keys = buckets.keys_of(table, split, file.path)
                rows.append(pa.array(keys))
                _add(histogram, (keys >> np.uint32(16)).astype(np.int64), weight * times)
            output.write("keys", pa.table(rows, schema=schema))
            _tallied(tallies, group, weight, times)
            text += bytes_
        output.facts |= {
            "documents": int(sum(row[0] for row in tallies)), "groups": groups.names, "histogram": _named(histogram),
            "tally": tallies, "counted": counted, "schema": schemas.packed(columns),
            "stored": _stored(file, text), "text": text,
        }  # fmt: skip


def _planning_tables(output: TaskOutput, source: Source, unit: str, counted: bool) -> Iterator[tuple[pa.Table, int]]:
    """The columns that the plan needs of a file, with the bytes of its text (estimated where the text is not read)."""
    file = output.task.source
    if unit == "documents" or counted:
        found = columns_without_text(file, buckets.needed_columns(source, unit))
        if found is not None:
            yield from found
            return
    for table, texts in output.batches(file):
        output.count(texts)
        yield table, texts.bytes


def _add(histogram: dict[int, int], bins: Numbers, weights: Numbers) -> None:
    found, inverse = np.unique(bins, return_inverse=True)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, inverse, weights)
    for b, weight in zip(found.tolist(), sums.tolist(), strict=True):
        histogram[b] = histogram.get(b, 0) + weight


def _named(histogram: Mapping[int, int]) -> dict[str, int]:
    """A histogram for JSON, whose keys are strings."""
    return {str(b): weight for b, weight in histogram.items()}


def _tallied(tallies: list[list[float]], rows: Numbers, weights: Numbers, times: Numbers) -> None:
    """Add documents, weights with copies, squares of weights and weights to the rows of a table; new rows are appended."""
    most = int(rows.max(initial=-1)) + 1
    while len(tallies) < most:
        tallies.append([0, 0, 0.0, 0])
    documents, sums, squares, once = np.bincount(rows, minlength=most), *(np.zeros(most, kind) for kind in ("i8", "f8", "i8"))
    np.add.at(sums, rows, weights * times)
    np.add.at(once, rows, weights)
    np.add.at(squares, rows, weights.astype(np.float64) ** 2)
    for n in np.flatnonzero(documents).tolist():
        tallies[n][0] += int(documents[n])
        tallies[n][1] += int(sums[n])
        tallies[n][2] += float(squares[n])
        tallies[n][3] += int(once[n])


def _stored(file: Input, text: int) -> float:
    """The bytes of a file's documents in Parquet: the size of a whole file, or an estimate from the bytes of text."""
    if file.path.endswith((".parquet", ".pq")) and file.bytes and file.groups is None:
        return float(file.bytes)
    return text / passes.TEXT_RATIO


# --- later passes over the keys


def _read_keys(task: Task, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a file of keys, verified."""
    with verified(join(task.out, keys["file"]), keys) as file:
        table = pq.read_table(file, page_checksum_verification=True, use_threads=False)
    return {name: table[name].to_numpy() for name in table.column_names}


def _quantiles(keys: Mapping[str, Any], edges: Sequence[int]) -> Numbers:
    """The quantile of each document: how many edges are below its key; 0 without quantiles."""
    if "key" not in keys:
        return np.zeros(len(keys["group"]), np.int64)
    return np.asarray(np.searchsorted(np.array(edges, np.int64), keys["key"].astype(np.int64), side="left"), np.int64)


def _buckets_of(keys: Mapping[str, Any], edges: Sequence[int], rows: Sequence[Sequence[int]]) -> Numbers:
    """The bucket of each document: ``int64[N]``."""
    if not rows:
        return np.zeros(0, np.int64)
    return np.asarray(np.array(rows, np.int64)[keys["group"], _quantiles(keys, edges)])


def refine_edges(task: Task) -> None:
    """For each bin of an edge, a histogram of the lower 16 bits of the keys in it."""
    stage_of(task, Mix)
    keys = _read_keys(task, task.extra["keys"])
    high, weights = (keys["key"] >> np.uint32(16)).astype(np.int64), keys["weight"] * keys["times"]
    found: dict[str, dict[str, int]] = {}
    for b in task.extra["bins"]:
        inside, table = high == b, dict[int, int]()
        _add(table, (keys["key"][inside] & np.uint32(0xFFFF)).astype(np.int64), weights[inside])
        found[str(b)] = _named(table)
    with TaskOutput(task, None, dropped=False) as output:
        output.facts["histograms"] = found


def tally(task: Task) -> None:
    """Count the documents of each group and quantile."""
    stage_of(task, Mix)
    keys, count = _read_keys(task, task.extra["keys"]), len(task.extra["edges"]) + 1
    rows = keys["group"].astype(np.int64) * count + _quantiles(keys, task.extra["edges"])
    flat: list[list[float]] = [[0, 0, 0.0, 0] for _ in range(count * task.extra["groups"])]
    _tallied(flat, rows, keys["weight"], keys["times"].astype(np.int64))
    with TaskOutput(task, None, dropped=False) as output:
        output.facts["tally"] = [flat[n : n + count] for n in range(0, len(flat), count)]


EVENTS = pa.schema([("bucket", pa.int64()), ("rate", pa.float64()), ("weight", pa.int64())])


def draw_file(task: Task) -> None:
    """Write the weight that each bucket gives below its lower rate, and the documents that it gives between its two rates."""
    stage = stage_of(task, Mix)
    keys = _read_keys(task, task.extra["keys"])
    bucket = _buckets_of(keys, task.extra["edges"], task.extra["rows"])
    wanted = {int(n): limits for n, limits in task.extra["rates"].items()}
    rows = np.flatnonzero(np.isin(bucket, list(wanted)))
    bucket = bucket[rows]
    low, high = (_by_bucket({n: limits[k] for n, limits in wanted.items()}, bucket) for k in (0, 1))
    times, weight = keys["times"][rows].astype(np.int64), keys["weight"][rows]
    chance = draws.Draw(stage.seed, stage.parsed[task.extra["source"]].name).chance(rows + task.extra["start"])
    below, above = draws.copies(low, times, chance), draws.copies(high, times, chance)
    taken = np.zeros(max(wanted, default=0) + 1, np.int64)
    np.add.at(taken, bucket, below * weight)
    at, rates = draws.events(below, above, times, chance)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("events", _events_file(task), EVENTS, dictionary=False)
        output.write("events", pa.table([pa.array(bucket[at]), pa.array(rates), pa.array(weight[at])], schema=EVENTS))
        output.facts["below"] = {str(n): int(taken[n]) for n in sorted(wanted)}


def _by_bucket(values: Mapping[int, float], bucket: Numbers) -> npt.NDArray[np.float64]:
    table = np.zeros(max(values, default=0) + 1)
    table[list(values)] = list(values.values())
    return table[bucket]


def _events_file(task: Task) -> str:
    return f"draws/{task.name}.parquet"


def _events(task: Task, marker: Mapping[str, Any]) -> dict[int, tuple[Any, Any]]:
    """The events of a task by bucket: rates and weights."""
    file = _events_file(task)
    with verified(join(task.out, file), _facts_of(marker, file)) as opened_:
        table = pq.read_table(opened_, page_checksum_verification=True, use_threads=False)
    bucket, rates, weights = (table[name].to_numpy() for name in EVENTS.names)
    return {n: (rates[bucket == n], weights[bucket == n]) for n in np.unique(bucket).tolist()}


# --- the pass over the documents


def spread_documents(task: Task) -> None:
    """Spread the copies of some files' documents; list those that are not taken."""
    stage, schema = stage_of(task, Mix), schemas.unpacked(task.extra["schema"])
    layout = passes.Layout(**task.extra["layout"])
    taken: dict[str, list[int]] = {}
    with (
        TaskOutput(task, None, dropped=False) as output,
        passes.Spreader(task, schema, layout, tuple(task.extra["units"])) as spreader,
    ):
        output.open("dropped", f"dropped/part-{task.index:05d}.parquet", DROPPED)
        for file, held in zip(task.sources, task.extra["held"], strict=True):
            found = _Taken(task, stage, held)
            _count_taken(taken, found.bucket, found.weight, found.copies)
            _spread_file(output, spreader, schema, file, found)
        output.facts |= {passes.FOLDER: spreader.commit(), "taken": taken}


class _Taken:
    """The choice among a file's documents: the hash, bucket and copies of each, in arrays of ``[documents]``."""

    def __init__(self, task: Task, stage: Mix, held: Mapping[str, Any]) -> None:
        self.source = stage.parsed[held["source"]]
        named = {int(n): facts for n, facts in task.extra["buckets"].items()}
        keys = _read_keys(task, held["keys"])
        self.bucket = _buckets_of(keys, held["edges"], held["rows"])
        self.names = {n: name for n, (name, _) in named.items()}
        self.weight, self.times = keys["weight"], keys["times"].astype(np.int64)
        self.numbers = np.arange(len(self.bucket)) + held["start"]
        self.order = held["source"] << 44
        self.draw = draws.Draw(stage.seed, self.source.name)
        self.chance = self.draw.chance(self.numbers)
        self.copies = draws.copies(
            _by_bucket({n: rate for n, (_, rate) in named.items()}, self.bucket), self.times, self.chance
        )

    def table(self, table: pa.Table, here: slice, schema: pa.Schema) -> pa.Table:
        """The copies of some documents, with the columns of the output and the columns that order them."""
        count = self.copies[here]
        rows = np.repeat(np.arange(len(count)), count)
        epochs = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        number = self.numbers[here][rows]
        made = with_column(table.take(pa.array(rows)), "source", pa.array([self.source.name] * len(rows), pa.string()))
        if "bucket" in schema.names:
            names = [self.names[n] or None for n in self.bucket[here][rows].tolist()]
            made = with_column(made, "bucket", pa.array(names, pa.string()))
        made = schemas.conformed(with_column(made, "epoch", pa.array(epochs, pa.int32())), schema)
        made = made.append_column(passes.HIDDEN[0], pa.array(self.draw.places(number, epochs, count[rows])))
        return made.append_column(passes.HIDDEN[1], pa.array(number + self.order))

    def left(self, table: pa.Table, here: slice) -> pa.Table:
        """The documents that are not taken, each with the lowest rate at which it would be."""
        gone = np.flatnonzero(self.copies[here] == 0)
        names = [self.names[n] for n in self.bucket[here][gone].tolist()]
        details = [self.source.name + (f":{name}" if name else "") for name in names]
        first = (1 - self.chance[here][gone]) / self.times[here][gone]
        return dropped_table(table["id"].take(gone), table["url"].take(gone), RULE, first, details)

    def report(self, texts: Texts, here: slice) -> Report:
        """The report on some documents."""
        count = self.copies[here]
        lost = Count(int((count == 0).sum()), int(texts.byte_counts[count == 0].sum()))
        kept = Count(len(texts) - lost.documents, texts.bytes - lost.bytes)
        more = np.maximum(count - 1, 0)
        notes = {"repeats": int(more.sum()), "repeated_bytes": int((more * texts.byte_counts).sum())}
        return Report(Count(len(texts), texts.bytes), kept, {RULE: lost} if lost.documents else {}, {}, notes)


def _spread_file(output: TaskOutput, spreader: passes.Spreader, schema: pa.Schema, file: Input, taken: _Taken) -> None:
    row = 0
    for table, texts in output.batches(file):
        here = slice(row, row + len(texts))
        row += len(texts)
        if row > len(taken.copies):
            break
        spreader.add(taken.table(table, here, schema))
        output.write("dropped", taken.left(table, here))
        output.report += taken.report(texts, here)
    if row != len(taken.copies):
        raise DataError(
            f"{printable(file.path)} does not have the {len(taken.copies):,} documents that were counted: run again from the "
            "start"
        )


def _count_taken(taken: dict[str, list[int]], bucket: Numbers, weight: Numbers, copies: Numbers) -> None:
    """Add to each bucket's documents taken, copies, weight of the documents taken, and weight of the copies."""
    size = int(bucket.max(initial=-1)) + 1
    sums = np.zeros((4, size), np.int64)
    for k, values in enumerate((copies > 0, copies, (copies > 0) * weight, copies * weight)):
        np.add.at(sums[k], bucket, values.astype(np.int64))
    for n in np.unique(bucket).tolist():
        have = taken.setdefault(str(n), [0, 0, 0, 0])
        taken[str(n)] = [a + int(b) for a, b in zip(have, sums[:, n], strict=True)]
