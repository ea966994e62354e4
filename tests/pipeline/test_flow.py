"""The whole way from archives to a dataset, on the sample crawl: accounts, equal bytes, resumption after a kill."""

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from goldwash.pipeline import stage as stages
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import Options, begin, fitted, run_recipe, run_stage
from goldwash.pipeline.recipes.recipe import Recipe, load, stage_alone
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.stages.exact import Exact
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.inputs import path_of
from goldwash.pipeline.storage.locations import read_json
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.warc.records import Record, records
from tests.pipeline.conftest import goldwash, here, rows, shard

STAGES = ["extract", "heuristics", "minhash", "bloom", "quality", "decontaminate"]


def folders(run: Path) -> list[Path]:
    return sorted(p for p in run.iterdir() if p.name[:2].isdigit())


def digests(run: Path) -> dict[str, str]:
    """Every file that a run promises: shards, dropped ones, reports, the dataset."""
    files = [p for p in run.rglob("*") if p.is_file() and not {"logs", "tasks", "model"} & set(p.relative_to(run).parts)]
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def times(run: Path) -> dict[str, int]:
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in run.rglob("part-*.parquet")}


def fates_of(run: Path) -> list[tuple[str, str]]:
    """What became of each document, as the run wrote it."""
    gone = [
        (str(r["id"]), f"{f.name.split('-')[1]}/{r['dropped_by']}") for f in folders(run) for r in rows(f, "dropped") if r["id"]
    ]
    return gone + [(str(r["id"]), "dataset") for r in rows(run / "dataset")]


def responses(*archives: Path) -> list[str]:
    ids = []
    for path in archives:
        with path.open("rb") as file:
            found = records(file, path.stat().st_size)
            ids += [r.id for r in found if isinstance(r, Record) and r.kind == "response"]
    return ids


def check_accounts(run: Path) -> None:
    """Each stage reads what the one before it kept, and read = kept + dropped, in the report and in the shards."""
    before = None
    for folder in folders(run):
        report = json.loads((folder / "report.json").read_text())["report"]
        dropped = Counter(str(row["dropped_by"]) for row in rows(folder, "dropped"))
        assert {rule: count["documents"] for rule, count in report["dropped"].items()} == {
            rule: count for rule, count in dropped.items() if rule != "damage"
        }
        assert report["kept"]["documents"] == len(rows(folder))
        assert report["read"]["documents"] == report["kept"]["documents"] + sum(
            c["documents"] for c in report["dropped"].values()
        )
        assert before is None or report["read"] == before
        before = report["kept"]
    assert len(rows(run / "dataset")) == (before or {})["documents"]


# --- the sample run


def expected(fate: str) -> set[str]:
    repetition = {
        f"repeated_{x}"
        for x in ("line_fraction", "paragraph_fraction", "line_character_fraction", "paragraph_character_fraction")
    }
    repetition |= {f"top_{n}gram_character_fraction" for n in (2, 3, 4)} | {
        f"repeated_{n}gram_character_fraction" for n in range(5, 11)
    }
    meanings = {
        "kept": {"dataset"},
        "quality": {"dataset", "quality/quality_probability"},
        "extract/no_text": {"extract/no_text", "extract/fasttext_word_count"},
        "bloom/duplicate": {"bloom/contained_fraction", "bloom/no_line_left"},
        "decontaminate/benchmark": {"decontaminate/benchmark_item_count"},
        "heuristics/language": {"heuristics/language", "heuristics/language_probability"},
        "heuristics/repetition": {f"heuristics/{rule}" for rule in repetition},
    }
    found = meanings.get(fate, {fate})
    return found | {rule.replace("heuristics/", "extract/") for rule in found}  # by its early rules


def test_every_page_meets_its_fate(sample, sample_run):
    met = dict(fates_of(sample_run))
    wrong = []
    for line in (sample / "fates.jsonl").read_text().splitlines():
        page = json.loads(line)
        if met[page["id"].strip("<>")] not in expected(page["fate"]):
            wrong.append((page["url"], page["kind"], page["fate"], met[page["id"].strip("<>")]))
    assert wrong == []
    assert {"minhash/near_copy", "bloom/contained_fraction"} <= set(met.values())


def test_every_response_is_accounted_for_once(sample, sample_run):
    ids = [id_ for id_, _ in fates_of(sample_run)]
    assert sorted(ids) == sorted(responses(*sorted((sample / "crawl").iterdir())))
    assert len(ids) == len(set(ids))
    check_accounts(sample_run)


