"""Processors and memory, with the files of a made-up machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.pipeline.storage.machine import available_memory, processors

GB = 1 << 30


def machine(folder: Path, **files: str) -> Path:
    """A root folder with these files; ``__`` in a name is a slash, ``0`` at its end nothing."""
    for name, text in files.items():
        file = folder / name.replace("__", "/").replace("DOT", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_affinity_limits_the_processors(tmp_path):
    assert processors(tmp_path, {}) == 8


def test_a_machine_without_affinity_counts_its_processors(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert processors(tmp_path, {}) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors(tmp_path, {}) == 1


@pytest.mark.parametrize(("quota", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("junk", 8)])
def test_a_quota_of_cgroup_v2_is_rounded_up(tmp_path, quota, expected):
    root = machine(tmp_path, proc__self__cgroup="0::/a/b\n", sys__fs__cgroup__a__b__cpuDOTmax=quota)
    assert processors(root, {}) == expected


def test_the_quota_of_an_enclosing_group_counts(tmp_path):
    root = machine(
        tmp_path, proc__self__cgroup="0::/a/b\n", sys__fs__cgroup__a__cpuDOTmax="300000 100000",
        sys__fs__cgroup__a__b__cpuDOTmax="max 100000",
    )  # fmt: skip
    assert processors(root, {}) == 3


def test_the_root_group_of_a_container_counts(tmp_path):
    root = machine(tmp_path, proc__self__cgroup="0::/\n", sys__fs__cgroup__cpuDOTmax="200000 100000")
    assert processors(root, {}) == 2


def test_a_quota_of_cgroup_v1(tmp_path):
    root = machine(
        tmp_path, proc__self__cgroup="4:memory:/m\n3:cpu,cpuacct:/c\n", sys__fs__cgroup__cpu__c__cpuDOTcfs_quota_us="400000",
        sys__fs__cgroup__cpu__c__cpuDOTcfs_period_us="100000", sys__fs__cgroup__cpu__cpuDOTcfs_quota_us="-1",
        sys__fs__cgroup__cpu__cpuDOTcfs_period_us="100000",
    )  # fmt: skip
    assert processors(root, {}) == 4


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "6"}, 3),
        ({"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "many"}, 8),
        ({"SLURM_CPUS_PER_TASK": "3"}, 8),  # a default of sbatch outside of a job
    ],
)
def test_the_allocation_of_a_slurm_job_counts(tmp_path, environment, expected):
    assert processors(tmp_path, environment) == expected


def test_a_process_that_is_bound_to_one_processor_uses_one():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity")
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from goldwash.pipeline.storage.machine import processors; print(processors())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "1"


MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1048576 kB\nMemAvailable:   8388608 kB\n"


def test_memory_is_what_the_kernel_calls_available(tmp_path):
    assert available_memory(machine(tmp_path, proc__meminfo=MEMINFO), {}) == 8 * GB


def test_the_limit_of_a_cgroup_counts_without_its_page_cache(tmp_path):
    root = machine(
        tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/job\n", sys__fs__cgroup__job__memoryDOTmax=str(4 * GB),
        sys__fs__cgroup__job__memoryDOTcurrent=str(3 * GB), sys__fs__cgroup__job__memoryDOTstat=f"anon 1\ninactive_file {GB}\n",
    )  # fmt: skip
    assert available_memory(root, {}) == 2 * GB


def test_a_limit_of_cgroup_v1_and_its_number_for_no_limit(tmp_path):
    files = {
        "proc__meminfo": MEMINFO, "proc__self__cgroup": "4:memory:/m\n",
        "sys__fs__cgroup__memory__m__memoryDOTlimit_in_bytes": str(5 * GB),
        "sys__fs__cgroup__memory__m__memoryDOTusage_in_bytes": str(GB),
        "sys__fs__cgroup__memory__memoryDOTlimit_in_bytes": "9223372036854771712",
        "sys__fs__cgroup__memory__memoryDOTusage_in_bytes": str(GB),
    }  # fmt: skip
    assert available_memory(machine(tmp_path, **files), {}) == 4 * GB


def test_the_memory_of_a_slurm_job_counts(tmp_path):
    root = machine(tmp_path, proc__meminfo=MEMINFO)
    assert available_memory(root, {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "2048"}) == 2 * GB


def test_a_group_that_is_over_its_limit_has_no_memory_left(tmp_path):
    root = machine(
        tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/\n", sys__fs__cgroup__memoryDOTmax=str(GB),
        sys__fs__cgroup__memoryDOTcurrent=str(2 * GB),
    )  # fmt: skip
    assert available_memory(root, {}) == 0


def test_without_proc_the_whole_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1 << 20, "SC_PAGE_SIZE": 4096}[name])
    assert available_memory(tmp_path, {}) == 4 * GB


def test_a_machine_that_says_nothing_of_its_memory(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert available_memory(tmp_path, {}) is None


CHURN = """
import resource, numpy as np
from goldwash.pipeline.storage.machine import keep_freed_memory
kept = {keep} and keep_freed_memory()
for n in range(20):
    if n == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1 << 17) for _ in range(30)]
    del arrays
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_used_again():
    """Ten times thirty arrays of 1 MB: without it, glibc returns them to the system each time, and each page is new."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found = []
    for keep in (False, True):
        words = [sys.executable, "-c", CHURN.format(keep=keep)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
        found.append(done.stdout.split())
    if found[1][0] != "True":
        pytest.skip("the C library is not glibc")
    assert int(found[0][1]) > 10 * 30 * 200
    assert int(found[1][1]) < 1000
