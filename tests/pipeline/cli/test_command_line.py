# ruff: noqa: E501 -- tables

import json
import re
import subprocess
import sys
from pathlib import Path

import fasttext
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.main import get_command

from goldwash.evidence.cli import register
from goldwash.pipeline.cli.app import app, several, spread
from goldwash.pipeline.stages import STAGES
from tests.pipeline.conftest import goldwash, rows, shard
from tests.support.archives import gzipped, warc

register(app)  # as `goldwash` does: otherwise these tests would see evidence's commands only after a test that ran `main`
COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands if command.callback)
ENGLISH = [
    "The river runs down from the hills and the old mill turns with it all day long. " * 2 + f"Nobody counts the {n} stones."
    for n in range(4)
]


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- help and lists


def test_the_commands():
    assert {"explain", "run", "sample", "score", "signals", "stage", "stages", "train"} <= set(COMMANDS)
    assert {"ablate", "compare", "curves", "plan"} <= set(COMMANDS)


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_teaches(cli, words):
    code, printed, error = cli(*words)
    assert (code, error) == (0, "")
    assert "Usage: goldwash" in printed
    assert len(printed.splitlines()) > 4


def test_version_and_lists(cli):
    code, printed, _ = cli("--version")
    assert code == 0
    assert printed.startswith("goldwash 0.")
    code, printed, _ = cli("stages")
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == list(STAGES)
    code, printed, _ = cli("signals")
    assert code == 0
    for name in ("word_count", "url_host_count", "squeeze_newlines"):
        assert any(line.split()[:1] == [name] and len(line.split()) > 3 for line in printed.splitlines())


def test_the_installed_script():
    script = Path(sys.executable).parent / "goldwash"
    if not script.exists():
        pytest.skip("goldwash is not installed beside this Python")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("goldwash ")


def spread_words(line):
    """A command line as `main` rewrites it."""
    words = line.split()
    return " ".join(spread(words, several(get_command(app).commands, words)))


def test_several_words_may_follow_an_option_of_a_list():
    assert spread_words("train --positive a b --negative c") == "train --positive a --positive b --negative c"
    assert spread_words("run r --input a --out b c") == "run r --input a --out b c"
    assert spread_words("run r --keep a.min=1 b.max=2 --skip x y") == "run r --keep a.min=1 --keep b.max=2 --skip x --skip y"
    assert spread_words("what-if a b --fraction 0.1 0.2") == "what-if a b --fraction 0.1 --fraction 0.2"
    assert spread_words("--version a b") == "--version a b"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_list_says_that_several_may_follow(command):
    for parameter in get_command(app).commands[command].params:
        if getattr(parameter, "multiple", False):
            assert "everal may follow" in parameter.help, parameter.name


@pytest.mark.parametrize(
    "words", [["runn"], ["run"], ["run", "baseline"], ["run", "sample", "--input", "x", "--out", "y", "--workers", "-1"]]
)
def test_words_that_are_not_understood(cli, words):
    code, printed, error = cli(*words)
    assert code == 2
    assert "Error" in error
    assert "Traceback" not in error + printed


# --- doing things


def test_sample_until_and_dry_run(cli, at, sample):
    words = ["run", "sample", "--input", sample / "crawl", "--out", "run", "--workers", "1"]
    code, printed, _ = cli(*words, "--dry-run")
    assert code == 0
    assert "4 inputs" in printed
    assert printed.count("to do") == 6
    assert not (at / "run").exists()
    assert cli(*words, "--until", "extract")[0] == 0
    assert [p.name.split("-")[1] for p in sorted((at / "run").glob("0*"))] == ["extract"]
    assert not (at / "run" / "dataset").exists()
    code, printed, _ = cli(*words, "--dry-run")
    assert printed.count("finished, will be reused") == 1
    assert printed.count("to do") == 5
    skipped = ("heuristics", "minhash", "bloom", "quality", "decontaminate")
    code, printed, _ = cli(*words, *(word for stage in skipped for word in ("--skip", stage)))
    assert code == 0
    assert len(rows(at / "run" / "dataset")) == len(rows(next((at / "run").glob("01-*"))))


