"""Slurm's commands (sbatch, squeue, scontrol, sinfo, scancel), called without a shell.

Invariants:

* Settings win: the variables with which a user's environment, or an enclosing job, changes these commands are removed.
* A controller that is busy or away is asked again for `PATIENCE` seconds, and each call has a bound; then `ControllerError`.
* Output is read by pattern, so that a line that a plug-in prints is not taken for an answer.
* Values go into a script's ``#SBATCH`` lines only if they are plain; all others are arguments of sbatch, which needs no
  quoting.

A job is its number, or ``NUMBER;CLUSTER`` where Slurm names a cluster (a federation, or ``sbatch: {clusters: ...}``).
"""

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from goldwash.credentials import VARIABLE as CREDENTIALS
from goldwash.pipeline.stage import RunError
from goldwash.text_output import printable

PATIENCE = 120.0
"""Seconds for which a controller that does not answer is asked again."""

ANSWER_SECONDS = 100.0
"""Bound of one call. Slurm's own default for an answer is 10 s, and sbatch repeats some requests itself."""

GONE = re.compile(r"Invalid job id", re.IGNORECASE)
"""The error of squeue and scontrol for a job that the controller has forgotten."""

BUSY = re.compile(
    r"timed out|time-?out|unable to contact|connection (?:refused|reset|failure)|zero bytes|transport endpoint|not respond|"
    r"temporarily un|in standby mode|insane message|message (?:receive|send) failure|controller .*(?:down|busy)|did not answer",
    re.IGNORECASE,
)
"""Errors of a controller that may answer a moment later (src/common/slurm_errno.c)."""

ARRAY_LIMIT = re.compile(r"invalid job array|array.*(?:too large|size)", re.IGNORECASE)
SUBMIT_LIMIT = re.compile(r"submit ?limit|MaxSubmit|SubmitJob|job count|maximum number of jobs", re.IGNORECASE)

PLAIN = re.compile(r"[\w.,:;/=@%+~^-]*", re.ASCII)
"""Values that need no quoting in an ``#SBATCH`` line."""

KEEP = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT")
FORGET = ("SLURM_", "SBATCH_", "SQUEUE_", "SINFO_", "SCONTROL_", "SCANCEL_", CREDENTIALS)
"""Variables that are removed. Slurm keeps the environment of a job in files, where credentials must not be."""


class ControllerError(RunError):
    """Slurm's controller does not answer."""


class LimitError(RunError):
    """Slurm refuses a job because of a limit on the number of jobs, or of elements of an array."""


def environment() -> dict[str, str]:
    """This process's environment without `FORGET`: what changes Slurm's commands, and what describes an enclosing job."""
    return {name: value for name, value in os.environ.items() if name in KEEP or not name.startswith(FORGET)}


def call(*words: str, script: str | None = None, patience: float = PATIENCE) -> str:
    """The standard output of one of Slurm's commands.

    Raises `ControllerError` if the controller did not answer for ``patience`` seconds, and `RunError` with the command's own
    words if it fails otherwise.
    """
    until, pause = time.monotonic() + patience, 0.5
    while True:
        code, out, err = _called(words, script)
        if code == 0:
            return out
        why = printable(_last_line(err) or _last_line(out) or f"exit code {code}")
        if not BUSY.search(err):
            raise RunError(f"{words[0]} failed: {why}")
        if time.monotonic() + pause > until:
            raise ControllerError(f"{words[0]}: Slurm's controller has not answered for {patience:.0f} s ({why})")
        time.sleep(pause)
        pause = min(2 * pause, 15.0)


