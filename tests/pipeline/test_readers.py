"""The dataset as a run leaves it, in the readers that people use, and its card and metadata in those that check them."""

from pathlib import Path

import duckdb
import mlcroissant
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from goldwash.pipeline.dataset import CARD, CROISSANT
from goldwash.pipeline.export.card import Dataset, card, languages
from goldwash.pipeline.storage.locations import read_json
from tests.pipeline.conftest import rows
from tests.pipeline.reporting.test_page import ran


@pytest.fixture(scope="module")
def ids(sample_run: Path) -> list[str]:
    return sorted(str(row["id"]) for row in rows(sample_run / "dataset"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of one shard beside more JSON than Parquet files."""
    return ran(tmp_path_factory.mktemp("small"), ["one two three four", "five six seven eight", "nine"]) / "dataset"


def test_datasets_loads_the_folder(sample_run: Path, ids: list[str], tmp_path: Path) -> None:
    import datasets

    found = datasets.load_dataset(str(sample_run / "dataset"), split="train", cache_dir=str(tmp_path))
    assert sorted(found["id"]) == ids
    assert {"text", "url", "quality_probability"} <= set(found.column_names)


def test_datasets_loads_a_single_shard(small: Path, tmp_path: Path) -> None:
    """Beside one shard, datasets took the two JSON files for the documents."""
    import datasets

    found = datasets.load_dataset(str(small), split="train", cache_dir=str(tmp_path))
    assert found["text"][:] == ["one two three four", "five six seven eight"]
    streamed = datasets.load_dataset(str(small), split="train", streaming=True)
    assert [row["text"] for row in streamed] == found["text"][:]


def test_pyarrow_pandas_polars_and_duckdb_read_it(sample_run: Path, ids: list[str]) -> None:
    folder = sample_run / "dataset"
    assert sorted(ds.dataset(folder).to_table()["id"].to_pylist()) == ids
    assert sorted(pq.read_table(folder)["id"].to_pylist()) == ids
    assert sorted(pd.read_parquet(folder)["id"]) == ids
    assert sorted(pl.read_parquet(folder / "*.parquet")["id"]) == ids
    assert sorted(pl.scan_parquet(folder / "*.parquet").select("id").collect()["id"]) == ids
    assert sorted(pl.scan_parquet(folder, hidden_file_prefix=["_", "."]).collect()["id"]) == ids
    found = duckdb.sql(f"SELECT id FROM '{folder}/*.parquet'").fetchall()
    assert sorted(row[0] for row in found) == ids


def test_dropped_documents_open_as_kept_ones_do(sample_run: Path) -> None:
    folder = next(sample_run.glob("02-*"))
    found = duckdb.sql(f"SELECT dropped_by, count(*) FROM '{folder}/dropped/*.parquet' GROUP BY 1").fetchall()
    dropped = read_json(f"{folder}/report.json")["report"]["dropped"]
    assert dict(found) == {rule: count["documents"] for rule, count in dropped.items()}
    assert len(pd.read_parquet(folder / "dropped")) == sum(n for _, n in found)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, about itself
def test_croissant_is_valid_and_reads_the_documents(sample_run: Path, ids: list[str], caplog: pytest.LogCaptureFixture) -> None:
    found = mlcroissant.Dataset(jsonld=str(sample_run / "dataset" / CROISSANT))
    issues = found.metadata.ctx.issues
    assert list(issues.errors) == []
    assert all("is recommended" in warning for warning in map(str, issues.warnings))
    assert sorted(record["documents/id"].decode() for record in found.records("documents")) == ids


def test_the_card_is_one(sample_run: Path) -> None:
    found = DatasetCard.load(sample_run / "dataset" / CARD)
    assert found.data.language == ["en"]
    assert found.data.license == "unknown"
    assert found.data.size_categories == "n<1K"
    assert found.data.to_dict()["configs"][0]["data_files"][0]["path"] == "part-[0-9]*.parquet"
    assert f" read = {len(rows(sample_run / 'dataset'))} kept + " in found.text
    for section in ("## Funnel", "## Columns", "## Decontamination", "## Licence and use", "## Recipe"):
        assert section in found.text
    assert "To fill in" in found.text
    assert "documents quote one" in found.text


def test_data_in_a_card_is_escaped() -> None:
    zero = {"documents": 1, "bytes": 1}
    funnel = [{"stage": "<b>|x", "read": zero, "kept": zero, "dropped": {"`<script>`|": zero}}]
    report = {"recipe": "a`b", "goldwash": "1", "shards": {}, "funnel": funnel, "losses": {}, "notes": ["<img src=x> [a](b)"]}
    text = card(Dataset("# <x>", report, "a: |\n  ```\n  x\n", None))
    assert "<script>" not in text.replace("`` `<script>`\\u007c ``", "")
    assert "<img" not in text
    assert "<x>" not in text.split("---")[2]
    assert "````yaml" in text


def test_languages_are_those_that_the_recipe_keeps() -> None:
    assert languages("stages:\n- heuristics:\n    steps:\n    - {keep: language, among: [de, fr]}\n- quality: null\n") == (
        "de",
        "fr",
    )
    assert languages("") == ()
