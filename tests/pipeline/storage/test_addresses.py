"""RUN:STAGE as an input; folders of one run together are refused; what no run refers to is removed on request."""

import json
import shutil

import pytest

from goldwash.pipeline.inspect.cleaning import unused
from goldwash.pipeline.storage.addresses import check_not_twice, choices, located
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from tests.pipeline.conftest import rows, shard

TEXTS = [f"The river runs down from the hills, and nobody counts the {n} stones in it." for n in range(6)]
RECIPE = """
stages:
  - heuristics: {steps: [{keep: word_count, min: 2}]}
  - exact: {keep: first}
  - heuristics: {steps: [{keep: word_count, max: 50}]}
"""
TWO = """
stages:
  - heuristics: {steps: [{keep: word_count, min: 3}]}
  - exact: {keep: first}
"""


@pytest.fixture
def made(tmp_path, cli, monkeypatch):
    """A folder with a run of three stages, and in it a folder that an older parameter left."""
    monkeypatch.chdir(tmp_path)
    shard(tmp_path / "in" / "a.parquet", TEXTS)
    (tmp_path / "r.yaml").write_text(RECIPE)
    words = ["run", "r.yaml", "--input", "in", "--out", "runs/first", "--workers", "1"]
    assert cli(*words, "--set", "exact.keep=longest")[0] == 0
    assert cli(*words)[0] == 0
    return tmp_path


def stages(run):
    return json.loads((run / "run.json").read_text())["stages"]


def test_addresses_of_a_run(made):
    folders = stages(made / "runs" / "first")
    assert located("runs/first:exact") == f"runs/first/{folders[1]}"
    assert located("runs/first:02-exact") == f"runs/first/{folders[1]}"
    assert located("runs/first/:2-exact") == f"runs/first/{folders[1]}"
    assert located("runs/first:heuristics#2") == located("runs/first:03-heuristics") == f"runs/first/{folders[2]}"
    assert located("runs/first:dataset") == "runs/first/dataset"
    assert [row["text"] for row in rows(made / located("runs/first:exact"))] == TEXTS


@pytest.mark.parametrize(
    "name",
    [
        "in", "s3://bucket/a.parquet", "https://a.example:8080/b.parquet", "CC-MAIN-2024-10,kind=wet", "eli5:folder",
        "a.jsonl::text", "C:x", ":quality", "nowhere:quality",
    ],
)  # fmt: skip
def test_what_is_no_address_stays(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert located(name) == name


def test_a_path_that_exists_is_no_address(made):
    shutil.copytree(made / "in", made / "runs" / "first:exact")
    assert located("runs/first:exact") == "runs/first:exact"


@pytest.mark.parametrize(
    "name", ["runs/first", "runs/first/", "runs", ".", "runs/*", "run?/*", "runs/first/0*", "runs/first/*"]
)
def test_a_folder_of_several_stages_is_refused(made, name):
    """Their documents would be counted once per stage, and the dropped ones too."""
    message = r"is a run, of several stages: name its dataset, .*:dataset|holds the folder of a stage|matches the folder"
    with pytest.raises(DataError, match=message):
        find_shards([name])


@pytest.mark.parametrize("command", ["stage exact --out out", "run r.yaml --out out", "export --out out", "what-if"])
def test_commands_refuse_a_run_as_an_input(cli, made, command):
    words = command.split()
    given = ["--input", "runs/first"] if words[0] in ("stage", "run") else ["runs/first"]
    code, _, said = cli(*words, *given, *(["--keep", "word_count.min=1"] if words[0] == "what-if" else []))
    assert code == 1
    assert "name its dataset, runs/first:dataset, or a stage" in said
    assert not (made / "out").exists()


def test_a_folder_beside_a_stages_own_is_no_input(cli, made):
    assert cli("stage", "exact", "--input", "in", "--out", "kept/exact", "--workers", "1")[0] == 0
    with pytest.raises(
        DataError, match=r"kept holds the folder of a stage, with the documents that it dropped: name .*kept/exact"
    ):
        find_shards(["kept"])
    assert len(find_shards(["kept/exact"])) == len(find_shards(["kept/exact/*"])) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("runs/first:heuristics", "2 stages of that name: give one of .*runs/first:01-heuristics.*runs/first:03-heuristics"),
        ("runs/first:qualiti", "this run has no such stage; there are runs/first:01-heuristics, runs/first:exact"),
        ("runs/first:04-exact", "no such stage"),
        ("runs/first:exact#2", "no such stage"),
    ],
)
def test_an_address_of_nothing(made, name, message):
    with pytest.raises(DataError, match=message):
        located(name)


