"""A filter of the user's that raises: each stage that runs one names the document."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.errors import GoldwashError
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.failing import naming_document
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.stage import RunError, Stage
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.stages.quality import Quality
from goldwash.pipeline.stages.score import Score
from goldwash.pipeline.storage.inputs import find_archives, find_shards
from tests.support.archives import gzipped, record, warc

FILTER = """
from goldwash.filters.signals import per_text

@per_text
def {name}(text):
    return 1 / ("silver" not in text)
"""
TEXTS = ["gold in the river", "silver in the hills", "gold in the hills"]


def custom(folder: Path, name: str) -> str:
    """A file with a signal that raises for the second text; names are declared once in a process."""
    (folder / f"{name}.py").write_text(FILTER.format(name=name))
    return str(folder / f"{name}.py")


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("no_silver_a", lambda use: Heuristics.of({"use": [use], "steps": [{"keep": "no_silver_a", "min": 0}]})),
        ("no_silver_b", lambda use: Score.of({"use": [use], "models": {"metal": "signal:no_silver_b"}})),
        ("no_silver_c", lambda use: Quality.of({"use": [use], "model": "signal:no_silver_c", "fraction": 0.5})),
    ],
)
def test_a_stage_names_the_document_that_a_filter_failed_on(name: str, stage: Callable[[str], Stage], tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "b\x1b[2J", "c"], "url": ["u"] * 3, "text": TEXTS}), tmp_path / "shard.parquet")
    with pytest.raises(RunError, match=rf"{name}\.py:6, in {name}: ZeroDivisionError: division by zero; document b\\x1b\[2J"):
        run_stage(
            stage(custom(tmp_path, name)), find_shards([str(tmp_path / "shard.parquet")]), str(tmp_path / "out"), local(1)
        )


def test_extract_names_the_record_that_an_early_filter_failed_on(tmp_path: Path) -> None:
    pages = [record(f"http://a.example/{n}", f"<p>{text}".encode()) for n, text in enumerate(TEXTS)]
    (tmp_path / "a.warc.gz").write_bytes(gzipped([warc(1)[0], *pages]))
    stage = Extract.of({"use": [custom(tmp_path, "no_silver_d")], "early": [{"keep": "no_silver_d", "min": 0}]})
    with pytest.raises(
        RunError,
        match=r"no_silver_d\.py:6, in no_silver_d: ZeroDivisionError: division by zero; document urn:uuid:[-0-9a-f]+; log",
    ):
        run_stage(stage, find_archives([str(tmp_path / "a.warc.gz")]), str(tmp_path / "out"), local(1))


def test_an_error_of_ours_is_not_repeated() -> None:
    asked = []
    with pytest.raises(GoldwashError) as caught, naming_document(["a", "b"], asked.append):
        raise GoldwashError("the server does not answer")
    assert (asked, getattr(caught.value, "__notes__", [])) == ([], [])