@pytest.mark.parametrize("recipe", ["baseline", "reference"])
def test_one_stage_on_ones_own_shards(cli, at, recipe):
    shard(at / "in" / "a.parquet", [*ENGLISH, "kurz"], score=[0.5] * 5)
    code, _, _ = cli(
        "stage", "heuristics", "--input", "in", "--out", "cleaned", "--recipe", recipe, "--workers", "1",
        "--set", "steps=[{keep: word_count, min: 5}]",
    )  # fmt: skip
    assert code == 0
    assert [row["text"] for row in rows(at / "cleaned")] == ENGLISH
    assert {row["score"] for row in rows(at / "cleaned")} == {0.5}
    assert [(r["id"], r["dropped_by"], r["value"]) for r in rows(at / "cleaned", "dropped")] == [("a-4", "word_count", 1.0)]
    assert json.loads((at / "cleaned" / "report.json").read_text())["report"]["read"]["documents"] == 5


@pytest.mark.parametrize("recipe", ["baseline", "reference"])
def test_a_stage_has_the_recipes_steps(cli, at, recipe):
    shard(at / "in" / "a.parquet", [*ENGLISH, "kurz"])
    assert cli("stage", "heuristics", "--input", "in", "--out", "cleaned", "--recipe", recipe, "--workers", "1")[0] == 0
    kept, dropped = rows(at / "cleaned"), rows(at / "cleaned", "dropped")
    assert len(kept) + len(dropped) == 5
    assert any(row["dropped_by"] in ("language", "language_probability", "fasttext_word_count") for row in dropped)


def test_a_stage_reads_what_a_stage_has_finished(cli, at, sample_run):
    extracted = next(sample_run.glob("01-*"))
    assert cli("stage", "bloom", "--input", extracted, "--out", "out", "--workers", "1")[0] == 0
    report = json.loads((at / "out" / "report.json").read_text())["report"]
    assert report["read"]["documents"] == len(rows(extracted))


def test_train_then_score(cli, at, sample):
    folder = sample / "classifier"
    code, printed, _ = cli(
        "train", "--positive", folder / "positive.jsonl", "--negative", folder / "negative.jsonl", "--out", "model",
        "--set", "dim=8", "--set", "bucket=10000", "--set", "epoch=5",
    )  # fmt: skip
    assert code == 0
    assert "| AUC | " in printed
    assert "train" in printed.splitlines()[2]
    assert {p.name for p in (at / "model").iterdir()} == {"model.bin", "model.fold", "report.json", "MODEL.md"}
    shard(at / "in" / "a.parquet", ENGLISH)
    for n, model in enumerate(("model/model.fold", "model/model.bin")):
        assert cli("score", f"worth={model}", "--input", "in", "--out", f"scored{n}", "--workers", "1")[0] == 0
    one, other = ([row["worth_probability"] for row in rows(at / f"scored{n}")] for n in range(2))
    assert one == other
    assert len(one) == 4
    assert all(0 < worth < 1 for worth in one)


QUESTION = "What shines at the bottom of the pan when the water has gone?"


def test_what_quotes_a_benchmark_is_not_learned(cli, at):
    (at / "bench.csv").write_text(f"question,choice0,choice1,answer\n{QUESTION},Gold,Sand,0\nWhat shines?,Gold,Sand,0\n")
    good = [f"The river carries gold from the hills {n}." for n in range(30)]
    quoting = [f"So they asked: {QUESTION.upper()} Nobody knew, number {n}." for n in range(5)]
    (at / "good.txt").write_text("\n".join([*good, *quoting, "What shines?"]) + "\n")
    (at / "bad.txt").write_text("".join(f"Buy now, click here {n}!\n" for n in range(30)))
    words = ["train", "--positive", "good.txt", "--negative", "bad.txt", "--set", "dim=4", "bucket=100", "--out"]
    code, printed, _ = cli(*words, "model", "--benchmarks", "bench.csv")
    assert code == 0
    report = json.loads((at / "model" / "report.json").read_text())
    assert report["left_out"]["excluded"] == 5
    assert report["learned"] + report["held_out"] + report["left_out"]["near_copies_of_learned"] == 61
    assert "excluded because they quote a benchmark: 5" in printed
    assert cli(*words, "other")[0] == 0
    assert json.loads((at / "other" / "report.json").read_text())["left_out"]["excluded"] == 0
    code, _, error = cli(*words, "third", "--benchmarks", "gone.csv")
    assert code == 1
    assert "benchmark gone.csv: no file or folder" in error
    assert not (at / "third").exists()


