"""What a publisher of a run's dataset must say, counted by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from goldwash.pipeline.flow import run_recipe
from goldwash.pipeline.inspect.disclosure import disclosure, write_disclosure
from goldwash.pipeline.recipes.recipe import Recipe
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import here, shard

STEPS = [
    {"keep": "column", "name": "noai", "max": 0},
    {"keep": "word_count", "min": 2},
    {"edit": "mask_personal_data"},
]


@pytest.fixture
def run(tmp_path: Path) -> str:
    """Thirty documents of fifteen domains, of which 26 are kept."""
    urls = [f"https://www.d{n % 15}.co.uk/{n}|x" for n in range(30)]
    texts = ["one" if n in (5, 6) else "two words a@b.com" + " more" * (50 if n % 15 == 3 else 0) for n in range(30)]
    columns: dict[str, Any] = {
        "url": urls,
        "date": [f"2024-0{1 + n % 3}-01T00:00:00Z" for n in range(30)],
        "archive": ["crawl-data/CC-MAIN-2024-10/a.warc.gz"] * 30,
        "language": ["en" if n % 2 else "de" for n in range(30)],
        "noai": [int(n in (0, 1)) for n in range(30)],
    }
    shard(tmp_path / "in" / "a.parquet", texts, **columns)
    recipe = Recipe("own", "a <b>recipe</b>", (STAGES["heuristics"].of({"steps": STEPS}),))
    run_recipe(recipe, [str(tmp_path / "in")], str(tmp_path / "run"), here)
    return str(tmp_path / "run")


def test_the_facts(run: str) -> None:
    facts, domains = disclosure(run)
    assert (facts["documents"], facts["domains"], len(domains)) == (26, 15, 15)
    assert domains[0][0] == "d3.co.uk"
    assert [row["domain"] for row in facts["top_tenth"]] == [domains[0][0], domains[1][0]]
    assert sum(size for _, _, size in domains) == facts["bytes"]
    assert (facts["dates"]["first"], facts["dates"]["last"]) == ("2024-01-01T00:00:00Z", "2024-03-01T00:00:00Z")
    assert facts["crawls"] == {"CC-MAIN-2024-10": 26}
    assert {name: counts["documents"] for name, counts in facts["languages"].items()} == {"de": 13, "en": 13}
    assert facts["opt_outs"][0]["rule"] == "noai"
    assert facts["opt_outs"][0]["documents"] == 2
    assert facts["personal_data"][0]["replaced"] == {"email": 26}
    assert facts["decontamination"] == {}
    assert [rule["rule"] for rule in facts["filters"]] == [
        "keep column: name=noai, max=0", "keep word_count: min=2", "edit mask_personal_data",
    ]  # fmt: skip
    assert "Gopher" in facts["filters"][1]["about"]


def test_the_files(run: str, tmp_path: Path) -> None:
    write_disclosure(run, str(tmp_path / "out"))
    facts = json.loads((tmp_path / "out" / "disclosure.json").read_text())
    assert facts["recipe"] == "own"
    with open(tmp_path / "out" / "domains.csv") as file:
        assert len(list(csv.DictReader(file))) == 15
    page = (tmp_path / "out" / "disclosure.md").read_text()
    assert "<b>" not in page
    assert "## Opt-outs honoured" in page
    first = (tmp_path / "out" / "disclosure.json").read_bytes()
    write_disclosure(run, str(tmp_path / "out"))
    assert (tmp_path / "out" / "disclosure.json").read_bytes() == first


def test_a_run_without_a_dataset(tmp_path: Path) -> None:
    shard(tmp_path / "in" / "a.parquet", ["one two"])
    recipe = Recipe("own", "", (STAGES["heuristics"].of({"steps": STEPS[1:]}), STAGES["exact"].of({})))
    run_recipe(recipe, [str(tmp_path / "in")], str(tmp_path / "run"), here, until="heuristics")
    with pytest.raises(DataError, match="has no dataset yet"):
        disclosure(str(tmp_path / "run"))
