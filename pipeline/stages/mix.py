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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from goldwash.filters.fetch import file_digest
from goldwash.pipeline.mixing import buckets, draws, olmix, passes, plan, schemas
from goldwash.pipeline.mixing.copying import draw_file, events_of, spread_documents
from goldwash.pipeline.mixing.keys import count_file, facts_of, keys_file, refine_edges, tally
from goldwash.pipeline.mixing.parameters import Mixture
from goldwash.pipeline.mixing.sources import Source
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Cost, Load, Run, Tasks, claim, finish, markers_of
from goldwash.pipeline.storage.atomic import write_text
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import with_fields
from goldwash.pipeline.storage.tasks import Task
from goldwash.text_output import printable


@dataclass(frozen=True)
class Mix(Mixture):
    """Mix sources in given proportions: by tokens, with buckets, upsampling by quality, and repeats; shuffled."""

    name: ClassVar[str] = "mix"

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
        return finish(self, inputs, out, [*spreading, *gathering], facts, in_pairs=False)

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
        keys = [{"file": keys_file(n), **facts_of(marker, keys_file(n))} for n, marker in enumerate(markers)]
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
                for n, pair in events_of(task, marker).items():
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
        documents = stored = text = unpacked = 0.0
        for (s, _), fact in zip(self.files, held.facts, strict=True):
            share = self._share(held, rates, s)
            documents += fact["documents"] * share
            stored, text = stored + fact["stored"] * share, text + fact["text"] * share
            unpacked += fact["unpacked"] * share
        layout = passes.Layout.of(documents, stored, text, self.stage.shard_bytes)
        shuffle = passes.Shuffle(self.tasks, layout, self._schema(held), unpacked)
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
        return shuffle.run(run, spread_documents, spreading)

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


def _summed(tables: Any) -> dict[int, int]:
    total: dict[int, int] = {}
    for table in tables:
        for b, weight in table.items():
            total[int(b)] = total.get(int(b), 0) + weight
    return total
