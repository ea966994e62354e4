"""The reference's own decision and text on 3,467 real pages: `recipes/reference.yaml` against DCLM's code."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from goldwash.pipeline.stages.heuristics import Heuristics, cleaned
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.tables import texts_of
from tests.conftest import ROOT

THEIRS = {
    "remove_urls": "url_removal_modifier",
    "language_probability": "language",
    "fasttext_word_count": "page_length",
    "mean_word_length": "word_length",
    "symbol_word_ratio": "symbol_ratio",
    "bullet_line_fraction": "bullet_count",
    "ellipsis_line_fraction": "ellipsis_count",
    "nonalphabetic_word_fraction": "alphabetic_word_ratio",
    "stop_word_count": "stop_word",
    "lost_word_fraction": "word_removal_ratio",
    "lines.uppercase_fraction": "uppercase_ratio_line",
    "lines.digit_fraction": "numeric_ratio_line",
    "lines.counter_line_count": "counter_line",
}
"""What the reference calls our rules, where the names differ."""

LISTS = {"url_strict": "strict.txt", "url_hard": "hard.txt", "url_soft": "soft.txt"}


def reference_steps(lists: Path) -> list[dict[str, Any]]:
    """The steps of the recipe, with the reference's own word lists."""
    recipe = yaml.safe_load((ROOT / "pipeline" / "recipes" / "reference.yaml").read_text("utf-8"))
    (steps,) = (stage["heuristics"]["steps"] for stage in recipe["stages"] if "heuristics" in stage)
    replaced = [step | {"phrases": str(lists / LISTS[step["as"]])} if step.get("as") in LISTS else step for step in steps]
    assert sum(step.get("as") in LISTS for step in replaced) == 3
    return replaced


def their_name(rule: str | None) -> str | None:
    if (rule and rule.endswith("gram_character_fraction")) or (rule and rule.startswith("repeated_")):
        return "repetition"
    return THEIRS.get(rule, rule) if rule else None


@pytest.mark.real
def test_every_decision_and_every_text(real: Path) -> None:
    file = str(real / "reference" / "heuristics.parquet")
    stage = Heuristics.of({"steps": reference_steps(real / "reference" / "banned-words")})
    ours: dict[str, tuple[str | None, Any]] = {}
    for table in read_batches(file):
        kept, drops, _ = cleaned(stage, table, texts_of(table, "text", file), file)
        for gone in drops:
            for row in gone.to_pylist():
                ours[row["id"]] = (row["dropped_by"], row["value"])
        ours |= {name: (None, text) for name, text in zip(kept["id"].to_pylist(), kept["text"].to_pylist(), strict=True)}
    wrong = []
    rows = pq.read_table(file).to_pylist()
    for row in rows:
        rule, value = ours[row["id"]]
        if their_name(rule) != row["dropped_by"]:
            wrong.append(f"{row['id']} {row['url']}: the reference has {row['dropped_by']}, we have {rule} ({value})")
        elif rule is None and value != row["text_after"]:
            wrong.append(f"{row['id']} {row['url']}: kept by both, with other texts")
    assert len(rows) == len(ours) == 3467
    assert sum(row["dropped_by"] is None for row in rows) > 1000
    assert not wrong, "\n".join([f"{len(wrong)} disagreements", *wrong])
