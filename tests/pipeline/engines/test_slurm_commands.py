"""Slurm's commands, stood in for by a script that answers as it is told."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from goldwash.pipeline.engines import slurm_commands as commands
from goldwash.pipeline.engines.slurm import Slurm
from goldwash.pipeline.engines.slurm_settings import check_cluster, check_path
from goldwash.pipeline.stage import RunError

BUSY = (1, "", "slurm_load_jobs error: Socket timed out on send/recv operation")
SCRIPT = """#!{python}
import json, os, sys
from pathlib import Path
home = Path({home!r})
name = Path(sys.argv[0]).name
said = "" if sys.stdin.isatty() else sys.stdin.read()
with (home / "calls").open("a") as file:
    file.write(json.dumps([name, sys.argv[1:], said, dict(os.environ)]) + "\\n")
answers = json.loads((home / "answers.json").read_text())[name]
code, out, err = answers.pop(0) if len(answers) > 1 else answers[0]
everything = json.loads((home / "answers.json").read_text())
(home / "answers.json").write_text(json.dumps({{**everything, name: answers}}))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class Controller:
    """Answers of commands, in their order (the last one for ever), and what was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("sbatch", "squeue", "sinfo", "scontrol", "scancel"):
            (home / name).write_text(SCRIPT.format(python=sys.executable, home=str(home)))
            (home / name).chmod(0o755)
        self.answers: dict[str, list[tuple[int, str, str]]] = {}

    def say(self, name: str, *answers: tuple[int, str, str] | str) -> None:
        self.answers[name] = [(0, answer, "") if isinstance(answer, str) else answer for answer in answers]
        (self.home / "answers.json").write_text(json.dumps(self.answers))

    def calls(self, name: str) -> list[tuple[list[str], str, dict[str, str]]]:
        file = self.home / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(words, said, env) for called, words, said, env in map(json.loads, lines) if called == name]


@pytest.fixture
def controller(tmp_path, monkeypatch) -> Controller:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(commands, "time", clock)
    return Controller(tmp_path)


def submit(**options: str) -> str:
    return commands.submit("goldwash-a", "\ntrue\n", {"partition": "gold", **options}, patience=5)


# --- the environment


def test_variables_that_would_win_over_settings_are_removed(controller, monkeypatch):
    for name in (
        "SBATCH_PARTITION",
        "SBATCH_TIMELIMIT",
        "SBATCH_ACCOUNT",
        "SLURM_JOB_ID",
        "SQUEUE_STATES",
        "SLURM_CPUS_PER_TASK",
    ):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("GOLDWASH_CREDENTIALS", "secret")
    monkeypatch.delenv("GOLDWASH_CACHE", raising=False)
    controller.say("sbatch", "7\n")
    assert submit() == "7"
    (_, _, environment) = controller.calls("sbatch")[0]
    assert {name for name in environment if name.startswith(("SBATCH_", "SLURM_", "SQUEUE_", "GOLDWASH_C"))} == {"SLURM_CONF"}


# --- the number of a job


@pytest.mark.parametrize(
    ("printed", "job"),
    [
        ("123\n", "123"),
        ("123;east\n", "123;east"),
        ("plugin: credential added\n123\n", "123"),
        ("123;east\nplugin 5 says: bye\n", "123;east"),
    ],
)
def test_the_job_is_read_between_the_lines_of_plugins(controller, printed, job):
    controller.say("sbatch", printed)
    assert submit() == job


def test_an_answer_without_a_number_is_an_error(controller):
    controller.say("sbatch", "Submitted batch job \x1b[31m\n")
    with pytest.raises(RunError, match=r"printed no job number: Submitted batch job \\x1b\[31m"):
        submit()


def test_a_job_of_another_cluster_is_asked_of_that_cluster(controller):
    controller.say("squeue", "CLUSTER: east\nRUNNING|None\n")
    assert commands.queue_of("123;east")["states"] == {"RUNNING": 1}
    assert controller.calls("squeue")[0][0][:6] == ["-h", "-r", "-j", "123", "--clusters=east", "-o"]


# --- quoting


@pytest.mark.parametrize(
    "value", ["/my out/a.out", "it's", 'a"b', "$(reboot)", "a`b`", "a#b", "ü", "a&b;c", "two\nlines", "{a}"]
)
def test_values_that_are_not_plain_are_arguments_and_no_text_of_a_script(controller, value):
    controller.say("sbatch", "7\n")
    submit(output=value, comment="plain-1.5,x")
    words, script, _ = controller.calls("sbatch")[0]
    assert f"--output={value}" in words
    assert value not in script
    assert "#SBATCH --comment=plain-1.5,x\n" in script
    assert script.startswith("#!/bin/bash\n#SBATCH --partition=gold\n")


@pytest.mark.parametrize("path", ["/a\nb", "/a\\b", "/a\x1b[31m", "/a\tb"])
def test_a_folder_that_slurm_cannot_name_is_refused(path):
    with pytest.raises(RunError, match=r"cannot be given to Slurm in the path of a log: choose another --out"):
        check_path(path)


@pytest.mark.parametrize("path", ["/a b", "/a'b", '/a"b', "/50%", "/a$b", "/ü", "s3://bucket/a b"])
def test_other_folders_are_not_refused(path):
    check_path(path)


# --- a controller that is busy or away


@pytest.mark.parametrize(
    "said",
    [
        "slurm_load_jobs error: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "slurm_load_jobs error: Zero Bytes were transmitted or received",
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
        "slurm_load_partitions: Slurm backup controller in standby mode",
        "slurm_load_jobs error: Communication connection failure",
    ],
)
def test_a_busy_controller_is_asked_again(controller, said):
    controller.say("squeue", (1, "", said), "5\n")
    assert commands.queued("a") == ["5"]
    assert len(controller.calls("squeue")) == 2


def test_a_controller_that_stays_away_is_an_error_after_a_bound(controller):
    controller.say("squeue", BUSY)
    with pytest.raises(commands.ControllerError, match=r"has not answered for 60 s \(slurm_load_jobs error: Socket timed out"):
        commands.queued("a", patience=60)
    assert 5 <= len(controller.calls("squeue")) <= 12


def test_a_command_that_hangs_is_ended(controller, monkeypatch):
    (controller.home / "squeue").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(commands, "ANSWER_SECONDS", 0.2)
    with pytest.raises(commands.ControllerError, match="squeue did not answer in 0 s"):
        commands.queued("a", patience=0)


def test_an_error_of_another_kind_is_told_at_once(controller):
    controller.say("squeue", (1, "", "squeue: error: Invalid user: \x1b[31m"))
    with pytest.raises(RunError, match=r"squeue failed: squeue: error: Invalid user: \\x1b\[31m"):
        commands.queued("a")
    assert len(controller.calls("squeue")) == 1


def test_a_job_that_was_taken_although_no_answer_came_is_not_submitted_twice(controller):
    controller.say("sbatch", (1, "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"))
    controller.say("squeue", "41\n")
    assert submit() == "41"
    assert len(controller.calls("sbatch")) == 1


def test_a_job_that_was_not_taken_is_submitted_again(controller):
    controller.say("sbatch", (1, "", "sbatch: error: Batch job submission failed: Socket timed out"), "42\n")
    controller.say("squeue", "")
    assert submit() == "42"


def test_a_job_that_the_controller_has_forgotten_has_ended(controller):
    controller.say("squeue", (1, "", "slurm_load_jobs error: Invalid job id specified"))
    assert commands.queue_of("3") == {"states": {}, "reasons": []}


def test_a_plugins_line_is_no_job_and_no_state(controller):
    controller.say("squeue", "auth plugin: token 99 renewed\n12\n3\n")
    assert commands.queued("a") == ["3", "12"]
    controller.say("squeue", "a|b\nPENDING|Resources\nRUNNING|None\nRUNNING|None\n")
    assert commands.queue_of("3") == {"states": {"PENDING": 1, "RUNNING": 2}, "reasons": ["Resources"]}


# --- refusals


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy "
        "(job submit limit, user's size and/or time limits)",
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates QOS policy",
        "sbatch: error: Batch job submission failed: Invalid job array specification",
    ],
)
def test_a_limit_on_jobs_is_known_as_one(controller, said):
    controller.say("sbatch", (1, "", said))
    with pytest.raises(
        commands.LimitError, match=r"sbatch refused the job: .*; asked for partition=gold: change it with --with"
    ):
        submit()


def test_another_refusal_is_told_with_what_was_asked_for(controller):
    controller.say("sbatch", (1, "", "sbatch: error: Batch job submission failed: Invalid account or partition"))
    with pytest.raises(RunError, match=r"Invalid account .*asked for partition=gold, mem=4M, account=me: change") as caught:
        submit(mem="4M", account="me")
    assert not isinstance(caught.value, commands.LimitError)


# --- partitions


def test_several_partitions_and_hidden_ones(controller):
    controller.say("sinfo", "gold\ndebug\nsecret\n")
    check_cluster(Slurm(partition="gold,secret"))
    assert "-a" in controller.calls("sinfo")[0][0]
    with pytest.raises(RunError, match=r"no partition 'silver': there are debug, gold, secret"):
        check_cluster(Slurm(partition="gold,silver"))


def test_the_partitions_of_another_cluster_are_left_to_its_controller(controller):
    check_cluster(Slurm(partition="far", sbatch={"clusters": "east"}))
    assert controller.calls("sinfo") == []
