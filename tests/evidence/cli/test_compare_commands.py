"""``goldwash compare`` as users give it: tables, JSON, a page, contamination, names from data, and errors with the cure."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.errors import GoldwashError
from goldwash.evidence.cli import register
from goldwash.evidence.errors import EvidenceError
from tests.support.sources import SOURCES, source, with_junk, written

APP = typer.Typer()
register(APP)
BASE = [text for topic in SOURCES[:4] for text in source(topic, 60)]
HELD_OUT = [text for topic in SOURCES[:4] for text in source(topic, 6, 10_000)]
QUICK = ("--vocabulary", "400", "--seeds", "6", "--points", "2", "--overlap", "1")


def goldwash(*words: str) -> str:
    result = CliRunner().invoke(APP, ["compare", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Datasets ``plain`` (JSON lines) and ``junk`` (Parquet), and the target ``held``."""
    written(tmp_path / "plain.jsonl", BASE)
    written(tmp_path / "held.jsonl", HELD_OUT)
    pq.write_table(pa.table({"text": with_junk(BASE, 50)}), tmp_path / "junk.parquet")
    names = {"plain": "plain.jsonl", "junk": "junk.parquet", "held": "held.jsonl"}
    return {name: str(tmp_path / file) for name, file in names.items()}


def test_a_comparison(places: dict[str, str], tmp_path: Path) -> None:
    files = ("--out", str(tmp_path / "page.html"), "--json", str(tmp_path / "answers.json"))
    text = goldwash(f"A={places['plain']}", places["junk"], "--targets", places["held"], "--kinds", *QUICK, *files)
    assert "5-gram, target held (24 documents" in text
    assert "ranks by 5-gram: A 1, junk 2" in text
    assert "correlation of 0.73" in text
    assert "arXiv 2602.12237" in text
    assert "white space" in text
    found = json.loads((tmp_path / "answers.json").read_text())
    assert [d["name"] for d in found["datasets"]] == ["A", "junk"]
    junk = found["learners"][0]["results"][1]
    assert junk["difference"]["verdict"] == "higher"
    assert junk["difference"]["low"] > 0
    assert junk["multiplier"]["value"] < 1
    assert len(junk["curve"]) == 2
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 1
    assert "ranks by 5-gram" in page


def test_json_alone_on_standard_output_and_equal_bytes(places: dict[str, str]) -> None:
    words = (f"A={places['plain']}", f"B={places['plain']}", "--targets", f"t={places['held']}", *QUICK, "--json", "-")
    texts = [goldwash(*words) for _ in range(2)]
    assert texts[0] == texts[1]
    found = json.loads(texts[0])["learners"][0]
    assert found["mean"][1]["rank"] == [1, 2]
    assert found["mean"][1]["difference"] == {
        "mean": 0.0, "low": 0.0, "high": 0.0, "over_seeds": 0.0, "over_documents": 0.0, "verdict": "no difference shown",
    }  # fmt: skip