def test_a_report_and_progress_are_shown(cli, at):
    for name, text in (("good", "gold of the river"), ("bad", "buy now, click")):
        (at / f"{name}.jsonl").write_text("".join(json.dumps({"text": f"{text} {n}"}) + "\n" for n in range(40)))
    code, printed, error = cli(
        "train", "--positive", "good.jsonl", "--negative", "bad.jsonl", "--out", "model", "--per-class", "20", "--seed", "3",
        "--set", "dim=4", "bucket=100", "held_out=0.5", "balanced=true", "lr=1",
    )  # fmt: skip
    assert code == 0
    assert "training on 20 examples" in error
    assert "| AUC |" in printed
    assert "Most influential words" in printed
    assert "goldwash score model/model.fold --input SHARDS --out DIR" in printed
    settings = json.loads((at / "model" / "report.json").read_text())["settings"]
    assert (settings["per_class"], settings["seed"], settings["balanced"], settings["lr"]) == (20, 3, True, 1)


def test_fold_then_score_and_select_by_the_fold(cli, at, model):
    (at / "m.bin").write_bytes((model.parent / "model.bin").read_bytes())
    code, printed, _ = cli("fold", "m.bin")
    assert code == 0
    assert printed.startswith("m.fold: ")
    assert printed.rstrip().endswith(("labels cc, hq", "labels hq, cc"))
    assert (at / "m.fold").read_bytes() == model.read_bytes()
    assert cli("fold", "m.bin", "--out", "deep/other.fold")[0] == 0
    assert (at / "deep" / "other.fold").read_bytes() == model.read_bytes()
    shard(at / "in" / "a.parquet", [*ENGLISH, "buy now", "click here"])
    for name in ("m.bin", "m.fold"):
        words = ["--input", "in", "--workers", "1", "--out", f"kept-{name}"]
        assert cli("stage", "quality", *words, "--set", f"model={name}", "--set", "fraction=0.5")[0] == 0
    assert rows(at / "kept-m.bin") == rows(at / "kept-m.fold")
    assert len(rows(at / "kept-m.fold")) == 3


# --- why is this page gone?


def test_explain_a_kept_and_a_dropped_page(cli, sample_run):
    kept = rows(sample_run / "dataset")[0]
    for name in (kept["id"], kept["url"]):
        code, printed, _ = cli("explain", sample_run, name)
        assert code == 0
        assert [line.split(":")[0] for line in printed.splitlines() if line.endswith("kept")] == [
            "extract", "heuristics", "minhash", "bloom", "quality", "decontaminate"
        ]  # fmt: skip
        assert "NO " not in printed
    folder = next(sample_run.glob("02-*"))
    for gone in rows(folder, "dropped")[::40]:
        code, printed, _ = cli("explain", sample_run, gone["id"])
        assert code == 0
        assert f"heuristics: dropped by {gone['dropped_by']}" in printed
        assert "extract: kept" in printed
        assert "minhash" not in printed
        assert any(line.strip().startswith("NO ") and str(gone["dropped_by"]) in line for line in printed.splitlines())


def test_explain_a_page_that_quality_dropped(cli, sample_run):
    gone = rows(next(sample_run.glob("05-*")), "dropped")[0]
    _, printed, _ = cli("explain", sample_run, gone["url"])
    assert "quality: dropped by quality_probability" in printed


def test_explain_an_unknown_page_and_an_unknown_run(cli, sample_run, at):
    code, _, error = cli("explain", sample_run, "http://nowhere.example/")
    assert code == 1
    assert "no page of this URL or id" in error
    code, _, error = cli("explain", at, "x")
    assert code == 1
    assert "is not a run" in error


# --- bad input


def bad(make):
    """A test of a command that must fail in one line, saying what, where and the cure."""
    return pytest.param(*make[1:], id=make[0])


