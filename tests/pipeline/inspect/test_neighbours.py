"""The nearest documents of a document, of a text and of a file, against Python sets."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.flow import run_recipe
from goldwash.pipeline.inspect.neighbours import Neighbour, near
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import read_json
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.stages.test_bloom import line
from tests.pipeline.stages.test_minhash import shingles_of, true_jaccard

WORDS = [f"w{n}" for n in range(60)]
FAMILY = [" ".join([*(f"x{k}y{n}" for n in range(k)), *WORDS[k:]]) for k in range(0, 60, 3)]
"""Texts ever farther from the first one."""
SHARDS = [[*FAMILY[::2], ""], [], [line("other", 40), FAMILY[0], *FAMILY[1::2]]]
TEXTS = {f"{s}-{n}": text for s, texts in enumerate(SHARDS) for n, text in enumerate(texts)}
RECIPE = """
stages:
  - heuristics: {steps: [{keep: word_count, min: 0}]}
  - minhash: {ngram: 3, bands: 8, rows: 4, permutations: 40, seed: 3, check: 0.7, keep: first}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A run of a minhash stage after another stage."""
    folder = tmp_path_factory.mktemp("near")
    for n, texts in enumerate(SHARDS):
        shard(folder / "in" / f"{n}.parquet", texts)
    (folder / "mine.yaml").write_text(RECIPE)
    run_recipe(load(str(folder / "mine.yaml")), [str(folder / "in")], str(folder / "run"), here)
    return folder / "run"


@pytest.fixture(scope="module")
def stage(made) -> Path:
    return next(made.glob("02-minhash-*"))


def expected(text: str, count: int, but: str = "") -> list[tuple[str, float, float, int]]:
    """Id, estimated and counted similarity, bands: of all documents, the nearest first, of equals the first."""
    permutations = kernels.permutations(40, 3)
    own = kernels.signatures(Texts.of([text]), 3, permutations)[0][0]
    found = []
    for id_, other in TEXTS.items():
        signed = kernels.signatures(Texts.of([other]), 3, permutations)[0][0]
        estimated = float(np.mean(own == signed))
        bands = int((own == signed)[:32].reshape(8, 4).all(axis=1).sum())
        if estimated > 0 and id_ != but and shingles_of(other, 3):
            found.append((id_, estimated, true_jaccard(set(shingles_of(text, 3)), set(shingles_of(other, 3))), bands))
    return sorted(found, key=lambda row: -row[1])[:count]


def told(found: list[Neighbour]) -> list[tuple[str, float, float | None, int]]:
    return [(n.id, n.estimated, n.counted, n.bands) for n in found]


def test_the_first_of_the_family_has_copies(made, stage):
    gone = rows(stage, "dropped")
    assert len(gone) >= 4
    assert len(rows(stage)) + len(gone) == len(TEXTS)


@pytest.mark.parametrize("count", [1, 3, 10, 100])
@pytest.mark.parametrize("asked", ["0-0", "0-5", "2-1", "2-3", "2-0"])
def test_near_a_document(made, asked, count):
    found = near(str(made), asked, count)
    assert told(found) == expected(TEXTS[asked], count, asked)
    assert all(n.url == f"https://a.example/{n.id}" for n in found)


def test_a_copy_is_at_the_top_and_the_estimate_is_near_the_truth(made):
    found = near(str(made), "2-1", 40)
    assert (found[0].id, found[0].estimated, found[0].counted, found[0].bands) == ("0-0", 1.0, 1.0, 8)
    assert len(found) > 10
    assert "2-0" not in {n.id for n in found}
    assert all(abs(n.estimated - (n.counted or 0)) < 4 * (0.25 / 40) ** 0.5 for n in found)


@pytest.mark.parametrize("text", [FAMILY[3], FAMILY[5].upper(), "w50 w51 w52 w53, and further words", "w1 w2 w3", "w59 "])
def test_near_a_text_and_a_file_of_it(made, stage, tmp_path, text):
    (tmp_path / "text.txt").write_text(text)
    for asked in (text, str(tmp_path / "text.txt")):
        assert told(near(str(made), asked)) == expected(text, 10)
    assert [n.id for n in near(str(stage), text)] == [id_ for id_, *_ in expected(text, 10)]


def test_ids_may_be_numbers(tmp_path):
    stage = MinHash(keep="first")
    stage([shard(tmp_path / "in.parquet", [FAMILY[0], FAMILY[0], FAMILY[1]], id=[7, 8, 9])], str(tmp_path / "out"), here)
    assert {"id": "8", "detail": "copy of 0:0"}.items() <= rows(tmp_path / "out", "dropped")[0].items()
    assert [(n.id, n.counted) for n in near(str(tmp_path / "out"), "7", 1)] == [("8", None)]


def test_a_very_long_text_and_one_that_no_file_can_be_called(made):
    text = " ".join([FAMILY[0]] + [f"v{n}" for n in range(20_000)])
    assert near(str(made), text, 1) == []
    assert near(str(made), f"{FAMILY[0]}\0", 1)[0].id == "0-0"


def test_a_stage_alone_knows_the_texts_that_it_kept(made, stage):
    kept = {row["id"] for row in rows(stage)}
    found = near(str(stage), "0-0", 100)
    assert [n.counted for n in found] == [
        counted if id_ in kept else None for id_, _, counted, _ in expected(TEXTS["0-0"], 100, "0-0")
    ]
    gone = str(rows(stage, "dropped")[0]["id"])
    with pytest.raises(DataError, match=rf"{gone} is known, but its text is not available: give the run's folder"):
        near(str(stage), gone)
    assert near(str(made), gone)


def test_texts_that_were_removed_are_not_at_hand(made, tmp_path):
    run = shutil.copytree(made, tmp_path / "run")
    for file in run.glob("01-*/part-*.parquet"):
        file.unlink()
    assert {n.counted for n in near(str(run), "0-0", 100)} > {None}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", "the text has no words: nothing can be near it"),
        ("... !?", "the text has no words"),
        ("0-10", "the text has no words"),
        ("urn:uuid:00000000-0000-0000-0000-000000000000", "the stage minhash read no document with this id or URL"),
        ("<urn:uuid:0>", "the stage minhash read no document with this id or URL"),
    ],
)
def test_what_nothing_can_be_near(made, asked, message):
    with pytest.raises(DataError, match=message):
        near(str(made), asked)


def test_a_file_that_is_no_text(made, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\xff\xfe gold")
    with pytest.raises(DataError, match=r"a\.bin is not a UTF-8 text file"):
        near(str(made), str(tmp_path / "a.bin"))


def test_a_run_without_the_stage_and_a_folder_that_is_no_run(made, tmp_path):
    (tmp_path / "mine.yaml").write_text("stages:\n  - heuristics: {steps: [{keep: word_count, min: 0}]}\n")
    run_recipe(load(str(tmp_path / "mine.yaml")), [str(made.parent / "in")], str(tmp_path / "run"), here)
    with pytest.raises(DataError, match="has no finished stage minhash"):
        near(str(tmp_path / "run"), "0-0")
    with pytest.raises(DataError, match="is not a run"):
        near(str(tmp_path), "0-0")


def test_signatures_that_are_gone_or_of_other_parameters_are_told(made, tmp_path):
    stage = next(shutil.copytree(made, tmp_path / "run").glob("02-*"))
    keys = sorted((stage / "keys").iterdir())
    report = (stage / "report.json").read_text()
    (stage / "report.json").write_text(report.replace('"seed": 3', '"seed": 4'))
    assert read_json(str(stage / "report.json"))["config"]["seed"] == 4
    with pytest.raises(DataError, match=r"keys-00000\.parquet holds keys of other parameters"):
        near(str(stage), "gold")
    (stage / "report.json").write_text(report)
    keys[2].unlink()
    for asked in ("gold and sand", "urn:uuid:0"):
        with pytest.raises(DataError, match=r"keys-00002\.parquet is missing"):
            near(str(tmp_path / "run"), asked)


# --- the command


def test_goldwash_near(cli, made):
    code, printed, _ = cli("near", made, "0-0", "--count", "3")
    assert code == 0
    head, *found = [line.split() for line in printed.splitlines()]
    assert head == ["estimated", "counted", "bands", "document"]
    assert found == [
        [f"{estimated:.3f}", f"{counted:.3f}", str(bands), f"https://a.example/{id_}", id_]
        for id_, estimated, counted, bands in expected(TEXTS["0-0"], 3, "0-0")
    ]


def test_goldwash_near_a_stage_and_near_nothing(cli, stage):
    printed = cli("near", stage, "0-0", "--count", "1")[1]
    assert printed.splitlines()[1].split()[:3] == ["1.000", "-", "8"]
    code, printed, _ = cli("near", stage, "nothing of that kind was ever seen")
    assert code == 0
    assert "no document shares a shingle with it" in printed


def test_goldwash_near_tells_what_it_cannot_do_in_one_line(cli, made, tmp_path):
    for words, message in (((made, "..."), "the text has no words"), ((tmp_path, "gold"), "is not a run")):
        code, printed, error = cli("near", *words)
        assert code == 1
        assert message in error
        assert "Traceback" not in printed + error
    assert cli("near", made, "gold", "--count", "0")[0] == 2


def test_a_near_copy_of_the_sample_is_near_its_original(cli, sample_run):
    folder = next(sample_run.glob("03-minhash-*"))
    kept = {row["id"] for row in rows(folder)}
    for gone in rows(folder, "dropped")[::9]:
        found = near(str(sample_run), str(gone["id"]))
        assert found[0].id in kept | {row["id"] for row in rows(folder, "dropped")}
        assert (found[0].counted or 0) >= 0.7
        printed = cli("near", sample_run, gone["id"])[1]
        assert str(found[0].url) in "".join(printed.split())
