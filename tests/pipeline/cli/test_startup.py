"""What the command line imports and when; signals at any moment; streams that are closed."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.pipeline.cli import classifiers, run, stage, tokens
from goldwash.pipeline.stages import CLASSES
from goldwash.pipeline.storage.failures import DataError

HEAVY = ("numpy", "pyarrow", "numba", "datatrove", "rich", "fsspec", "yaml", "resiliparse", "fasttext", "regex", "tldextract")
LIST = """
import json, sys
from goldwash.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write("MODULES " + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def python(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=120, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["run", "--help"], ["stage", "--help"], ["train", "--help"]], ids=" ".join
)
def test_help_and_version_import_nothing_heavy(words):
    done = python("-c", LIST, *words)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stderr.rpartition("MODULES ")[2])
    assert "typer" in modules
    assert [name for name in HEAVY if name in modules] == []


class Started(Exception):
    """Raised in place of starting the fork server, with what the command asks for."""


@pytest.mark.parametrize(
    ("command", "given", "asked"),
    [
        (run.run, {"recipe": "sample", "input": ["in"], "out_folder": "out", "workers": 3}, ("local", 3)),
        (stage.stage, {"name": "exact", "input": ["in"], "out_folder": "out", "on": "ray"}, ("ray", 0, ["in"])),
        (classifiers.score, {"models": ["m"], "input": ["in"], "out_folder": "out", "workers": 2}, ("local", 2, ["in"])),
        (tokens.tokenize, {"input": ["in"], "out_folder": "out"}, ("local", 0, ["in"])),
    ],
)
def test_commands_start_the_fork_server_before_anything_else(monkeypatch, command, given, asked):
    def started(*words):
        raise Started(*words)

    monkeypatch.setattr(sys.modules[command.__module__], "start_early", started)
    with pytest.raises(Started) as found:
        command(**given)
    assert found.value.args == asked


def test_a_dry_run_starts_no_fork_server(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "start_early", lambda *words: pytest.fail("started"))
    with pytest.raises(DataError):
        run.run("sample", [str(tmp_path / "none")], str(tmp_path / "out"), dry_run=True)


def test_no_module_of_the_command_line_names_a_stage():
    folder = Path(__file__).resolve().parents[3] / "pipeline" / "cli"
    for file in folder.glob("*.py"):
        text = file.read_text("utf-8")
        for name in CLASSES:
            assert f'== "{name}"' not in text, (file.name, name)
            assert f"stages.{name} import" not in text or file.name == "classifiers.py", (file.name, name)


def test_a_place_that_cannot_be_written_stops_no_answer(tmp_path):
    environment = {**os.environ, "HOME": "/proc/1/none"}
    for name in ("GOLDWASH_CACHE", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    done = python("-m", "goldwash", "--version", env=environment)
    assert (done.returncode, done.stderr) == (0, "")


# --- signals

STOPPED = {signal.SIGINT: (130, "stopped by Ctrl-C"), signal.SIGTERM: (143, "stopped by SIGTERM")}
SLOW = """
import sys, time
from goldwash.pipeline.cli import interruption
interruption.watch()
print("ready", flush=True)
{begin}
time.sleep(60)
"""
IN_A_COMMAND = """
interruption.started()
interruption.keeps("Finished work in out is kept.")
from goldwash.pipeline.cli import app
import goldwash.pipeline.cli.lists as lists
lists.app.registered_commands.clear()
@app.app.command("wait")
def wait():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
sys.argv = ["goldwash", "wait"]
app.main()
"""


@pytest.mark.parametrize("number", STOPPED)
@pytest.mark.parametrize(("begin", "message"), [("", "Nothing had begun."), (IN_A_COMMAND, "Finished work in out is kept.")])
def test_a_signal_says_what_is_kept(number, begin, message):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(begin=begin)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(2 if begin else 1):
        assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    printed, error = process.communicate(timeout=60)
    code, told = STOPPED[number]
    assert process.returncode == code, error
    assert f"goldwash: {told}. {message}" in error
    assert "Traceback" not in error
    assert ("cleaned up" in printed) == bool(begin)


def test_a_signal_that_was_ignored_stays_ignored():
    script = "import signal; from goldwash.pipeline.cli import interruption; interruption.watch(); print(signal.getsignal(2))"
    command = f"trap '' INT; {shlex.quote(sys.executable)} -c {shlex.quote(script)}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert "SIG_IGN" in done.stdout or done.stdout.strip() == "1"


def test_a_forked_child_dies_by_the_signal_itself():
    script = (
        "import os, signal, time\nfrom goldwash.pipeline.cli import interruption\n"
        "interruption.watch()\ninterruption.started()\n"
        "child = os.fork()\n"
        "if not child: time.sleep(60)\n"
        "time.sleep(0.5); os.kill(child, signal.SIGTERM); print(os.waitpid(child, 0)[1])"
    )
    done = python("-c", script)
    assert done.stdout.strip() == str(int(signal.SIGTERM)), done.stderr


# --- streams


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_end_without_a_traceback(tmp_path, closed):
    command = f"{shlex.quote(sys.executable)} -m goldwash stage {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_closed_output_takes_no_file_of_ours(tmp_path):
    """Descriptor 1 is given to the null device, so that no file that is opened next receives what is printed."""
    command = f"{shlex.quote(sys.executable)} -m goldwash recipe new mine.yaml >&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "goldwash run" not in (tmp_path / "mine.yaml").read_text()


def test_a_reader_that_leaves_ends_the_command_quietly():
    command = f"{shlex.quote(sys.executable)} -m goldwash recipe baseline | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "1", "141")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_an_error():
    command = f"{shlex.quote(sys.executable)} -m goldwash recipe baseline > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_unicode_shows_escapes():
    done = python("-m", "goldwash", "explain", "nowhere-\u20ac", "x", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert "\\u20ac" in done.stderr