def _called(words: tuple[str, ...], script: str | None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    try:
        done = subprocess.run(
            words, input=script, capture_output=True, text=True, errors="replace", check=False, env=environment(),
            timeout=ANSWER_SECONDS, stdin=subprocess.DEVNULL if script is None else None,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, "", f"{words[0]} did not answer in {ANSWER_SECONDS:.0f} s"
    except OSError as error:
        return 1, "", f"{words[0]} cannot be started: {error}"
    return done.returncode, done.stdout, done.stderr


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


# --- submitting


def submit(name: str, body: str, options: Mapping[str, str], clusters: str = "", patience: float = PATIENCE) -> str:
    """Submit a script as a job called ``name``; returns the job.

    ``options``: sbatch's long options and their values, "" for one without a value. ``body``: the script without its
    ``#SBATCH`` lines. A job that a controller took although it did not answer in time is found by its name, not submitted
    twice.
    """
    plain = {key: value for key, value in options.items() if PLAIN.fullmatch(value)}
    others = [f"--{key}={value}" for key, value in options.items() if key not in plain]
    script = "#!/bin/bash\n" + directives({**plain, "job-name": name}) + body
    words = ["sbatch", "--parsable", *others, *_cluster_words(clusters)]
    until, pause = time.monotonic() + patience, 0.5
    while True:
        code, out, err = _called(tuple(words), script)
        if code == 0:
            return _job(out)
        if not BUSY.search(err):
            raise _refusal(err or out, options)
        if time.monotonic() + pause > until:
            raise ControllerError(
                f"sbatch: Slurm's controller has not answered for {patience:.0f} s ({printable(_last_line(err))})"
            )
        time.sleep(pause)
        pause = min(2 * pause, 15.0)
        if taken := queued(name, clusters, patience):
            return taken[-1]


def directives(options: Mapping[str, str]) -> str:
    """The ``#SBATCH`` lines of plain options.

    >>> print(directives({"partition": "gold", "requeue": ""}), end="")
    #SBATCH --partition=gold
    #SBATCH --requeue
    """
    return "".join(f"#SBATCH --{key}={value}\n" if value else f"#SBATCH --{key}\n" for key, value in options.items())


def _refusal(said: str, options: Mapping[str, str]) -> RunError:
    lines = [re.sub(r"^sbatch: (error|fatal): ", "", line.strip()) for line in said.splitlines() if line.strip()]
    why = printable(lines[-1] if lines else "it said nothing")
    if len(lines) > 1 and lines[-2] not in why:  # the name of a limit is in the line before the general one
        why = f"{why} ({printable(lines[-2])})"
    shown = ("partition", "cpus-per-task", "mem", "time", "account", "qos", "array")
    asked = ", ".join(f"{key}={printable(options[key])}" for key in shown if options.get(key))
    kind = LimitError if SUBMIT_LIMIT.search(said) or ARRAY_LIMIT.search(said) else RunError
    return kind(f"sbatch refused the job: {why}; asked for {asked}: change it with --with KEY=VALUE")


def _job(printed: str) -> str:
    """The job in what ``sbatch --parsable`` printed.

    >>> _job("plugin: credential added\\n123;east\\n")
    '123;east'
    """
    for line in reversed(printed.splitlines()):
        if re.fullmatch(r"\d+(;[\w.-]+)?", line.strip()):
            return line.strip()
    raise RunError(f"sbatch printed no job number: {printable(printed.strip()) or 'nothing'}")


# --- asking


def _cluster_words(clusters: str) -> list[str]:
    return [f"--clusters={clusters}"] if clusters else []


def _numbers(jobs: str) -> tuple[str, list[str]]:
    """The numbers of jobs, separated by commas, and the words that name their cluster."""
    pairs = [job.partition(";") for job in jobs.split(",")]
    return ",".join(number for number, _, _ in pairs), _cluster_words(pairs[0][2])


def queued(name: str, clusters: str = "", patience: float = PATIENCE) -> list[str]:
    """This user's jobs of that name that wait or run, in the order of their numbers."""
    said = call("squeue", "-h", "--me", f"--name={name}", *_cluster_words(clusters), "-o", "%A", patience=patience)
    found = sorted({int(line) for line in said.split("\n") if line.strip().isdecimal()})
    return [f"{number};{clusters}" if clusters else str(number) for number in found]


def queue_of(jobs: str, patience: float = PATIENCE) -> dict[str, Any]:
    """How many elements of jobs are in each state, and the reasons of those that wait; empty for jobs that have ended."""
    numbers, cluster = _numbers(jobs)
    try:
        said = call("squeue", "-h", "-r", "-j", numbers, *cluster, "-o", "%T|%r", patience=patience)
    except ControllerError:
        raise
    except RunError as error:
        if GONE.search(str(error)):
            return {"states": {}, "reasons": []}
        raise
    rows = [line.strip().split("|", 1) for line in said.splitlines() if re.match(r"\s*[A-Z_]+\|", line)]
    reasons = sorted({printable(reason) for state, reason in rows if state == "PENDING" and reason != "None"})
    return {"states": dict(Counter(state for state, _ in rows)), "reasons": reasons}


def ends_of(jobs: str) -> Counter[str]:
    """How failed elements of jobs ended (``FAILED, exit code 1:0``), as far as the controller still knows."""
    found = Counter[str]()
    for job in jobs.split(","):
        number, cluster = _numbers(job)
        try:
            said = call("scontrol", "-o", *cluster, "show", "job", number, patience=0)
        except RunError:  # forgotten, or no answer: this only explains a failure
            continue
        for line in said.splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if words.get("JobState") not in ("COMPLETED", None):
                found[f"{printable(words['JobState'])}, exit code {printable(words.get('ExitCode', '?'))}"] += 1
    return found


def partitions() -> set[str]:
    """The names of all partitions, the hidden ones too."""
    return set(call("sinfo", "-h", "-a", "-o", "%R").split())


def cancel(job: str) -> None:
    """End a job."""
    number, cluster = _numbers(job)
    call("scancel", *cluster, number)
