"""Folders by a column: what pyarrow and DuckDB read from them, names, memory bounds, and older files."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldwash.pipeline.export.partitions import export_parquet
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import rows, shard

LANGUAGES = ["de", "en", None, "deu_Latn", "de", "", "a/b ü", "en"]


@pytest.fixture
def shards(tmp_path: Path) -> str:
    for n in range(2):
        texts = [f"text {n} {k}" for k in range(len(LANGUAGES))]
        shard(tmp_path / "in" / f"part-{n:05d}.parquet", texts, language=LANGUAGES, score=[float(k) for k in range(len(texts))])
    return str(tmp_path / "in")


def read(folder: Path) -> list[dict[str, Any]]:
    partitioning = ds.partitioning(pa.schema([("language", pa.string())]), flavor="hive")
    found: list[dict[str, Any]] = ds.dataset(folder, partitioning=partitioning).to_table(use_threads=False).to_pylist()
    return found


def test_every_document_is_in_the_folder_of_its_language(shards: str, tmp_path: Path) -> None:
    written = export_parquet([shards], str(tmp_path / "out"), by="language")
    assert sorted(str(Path(file).relative_to(tmp_path / "out")) for file in written) == [
        "language=__HIVE_DEFAULT_PARTITION__/part-00000.parquet", "language=a%2Fb%20%C3%BC/part-00000.parquet",
        "language=de/part-00000.parquet", "language=deu_Latn/part-00000.parquet", "language=en/part-00000.parquet",
    ]  # fmt: skip
    wanted = [{**row, "language": row["language"] or None} for row in rows(Path(shards))]
    assert sorted(map(repr, map(sorted, map(dict.items, read(tmp_path / "out"))))) == sorted(
        map(repr, map(sorted, map(dict.items, wanted)))
    )
    counts = duckdb.sql(f"select language, count(*) from '{tmp_path}/out/**/*.parquet' group by 1 order by 1").fetchall()
    assert dict(counts)["de"] == 4


def test_order_is_the_shards_and_files_are_equal(shards: str, tmp_path: Path) -> None:
    for out in ("a", "b"):
        export_parquet([shards], str(tmp_path / out), by="language")
    file = "language=de/part-00000.parquet"
    assert [row["text"] for row in rows((tmp_path / "a" / file).parent)] == ["text 0 0", "text 0 4", "text 1 0", "text 1 4"]
    assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 2000), st.integers(1, 2000))
def test_any_bounds_of_memory_lose_nothing(
    shards: str, tmp_path_factory: pytest.TempPathFactory, file_bytes: int, held: int
) -> None:
    out = tmp_path_factory.mktemp("out")
    export_parquet([shards], str(out), by="language", file_bytes=file_bytes, held_bytes=held)
    assert len(read(out)) == 2 * len(LANGUAGES)


def test_without_a_column_the_files_have_all_columns(shards: str, tmp_path: Path) -> None:
    (file,) = export_parquet([shards], str(tmp_path / "out"), "gz")
    assert [row["language"] for row in rows(Path(file).parent)] == LANGUAGES * 2


def test_files_of_an_older_export_are_refused(shards: str, tmp_path: Path) -> None:
    old = tmp_path / "out" / "language=xx" / "part-00000.parquet"
    shard(old, ["old"])
    with pytest.raises(DataError, match=r"files of an older export beside the new ones .language=xx"):
        export_parquet([shards], str(tmp_path / "out"), by="language")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["language=xx"]  # nothing was written
    old.unlink()
    old.parent.rmdir()
    shard(tmp_path / "out" / "language=de" / "part-00001.parquet", ["old"])
    with pytest.raises(DataError, match="language=de/part-00001"):
        export_parquet([shards], str(tmp_path / "out"), by="language")


def test_the_same_export_again_is_no_older_one(shards: str, tmp_path: Path) -> None:
    """Also from a shard that lacks the column, and from one that is not Parquet."""
    shard(Path(shards) / "part-00002.parquet", ["no language"])
    (tmp_path / "more.jsonl").write_text('{"text": "Hallo", "language": "de_AT"}\n')
    names = [shards, str(tmp_path / "more.jsonl")]
    first = export_parquet(names, str(tmp_path / "out"), by="language")
    assert "language=de_AT" in str(first)
    assert export_parquet(names, str(tmp_path / "out"), by="language") == first


@pytest.mark.parametrize(
    ("by", "message"),
    [("langauge", "no column 'langauge': did you mean 'language'"), ("score", "the column is double; expected")],
)
def test_columns_that_cannot_name_folders(shards: str, tmp_path: Path, by: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        export_parquet([shards], str(tmp_path / "out"), by=by)


def test_the_command(shards: str, tmp_path: Path, cli: Any) -> None:
    code, printed, told = cli("export", shards, "--out", tmp_path / "out", "--format", "parquet", "--by", "language")
    assert code == 0, told
    assert "language=deu_Latn/part-00000.parquet" in printed
    code, _, told = cli("export", shards, "--out", tmp_path / "x", "--format", "jsonl", "--by", "language")
    assert code != 0
    assert "--by language is for --format parquet" in told
    assert RecipeError.__name__ not in told