RUN = ["run", "sample", "--out", "out", "--workers", "1", "--until", "extract", "--input"]
STAGE = ["stage", "heuristics", "--out", "out", "--workers", "1", "--input"]
BAD = [
    ("missing archive", [*RUN, "gone.warc.gz"], "gone.warc.gz: no archive there"),
    ("missing folder", [*RUN, "gone"], "gone: no archive there"),
    ("folder without archives", [*RUN, "empty"], "empty: no archive there; expected files ending in .warc"),
    ("glob of nothing", [*RUN, "gone-*.warc.gz"], "gone-*.warc.gz: no archive there"),
    ("empty list", [*RUN, "empty.paths"], "empty.paths is an empty list"),
    ("list of nothing", [*RUN, "list.txt"], "nowhere.warc.gz: no such file"),
    ("missing list", [*RUN, "gone.paths"], "gone.paths: no such list of archives"),
    ("list that is none", [*RUN, "binary.paths.gz"], "binary.paths.gz is not a list of paths"),
    ("unknown recipe", ["run", "baselin", "--out", "o", "--input", "x"], "no recipe is called 'baselin': did you mean 'baseline'"),
    ("unknown key", ["run", "key.yaml", "--out", "o", "--input", "x"], "key.yaml, line 1: no key is called 'stagez'"),
    ("misspelt signal", ["run", "signal.yaml", "--out", "o", "--input", "x"], "no signal is called 'wrod_count': did you mean 'word_count'"),
    ("unknown until", [*RUN[:-1], "--until", "qality", "--input", "good.warc.gz"], "has no stage 'qality': did you mean 'quality'"),
    ("unknown stage", ["stage", "minhas", "--input", "x", "--out", "o"], "no stage is called 'minhas'"),
    ("shard without text", [*STAGE, "textless"], "has no column 'text' (it has: content): say which column holds the text"),
    ("shard with a null", [*STAGE, "nulls"], "row 1 is null"),
    ("truncated shard", [*STAGE, "truncated"], "is not a whole Parquet file"),
    ("folder without shards", [*STAGE, "empty"], "empty: no documents there"),
    ("unfinished stage", [*STAGE, "unfinished"], "unfinished holds an unfinished stage"),
    ("setting", [*STAGE, "textless", "--set", "stepz=[]"], "has no parameter 'stepz': did you mean 'steps'"),
    ("model that is none", ["score", "list.txt", "--input", "good", "--out", "o"], "list.txt"),
    ("missing model", ["score", "gone.bin", "--input", "good", "--out", "o"], "no file at gone.bin"),
    ("what cannot be folded", ["fold", "three.bin"], "three.bin cannot be folded: only a supervised softmax model with two labels"),
    ("a fold is not folded", ["fold", "list.txt"], "list.txt"),
    ("missing model to fold", ["fold", "gone.bin"], "no file at gone.bin"),
    ("score without a model", ["score", "a=", "--input", "good", "--out", "o"], "no file at"),
    ("score of an unknown signal", ["score", "a=signal:wrod_count", "--input", "good", "--out", "o"], "did you mean 'word_count'"),
    ("two models of one name", ["score", "x.bin", "y.bin", "--input", "good", "--out", "o"], "two models are called quality"),
    ("score that would replace the text", ["score", "text=signal:word_count", "--input", "good", "--out", "o"], "would replace"),
    ("missing file of signals", ["score", "signal:mine", "--use", "gone.py", "--input", "good", "--out", "o"], "use: no file"),
    ("weighing by a missing column", ["stage", "quality", "--input", "good", "--out", "o", "--workers", "1", "--set", "by=token_count"], "has no column 'token_count'"),
    ("broken line", ["train", "--positive", "broken.jsonl", "--negative", "ey.txt", "--out", "o"], "broken.jsonl, line 2, is not JSON"),
    ("no dumps", ["train", "--positive", "eli5:empty", "--negative", "ey.txt", "--out", "o"], "empty has no dump of posts"),
    ("equal examples", ["train", "--positive", "ex.txt", "--negative", "ex.txt", "--out", "o"], "are the same texts"),
    ("training setting out of bounds", ["train", "--positive", "ex.txt", "--negative", "ey.txt", "--out", "o", "--set", "bucket=0"], "bucket is 0; expected 1 or more"),
    ("missing benchmark", ["stage", "decontaminate", "--input", "good", "--out", "o", "--set", "benchmarks=mmlux"], "benchmark mmlux: no file"),
    ("missing examples", ["train", "--positive", "gone.jsonl", "--negative", "x", "--out", "o"], "no examples at gone.jsonl"),
    ("unknown training setting", ["train", "--positive", "x", "--negative", "x", "--out", "o", "--set", "epochs=3"], "no such setting"),
    ("wrong training setting", ["train", "--positive", "ex.txt", "--negative", "ey.txt", "--out", "o", "--set", "epoch=many"], "epoch is 'many'; expected a whole number"),
]  # fmt: skip