def test_a_stage_that_has_not_begun_or_not_finished(made):
    run = made / "runs" / "first"
    held = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**held, "stages": held["stages"][:1]}))
    with pytest.raises(DataError, match="has not begun"):
        located("runs/first:exact")
    (run / "run.json").write_text(json.dumps(held))
    (run / held["stages"][1] / "report.json").unlink()
    with pytest.raises(DataError, match="not finished"):
        located("runs/first:exact")
    shutil.rmtree(run / "dataset")
    with pytest.raises(DataError, match="no dataset yet"):
        located("runs/first:dataset")


def test_every_command_takes_an_address(cli, made):
    assert cli("stage", "bloom", "--input", "runs/first:exact", "--out", "b", "--workers", "1")[0] == 0
    assert cli("what-if", "runs/first:exact", "--keep", "copy_count.max=1")[0] == 0
    assert cli("export", "runs/first:exact", "--out", "e")[0] == 0
    assert cli("explain", "runs/first:exact", "a-0")[0] == 0
    assert cli("status", "runs/first:exact")[0] == 0
    assert cli("score", "long=signal:word_count", "--input", "runs/first:exact", "--out", "s", "--workers", "1")[0] == 0
    assert [row["id"] for row in rows(made / "s")] == [f"a-{n}" for n in range(6)]


def test_two_stages_of_one_run_are_refused_by_name_with_the_cure(cli, made):
    found = sorted((made / "runs" / "first").glob("02-exact-*"))
    assert len(found) == 2
    current = stages(made / "runs" / "first")[1]
    for names in (
        [str(f) for f in found],
        ["runs/first/02-exact-*/part-*.parquet"],
        [f"{found[0]}/part-00000.parquet", f"{found[1]}/part-00000.parquet"],
    ):
        with pytest.raises(DataError, match=r"give .*runs/first:exact, which is the current one; `goldwash clean") as caught:
            find_shards(names)
        assert f"{current} (current)" in str(caught.value)
        assert "(of other parameters)" in str(caught.value)
    with pytest.raises(DataError, match="give one of them"):
        find_shards(["runs/first:exact", "runs/first/dataset"])
    code, _, error = cli("stage", "bloom", "--input", *found, "--out", "o")
    assert code == 1
    assert "documents would count twice" in error


def test_folders_that_belong_to_no_run_may_stand_together():
    check_not_twice(["a/dataset/x.parquet", "b/dataset/x.parquet", "c/01-extract-0123abcd/x.parquet"])
    check_not_twice(["r/01-extract-0123abcd/a.parquet", "r/01-extract-0123abcd/b.parquet"])
    with pytest.raises(DataError, match="2 stages of one run"):
        check_not_twice(["r/01-extract-0123abcd/a.parquet", "r/01-extract-0123abce/b.parquet"])
    assert choices(["01-a-00000000", "02-b-00000000", "03-a-00000000"]) == ["01-a", "b", "03-a"]


# --- clean


def test_clean_shows_and_then_removes_what_the_run_does_not_refer_to(cli, made):
    run = made / "runs" / "first"
    (run / "02-exact-theses").mkdir()
    (run / "02-exact-0123abcd").mkdir()  # the user's: it has no stage.json
    (run / "notes.txt").write_text("mine")
    before = {p.name for p in run.iterdir()}
    code, printed, _ = cli("clean", "runs/first")
    assert code == 0
    listed = {line.split()[0].rsplit("/", 1)[-1] for line in printed.splitlines() if line.startswith("runs/first/")}
    assert listed == {p.name for p in run.glob("0*-*-*")} - set(stages(run)) - {"02-exact-theses", "02-exact-0123abcd"}
    assert len(listed) == 1  # what came after it is the same for both
    assert "goldwash" in printed.splitlines()[-1]
    assert printed.rstrip().endswith("clean runs/first --yes")
    assert {p.name for p in run.iterdir()} == before
    code, printed, _ = cli("clean", "runs/first", "--yes")
    assert code == 0
    assert {p.name for p in run.iterdir()} == before - listed
    assert "nothing to remove" in cli("clean", "runs/first")[1]
    assert [row["text"] for row in rows(run / "dataset")] == TEXTS


def test_clean_of_an_unfinished_run_says_what_may_be_reused(cli, made):
    run = made / "runs" / "first"
    held = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**held, "stages": held["stages"][:2]}))
    assert unused("runs/first").waiting == ["heuristics"]
    assert "may be reused" in cli("clean", "runs/first")[1]


def test_clean_refuses_a_folder_that_another_driver_holds(cli, made):
    from goldwash.pipeline.storage.locks import run_lock

    with run_lock("runs/first"):
        code, _, error = cli("clean", "runs/first", "--yes")
    assert code == 1
    assert "process" in error
    assert len(list((made / "runs" / "first").glob("02-exact-*"))) == 2


def test_clean_of_no_run(cli, tmp_path):
    code, _, error = cli("clean", tmp_path)
    assert code == 1
    assert "is not a run" in error
