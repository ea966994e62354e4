"""Uploading a dataset: what arrives, what is not sent twice, what is refused. Against a stand-in of the Hub."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.export import hub as uploads
from goldwash.pipeline.export.hub import MARK, pushed
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.reporting.test_page import ran
from tests.support.hub import TOKEN, Hub, stand_in

# The Hub's client warns about its own call of httpx when it sends a file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    with stand_in() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("run"), ["one two three four", "five", "six seven eight nine ten"])


def push(run: Path, hub: Hub, **more: object) -> list[str]:
    said: list[str] = []
    pushed(str(run), "hf://me/gold", endpoint=hub.endpoint, notify=said.append, **more)  # type: ignore[arg-type]
    return said


def test_everything_arrives_in_one_commit(run: Path, hub: Hub) -> None:
    push(run, hub, private=True)
    names = {"README.md", "croissant.json", "recipe.yaml", "report.html", "report.json", "data/part-00000.parquet"}
    assert set(hub.files) == names
    assert len(hub.commits) == 1
    assert hub.made[0].get("private") or hub.made[0].get("visibility") == "private"  # clients of two generations
    assert hub.made[0]["type"] == "dataset"
    assert hub.files["data/part-00000.parquet"] == (run / "dataset" / "part-00000.parquet").read_bytes()
    assert "path: data/*.parquet" in hub.files["README.md"].decode()
    croissant = json.loads(hub.files["croissant.json"])
    assert croissant["url"].endswith("/datasets/me/gold")
    assert {f["@id"] for f in croissant["distribution"]} == {"repo", "data/part-00000.parquet", "shards"}


def test_what_is_there_is_not_sent_again(run: Path, hub: Hub) -> None:
    push(run, hub)
    puts = sum(request.startswith("PUT") for request in hub.requests)
    assert puts == 1
    assert "1 of 1 shards are there already" in push(run, hub)
    assert sum(request.startswith("PUT") for request in hub.requests) == puts


def test_shards_of_an_earlier_upload_go_and_files_of_others_stay(run: Path, hub: Hub) -> None:
    hub.files |= {"data/part-00007.parquet": b"old", "data/mine.txt": b"mine", "notes.md": b"mine"}
    push(run, hub)
    assert "data/part-00007.parquet" not in hub.files
    assert {"data/mine.txt", "notes.md"} <= hub.files.keys()


def test_a_card_that_its_owner_has_filled_in_stays(run: Path, hub: Hub) -> None:
    push(run, hub)
    ours = hub.files["README.md"]
    assert MARK.encode() in ours
    push(run, hub)
    assert hub.files["README.md"] == ours
    theirs = ours.replace(b"license: unknown", b"license: odc-by")
    hub.files["README.md"] = theirs
    push(run, hub)
    assert hub.files["README.md"] == theirs
    hub.files["README.md"] = b"# mine"
    push(run, hub)
    assert hub.files["README.md"] == b"# mine"


def test_the_card_comes_with_the_last_of_many_shards(
    run: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tmp_path / "run"
    shutil.copytree(run, many)
    report = json.loads((many / "dataset" / "_report.json").read_text())
    table = pq.read_table(many / "dataset" / "part-00000.parquet")
    for n in range(5):
        file = many / "dataset" / f"part-{n:05d}.parquet"
        pq.write_table(table.slice(0, n % 3), file)
        report["shards"][file.name] = {"rows": n % 3, "bytes": file.stat().st_size, "sha256": _digest(file)}
    del report["digest"]
    (many / "dataset" / "_report.json").write_text(json.dumps(report))
    monkeypatch.setattr(uploads, "COMMIT_FILES", 2)
    push(many, hub)
    assert [sum(key == "lfsFile" for key, _ in commit) for commit in hub.commits] == [2, 2, 1]
    assert [any(path == "README.md" for _, path in commit) for commit in hub.commits] == [False, False, True]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_shard_that_was_changed_is_not_sent(run: Path, hub: Hub, tmp_path: Path) -> None:
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    file = changed / "dataset" / "part-00000.parquet"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="is not what it was"):
        push(changed, hub)
    assert hub.commits == []


def test_a_run_that_is_not_finished_is_refused(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match="no finished dataset"):
        push(tmp_path, hub)
    assert hub.requests == []


@pytest.mark.parametrize(
    "target", ["gold", "hf://gold", "hf://a/b/c", "https://huggingface.co/datasets/a/b", "hf://../x", "hf://a/ b"]
)
def test_a_target_that_is_no_repository_is_refused(target: str, run: Path) -> None:
    with pytest.raises(RecipeError, match="expected hf://OWNER/NAME"):
        pushed(str(run), target)


def test_a_wrong_token_is_named_as_the_cause(run: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(DataError, match=r"refused the upload to me/gold.*\$HF_TOKEN"):
        push(run, hub)


def test_a_server_that_is_not_there_is_said(run: Path, hub: Hub) -> None:
    with stand_in() as gone:
        pass
    with pytest.raises(DataError, match="broke off"):
        pushed(str(run), "hf://me/gold", endpoint=gone.endpoint)


def test_the_command_takes_the_endpoint_from_the_environment(run: Path, hub: Hub) -> None:
    env = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    words = [sys.executable, "-m", "goldwash", "push", str(run), "hf://datasets/me/gold", "--branch", "v2"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "datasets/me/gold" in done.stdout
    assert any("/commit/v2" in request for request in hub.requests)