@pytest.fixture
def spoilt(at):
    """A folder of things that cannot be used, and some that can."""
    (at / "empty").mkdir()
    (at / "empty.paths").write_text("\n")
    (at / "list.txt").write_text("nowhere.warc.gz\n")
    (at / "binary.paths.gz").write_bytes(b"\x00\x01\x02")
    (at / "key.yaml").write_text("stagez: []\n")
    (at / "signal.yaml").write_text("stages:\n  - heuristics: {steps: [{keep: wrod_count, min: 5}]}\n")
    (at / "good.warc.gz").write_bytes(gzipped(warc(2)))
    (at / "ex.txt").write_text("gold\nwash\n")
    (at / "ey.txt").write_text("sand\nmud\n")
    (at / "broken.jsonl").write_text('{"text": "a"}\n{"text": \n')
    (at / "lines.txt").write_text("__label__a gold\n__label__b mud\n__label__c sand\n" * 9)
    fasttext.train_supervised(str(at / "lines.txt"), dim=4, bucket=1, thread=1, verbose=0).save_model(str(at / "three.bin"))
    shard(at / "good" / "a.parquet", ENGLISH)
    shard(at / "nulls" / "a.parquet", ["x", None])
    for name in ("textless", "truncated"):
        (at / name).mkdir()
    pq.write_table(pa.table({"content": ["x"]}), at / "textless" / "a.parquet")
    (at / "truncated" / "a.parquet").write_bytes((at / "good" / "a.parquet").read_bytes()[:-50])
    (at / "unfinished").mkdir()
    (at / "unfinished" / "stage.json").write_text("{}")
    return at


@pytest.mark.parametrize(("words", "message"), [bad(case) for case in BAD])
def test_bad_input_is_told_in_one_line(cli, spoilt, words, message):
    code, printed, error = cli(*words)
    assert code == 1, printed + error
    assert message in " ".join(error.split())
    assert "Traceback" not in printed + error
    assert not list(spoilt.rglob(".half-*"))


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [("truncated.warc.gz", gzipped(warc(4))[:-100], 3), ("text.warc.gz", b"This is no archive at all.\n" * 30, 0)],
)
def test_a_damaged_archive_is_a_counted_outcome(cli, at, name, content, kept):
    (at / name).write_bytes(content)
    code, printed, error = cli(*RUN, name, "--set", "extract.early=[]")
    assert code == (0 if kept else 1)
    if kept:
        assert "damaged input: 1 archive, 1 place" in printed + error
    else:
        assert re.search(rf"no record could be read from \S*{name}", error)
        assert cli(*RUN, name, "--set", "extract.early=[]", "--allow-empty")[0] == 0
    folder = next((at / "out").glob("01-*"))
    assert len(rows(folder)) == kept
    dropped = rows(folder, "dropped")
    assert [row["dropped_by"] for row in dropped] == ["damage"]
    assert dropped[0]["url"].endswith(name)
    assert json.loads((folder / "report.json").read_text())["report"]["notes"]["damaged_places"] == 1


def test_a_full_disk_is_told_and_the_run_goes_on_where_there_is_room(cli, at, sample, small_disk):
    code, printed, error = cli("run", "sample", "--input", sample / "crawl", "--out", small_disk / "run", "--workers", "1")
    assert code == 1
    assert "no space left on device" in error
    assert "Traceback" not in printed + error
    assert not list(small_disk.rglob(".half-*"))
    assert not list(small_disk.rglob("report.json"))


