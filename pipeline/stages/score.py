"""score: add a classifier's score to every document, as a column.

Law: nothing is dropped and no text changes; the column is ``float32``, the probability of the better label.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import pyarrow as pa

from classifiers.quality import scores
from filters.fetch import fetched, file_digest
from pipeline.report import Count, Report
from pipeline.run.work import beat
from pipeline.shards import Input, Task, TaskOutput, read_batches, schema_of, texts_of, with_column, with_fields
from pipeline.stage import Run, Stage, finish, tasks_for


@dataclass(frozen=True)
class Score(Stage):
    """Add a classifier's score to every document, as a column; drop nothing."""

    name: ClassVar[str] = "score"
    model: str = ""
    label: str | None = None
    column: str = "quality_probability"

    def versions(self) -> dict[str, str]:
        """The model's digest."""
        return {"model": file_digest(fetched(self.model))}

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task a shard."""
        tasks = tasks_for(self, inputs, out)
        run(score_shard, tasks)
        return finish(self, inputs, out, tasks)


@cache
def _stage(config: str) -> Score:
    return Score.of({k: v for k, v in json.loads(config).items() if k != "name"})


def score_shard(task: Task) -> None:
    """One shard in, one shard out."""
    stage = _stage(json.dumps(task.stage))
    location, model = task.inputs[0], fetched(stage.model)
    with TaskOutput(task, with_fields(schema_of(location), **{stage.column: pa.float32()}), dropped=False) as output:
        for table in read_batches(location):
            texts = texts_of(table, "text", location)
            output.write("kept", with_column(table, stage.column, pa.array(scores(texts, model, stage.label))))
            everything = Count(len(texts), texts.bytes)
            output.report += Report(everything, everything)
            beat(task, output.report.read.documents, output.report.read.bytes)