def test_the_run_says_what_it_made(sample_run):
    printed = (sample_run.parent / "printed.txt").read_text()
    for word in (*STAGES, "keeps", "quality_probability", "run/dataset/part-*.parquet", "on your own crawl:"):
        assert word in printed
    assert [f.name.split("-")[1] for f in folders(sample_run)] == STAGES
    report = json.loads((sample_run / "dataset" / "_report.json").read_text())
    assert [stage["stage"] for stage in report["funnel"]] == STAGES
    assert load(str(sample_run / "recipe.yaml")).stages == load("sample").stages


def test_documents_know_where_they_come_from(sample_run):
    inputs = [Input(**values) for values in json.loads((sample_run / "inputs.json").read_text())]
    for row in rows(sample_run / "dataset")[::5]:
        assert row["archive"] in [f"sample-{n:05d}.warc.gz" for n in range(4)]
        with open(path_of(inputs, str(row["archive"])), "rb") as file:
            file.seek(row["offset"])
            (record,) = [r for r in records(io.BytesIO(file.read(row["length"])), row["length"]) if isinstance(r, Record)]
        assert (record.id, record.url, record.date) == (row["id"], row["url"], row["date"])
        assert row["language"] == "en"


def test_one_worker_makes_the_bytes_of_two(sample, sample_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_recipe(load("sample"), [str(sample / "crawl")], "run", here)
    assert digests(tmp_path / "run") == digests(sample_run)


@pytest.fixture
def copied(sample_run, tmp_path):
    """The sample run, as another user of it has it."""
    shutil.copytree(sample_run, tmp_path / "run")
    return tmp_path / "run"


def go_on(folder: Path, sample: Path, *words: object) -> str:
    words = ("run", "sample", "--input", sample / "crawl", "--out", "run", "--workers", "1", *words)
    return goldwash(*words, cwd=folder).stdout


def test_a_rerun_reuses_all_and_changes_nothing(copied, sample):
    before, bytes_ = times(copied), digests(copied)
    for folder in ("", "dataset"):  # a driver was killed as it wrote
        (copied / folder / ".half-1-abc").write_text("{")
    printed = go_on(copied.parent, sample)
    assert printed.count("reused") == len(STAGES)
    assert times(copied) == before
    assert digests(copied) == bytes_


@pytest.mark.parametrize(
    ("setting", "redone"),
    [
        ("quality.fraction=0.2", ["quality", "decontaminate"]),
        ("decontaminate.action=annotate", ["decontaminate"]),
        ("bloom.threshold=0.01", ["bloom", "quality", "decontaminate"]),
        ("minhash.check=0.95", ["minhash", "bloom", "quality", "decontaminate"]),
    ],
)
def test_a_changed_threshold_redoes_what_comes_after_it(copied, sample, setting, redone, monkeypatch):
    monkeypatch.chdir(copied.parent)
    before, old = times(copied), {f.name for f in folders(copied)}
    steps = run_recipe(load("sample", [setting]), [str(sample / "crawl")], "run", here)
    assert [step.stage.name for step in steps if not step.reused] == redone
    assert {f.name.split("-")[1] for f in folders(copied) if f.name not in old} == set(redone)
    after = times(copied)
    assert all(after[name] == at for name, at in before.items() if not name.startswith("dataset"))


@pytest.mark.parametrize("lost", ["shard", "dropped", "report", "marker"])
def test_what_is_gone_is_made_again(copied, sample, lost, monkeypatch):
    monkeypatch.chdir(copied.parent)
    before, folder = digests(copied), folders(copied)[1]
    gone = {
        "shard": "part-00001.parquet",
        "dropped": "dropped/part-00002.parquet",
        "report": "report.json",
        "marker": "tasks/part.jsonl.gz",
    }
    (folder / gone[lost]).unlink()
    steps = run_recipe(load("sample"), [str(sample / "crawl")], "run", here)
    assert [step.reused for step in steps] == [True, lost == "marker", *[True] * (len(STAGES) - 2)]
    assert digests(copied) == before


def test_texts_are_left_only_between_stages(sample):
    def copied(*skip: str, names: str = str(sample / "crawl")) -> list[bool]:
        recipe = fitted(load("baseline", skip=skip), [names])
        return [stage.config()["copy_text"] for stage in recipe.stages if stage.name == "minhash"]

    assert copied() == [False]
    assert copied("bloom", "quality") == [False]
    assert copied("bloom", "quality", "decontaminate") == [True]  # its documents are the dataset
    assert copied("extract", "heuristics", names="a/part.parquet") == [True]
    assert copied("heuristics", names="a/part.parquet") == [True]  # extract is left out
    assert copied(names="a/part.parquet") == [False]
    assert stage_alone("minhash", "baseline").config()["copy_text"]
    assert not stage_alone("minhash", "baseline", ["copy_text=false"]).config()["copy_text"]


@pytest.mark.parametrize("setting", ["minhash.copy_text=true", "bloom.count_column=null"])
def test_later_stages_write_the_same_bytes_wherever_texts_and_counts_are(sample, sample_run, tmp_path, setting):
    run_recipe(load("sample", [setting]), [str(sample / "crawl")], str(tmp_path / "run"), here)
    shards = [
        {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("part-*.parquet")}
        for run in (tmp_path / "run", sample_run)
        for folder in [*folders(run)[3:], run / "dataset"]
    ]
    assert all(shards)
    assert shards[: len(shards) // 2] == shards[len(shards) // 2 :]
    assert rows(folders(tmp_path / "run")[2], "dropped") == rows(folders(sample_run)[2], "dropped")
    ngrams = [read_json(str(folders(run)[3] / "report.json"))["facts"]["ngrams"] for run in (tmp_path / "run", sample_run)]
    assert ngrams[0] == ngrams[1] > 0


def test_bloom_takes_counts_where_the_run_has_them(sample):
    def column(settings: Sequence[str] = (), skip: Sequence[str] = (), recipe: str = "baseline") -> str | None:
        stages = fitted(load(recipe, settings, skip), [str(sample / "crawl")]).stages
        return next(stage.config()["count_column"] for stage in stages if stage.name == "bloom")

    assert column() == column(skip=["minhash"]) == column(["bloom.threshold=0.5", "minhash.copy_text=true"]) == "ngram_count"
    for setting in ("min_n=5", "mode=documents", "short_documents=false", "count_column=null", "count_column=other"):
        assert column([f"bloom.{setting}"]) is None
    assert column(skip=["heuristics"]) is None
    assert column(recipe="reference") is None
    assert stage_alone("bloom", "baseline").config()["count_column"] is None
    counting = [step["column"] for step in load("baseline").stage("heuristics").config()["steps"] if "column" in step]
    assert counting == ["ngram_count"]
    assert not [step for step in stage_alone("heuristics", "baseline").config()["steps"] if "column" in step]
    stages = load("baseline").stages
    cut = Heuristics.of({"steps": [{"keep_lines": "word_count", "min": 3}]})
    again = Recipe("again", "", (*stages[:2], cut, *stages[2:]))
    assert fitted(again, [str(sample / "crawl")]).stage("bloom").config()["count_column"] is None


def test_texts_are_found_in_a_run_at_a_relative_path(sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stages = load("sample").stages
    twice = Recipe("twice", "", (*stages[:2], Exact(copy_text=False), *stages[2:4]))
    run_recipe(twice, [str(sample / "crawl")], "run", here)
    assert rows(tmp_path / "run" / "dataset")


def test_a_broken_shard_of_texts_is_made_again(copied, sample, monkeypatch):
    monkeypatch.chdir(copied.parent)
    before = digests(copied)
    shutil.rmtree(folders(copied)[3])  # bloom's, which reads the texts
    held = folders(copied)[1] / "part-00000.parquet"
    held.write_bytes(b"broken" + held.read_bytes()[6:])
    with pytest.raises(RunError, match=r"(?s)03-minhash.* has its texts in another shard.*02-heuristics.* is not what it was"):
        run_recipe(load("sample"), [str(sample / "crawl")], "run", local(1))
    run_recipe(load("sample"), [str(sample / "crawl")], "run", here)
    held.with_name(f"{held.name}.broken").unlink()
    assert digests(copied) == before


MILESTONES = [
    "01-extract-*/tasks/part*",
    "02-*/stage.json",
    "03-*/logs/pairs/pass.json",
    "04-*/logs/count/pass.json",
    "05-*/scores/part-*.parquet",
]


def test_killed_at_any_moment_and_run_again_it_ends_in_the_same_bytes(sample, sample_run, tmp_path):
    """The whole group of processes dies by SIGKILL, five times, each a little further on."""
    rng = random.Random(0)
    words = [
        sys.executable,
        "-m",
        "goldwash",
        "run",
        "sample",
        "--input",
        str(sample / "crawl"),
        "--out",
        "run",
        "--workers",
        "2",
    ]
    killed = 0
    for milestone in MILESTONES:
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(words, cwd=tmp_path, start_new_session=True, stdout=log, stderr=log)
        for _ in range(3000):
            if process.poll() is not None or list((tmp_path / "run").glob(milestone)):
                break
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        killed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
    assert killed >= 4, (tmp_path / "log").read_text()
    go_on(tmp_path, sample)
    assert digests(tmp_path / "run") == digests(sample_run)


def test_a_lead_comes_to_no_stage_whose_inputs_have_not_begun(sample, tmp_path, cli, monkeypatch):
    """The run was begun anew, and killed, while a later lead of it waited."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("goldwash.pipeline.engines.slurm.check_cluster", lambda settings: None)
    begin(load("sample"), [str(sample / "crawl")], "run", on="slurm")
    write_json("run/engine.json", {"slurm": {"partition": "gold"}})
    code, _, error = cli("drive", "run", 3)
    assert code == 1
    assert "run/run.json, stages: expected at least 2, found 0: extract has not begun" in " ".join(error.split())
    assert "give the same `goldwash run` again" in " ".join(error.split())
    assert folders(tmp_path / "run") == []


@pytest.mark.real
def test_real_pages_are_accounted_for(real, tmp_path):
    archives = [real / "pages" / name for name in ("public-002.warc.gz", "synthetic-000.warc.gz")]
    mmlu = f"decontaminate.benchmarks={real / 'mmlu' / 'test'}"
    words = ("run", "baseline", "--input", *archives, "--out", "run", "--workers", "2", "--set", mmlu)
    goldwash(*words, cwd=tmp_path, timeout=300)
    ids = [id_ for id_, _ in fates_of(tmp_path / "run")]
    assert Counter(ids) == Counter(responses(*archives))
    check_accounts(tmp_path / "run")
    assert len(rows(tmp_path / "run" / "dataset")) > 10


# --- what a finished stage keeps

COPIED = [
    ["one two three four five six", "a b c d e f g", "h i j k l m n"],
    ["one two three four five six", "o p q r s t u"],
    [],
]
KEPT = {
    "minhash": (MinHash(ngram=2, bands=4, rows=2, check=0.5), {"keys", "dropped", "logs", "tasks"}),
    "exact": (Exact(), {"keys", "dropped", "logs", "tasks"}),
    "heuristics": (Heuristics.of({"steps": [{"keep": "word_count", "min": 7}]}), {"dropped", "logs", "tasks"}),
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_finished_stage_keeps_few_files_and_makes_a_broken_shard_again(name: str, broken: int, tmp_path: Path) -> None:
    stage, kept = KEPT[name]
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate(COPIED)]
    out = tmp_path / "out"

    def work() -> dict[str, str]:
        assert run_stage(stage, inputs, str(out), here, options=Options(allow_empty=True)).report is not None
        return digests(tmp_path) | {
            f"tasks/{f.name}": hashlib.sha256(f.read_bytes()).hexdigest() for f in (out / "tasks").iterdir()
        }

    first = work()
    assert {p.name for p in out.iterdir()} | {"logs"} == kept | {
        "stage.json", "report.json", *(f"part-{n:05d}.parquet" for n in range(3)),
    }  # fmt: skip
    assert all(path.name.endswith(".jsonl.gz") for path in (out / "tasks").iterdir())
    assert work() == first
    (out / f"part-{broken:05d}.parquet").unlink()
    assert work() == first


@pytest.mark.parametrize("moment", ["rm", "pack_markers"])
def test_a_driver_that_is_killed_after_the_report_leaves_nothing_for_ever(moment: str, tmp_path: Path, monkeypatch) -> None:
    stage, _ = KEPT["minhash"]
    inputs = [shard(tmp_path / "in" / f"{n}.parquet", texts) for n, texts in enumerate(COPIED)]
    whole = tmp_path / "whole"
    run_stage(stage, inputs, str(whole), here)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stages if moment == "pack_markers" else LocalFileSystem, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            run_stage(stage, inputs, str(tmp_path / "out"), here)
    assert run_stage(stage, inputs, str(tmp_path / "out"), here).reused
    assert {k.replace("out/", "whole/"): v for k, v in digests(tmp_path).items() if k.startswith("out/")} == {
        k: v for k, v in digests(tmp_path).items() if k.startswith("whole/")
    }
    packed = [sorted(p.name for p in (tmp_path / name / "tasks").iterdir()) for name in ("out", "whole")]
    assert packed[0] == packed[1] == ["part.jsonl.gz"]