def test_a_full_disk_leaves_no_model_and_training_again_writes_it(cli, at, sample, small_disk):
    folder = sample / "classifier"
    words = [
        "train",
        "--positive",
        folder / "positive.jsonl",
        "--negative",
        folder / "negative.jsonl",
        "--set",
        "dim=8",
        "--out",
    ]
    code, _, error = cli(*words, small_disk / "model", "--set", "bucket=10000")
    assert code == 1
    assert re.search(r"model\.bin: No space left on device: free some space, then give the same command again", error)
    assert "copy it again" not in error
    assert list((small_disk / "model").iterdir()) == []
    (at / "model").mkdir()
    (at / "model" / "model.bin").write_bytes(b"\xba\x16\x4f\x2f")  # a model that was cut off
    assert cli(*words, at / "model", "--set", "bucket=10000")[0] == 0
    assert (at / "model" / "model.bin").stat().st_size > 320_000


def test_a_full_disk_during_the_built_in_training_is_told_and_the_stage_is_redone(cli, at, small_disk):
    shard(at / "in" / "a.parquet", ENGLISH)
    code, printed, error = cli("stage", "quality", "--input", "in", "--out", small_disk / "kept", "--workers", "1")
    assert code == 1
    assert "no space left on device" in error
    assert "again" in error
    assert "copy it again" not in printed + error
    assert not list(small_disk.rglob("model.*"))
    assert cli("stage", "quality", "--input", "in", "--out", "kept", "--workers", "1")[0] == 0


def test_a_model_of_the_stage_that_was_cut_off_is_written_again(cli, at):
    shard(at / "in" / "a.parquet", ENGLISH)
    words = ["stage", "quality", "--input", "in", "--out", "kept", "--workers", "1"]
    assert cli(*words)[0] == 0
    before = {p.name: p.read_bytes() for p in (at / "kept").rglob("*.parquet")}
    for model in (at / "kept" / "model").glob("model.*"):
        model.write_bytes(model.read_bytes()[:1000])
    for path in (at / "kept").rglob("*.parquet"):
        path.unlink()
    (at / "kept" / "report.json").unlink()
    assert cli(*words)[0] == 0
    assert {p.name: p.read_bytes() for p in (at / "kept").rglob("*.parquet")} == before


def test_a_classifier_that_has_learned_nothing_is_warned_about_last(cli, at):
    for name, first in (("good", 0), ("bad", 1)):
        (at / f"{name}.txt").write_text("".join(f"The river carries stones {n}.\n" for n in range(first, 400, 2)))
    code, _, error = cli(
        "train", "--positive", "good.txt", "--negative", "bad.txt", "--out", "model", "--set", "dim=4", "bucket=100"
    )
    assert code == 0
    warnings = json.loads((at / "model" / "report.json").read_text())["warnings"]
    assert error.rstrip().splitlines()[-len(warnings) :] == [f"warning: {warning}." for warning in warnings] != []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bucket=3000000000", "bucket is 3000000000; expected less than 2 to the 31st"),
        ("bucket=0", "bucket is 0; expected 1 or more"),
        ("bucket=many", "bucket is 'many'; expected a whole number"),
        ("bucket=1.5", "bucket is 1.5; expected a whole number"),
        ("bucket=true", "bucket is True; expected a whole number"),
        ("bucket=null", "bucket is None; expected a whole number"),
        ("bucket=[1]", "bucket is [1]; expected a whole number"),
        ("bucket=", "bucket"),
        ("lr=high", "lr is 'high'; expected a number"),
        ("lr=true", "lr is True; expected a number"),
        ("lr=.nan", "lr is nan; expected more than 0"),
        ("balanced=1", "balanced is 1; expected true or false"),
        ("held_out=2", "held_out is 2; expected a share from 0 to less than 1"),
        ("buckets=5", "--set buckets: no such setting: did you mean 'bucket'?"),
    ],
)
def test_training_settings_of_wrong_types_and_sizes_are_refused(cli, at, setting, message):
    (at / "ex.txt").write_text("gold\n")
    code, _, error = cli("train", "--positive", "ex.txt", "--negative", "ex.txt", "--out", "model", "--set", setting)
    assert code != 0
    assert message in error
    assert "Traceback" not in error
    assert not (at / "model").exists()


def test_debug_shows_where_it_failed(at):
    done = goldwash("run", "sample", "--input", "gone.warc", "--out", "out", "--debug", cwd=at, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "DataError" in done.stderr