def test_targets_in_a_dataset_are_told_and_left_out(places: dict[str, str], tmp_path: Path) -> None:
    some = [f"Before.\n{text.upper()}  And after." for text in HELD_OUT[:5]]  # as the page that quotes them has them
    halves = " ".join(HELD_OUT[5].split()[: len(HELD_OUT[5].split()) // 3])
    written(tmp_path / "quoting.jsonl", [*BASE, *some, halves])
    words = (places["plain"], str(tmp_path / "quoting.jsonl"), "--targets", places["held"], *QUICK[:-2])
    text = goldwash(*words)
    assert "target held: 5 texts are in datasets (quoting: 5) and were left out; 19 are left" in text
    written(tmp_path / "all.jsonl", [*BASE, *HELD_OUT])
    with pytest.raises(EvidenceError, match=r"all of its 24 texts are in the datasets: all \(24\)"):
        goldwash(places["plain"], str(tmp_path / "all.jsonl"), "--targets", places["held"], *QUICK)


def test_another_column(places: dict[str, str], tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": BASE}), tmp_path / "other.parquet")
    (tmp_path / "copy.parquet").write_bytes((tmp_path / "other.parquet").read_bytes())
    words = (str(tmp_path / "other.parquet"), str(tmp_path / "copy.parquet"), "--targets", places["held"], *QUICK)
    with pytest.raises(GoldwashError, match=r"no column 'text'.*--text-column"):
        goldwash(*words)
    assert "ranks by 5-gram" in goldwash(*words, "--text-column", "content")


def test_the_samples_targets_need_no_file(places: dict[str, str]) -> None:
    text = goldwash(places["plain"], places["junk"], "--targets", "sample", "--targets", places["held"], *QUICK)
    assert "target sample (" in text
    assert "5-gram, mean of targets" in text


def test_a_tokenizer_of_ones_own(places: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(ByteTokenizer.train(BASE, 300).definition)
    words = (places["plain"], places["junk"], "--targets", places["held"], *QUICK, "--json", "-", "--tokenizer", str(path))
    assert json.loads(goldwash(*words))["vocabulary"] == 300
    changed = json.loads(path.read_text())
    changed["normalizer"] = {"type": "Lowercase"}
    changed["pre_tokenizer"]["add_prefix_space"] = True
    path.write_text(json.dumps(changed))
    with pytest.raises(ModelError, match="changes texts"):
        goldwash(*words)


def test_names_from_data_cannot_reach_the_terminal_or_the_page(places: dict[str, str], tmp_path: Path) -> None:
    name = "\x1b[31m<b>$x"
    page = tmp_path / "page.html"
    words = (f"{name}={places['plain']}", places["junk"], "--targets", f"{name}={places['held']}", *QUICK, "--out", str(page))
    assert "\x1b" not in goldwash(*words)
    assert "\x1b" not in page.read_text()
    assert "<b>" not in page.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{plain}", "--targets", "{held}"), "two datasets, found 1"),
        (("{plain}", "{plain}", "--targets", "{held}"), "'plain' is named twice"),
        (("{plain}", "nowhere.parquet", "--targets", "{held}"), "nowhere.parquet"),
        (("{plain}", "{junk}", "--targets", "nowhere.jsonl"), "nowhere.jsonl"),
        (("{plain}", "{junk}", "--targets", "{held}", "--tokens", "1B"), "a budget of 1,000,000,000"),
        (("{plain}", "{junk}", "--targets", "{held}", "--tokens", "many"), "--tokens"),
        (("{plain}", "{junk}", "--targets", "{held}", "--proxy", "bert"), "expected ngram or gpt"),
        (("{plain}", "{junk}", "--targets", "{held}", "--order", "0"), "--order"),
        (("{plain}", "{junk}", "--targets", "{held}", "--out", "page.pdf"), "--out"),
        (("{plain}", "{junk}", "--targets", "{held}", "--tokenizer", "nowhere.json"), "no tokenizer at nowhere.json"),
        (("{plain}", "{junk}", "--targets", "{held}", "--vocabulary", "10"), "at least 257"),
        (("=x", "{junk}", "--targets", "{held}"), "expected NAME=PLACE"),
    ],
)
def test_comparisons_that_are_refused(places: dict[str, str], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(GoldwashError, match=message):
        goldwash(*(word.format(**places) for word in words))


def test_jax_and_matplotlib_are_not_imported_for_n_grams(places: dict[str, str]) -> None:
    words: list[Any] = ["compare", places["plain"], places["junk"], "--targets", places["held"], *QUICK, "--json", "-"]
    program = (
        "import sys\nfrom typer.main import get_command\nimport typer\nfrom goldwash.evidence.cli import register\n"
        f"app = typer.Typer()\nregister(app)\nget_command(app).main(args={words!r}, standalone_mode=False)\n"
        "assert not {'jax', 'matplotlib', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
