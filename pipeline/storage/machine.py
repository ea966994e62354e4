"""The processors and the memory that this process may use, on Linux, in containers, in a Slurm job and on macOS.

Invariants: the smallest limit counts: affinity, cgroup quotas (v1 and v2, of every enclosing group), Slurm's allocation.
A limit that cannot be read is no limit; nothing here raises. ``root`` is the folder in which ``/proc`` and ``/sys`` are; tests
give another one.

Sources: cgroup v2 ``cpu.max``, ``memory.max``, ``memory.current``, ``memory.stat`` (kernel.org/doc, admin-guide/cgroup-v2); v1
``cpu.cfs_quota_us``, ``memory.limit_in_bytes``; MemAvailable of proc(5); sbatch(1), output environment variables.
"""

import ctypes
import math
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

UNLIMITED = 1 << 60
"""cgroup v1 writes "no limit" as a number near 2**63."""


def processors(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int:
    """How many processors this process may use at once; at least 1."""
    try:
        found = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has no affinity
        found = os.cpu_count() or 1
    limits = [found, *(max(1, math.ceil(quota)) for quota in _cpu_quotas(root))]
    limits += _slurm_numbers(environment, "SLURM_CPUS_PER_TASK")[:1] or _slurm_numbers(environment, "SLURM_CPUS_ON_NODE")
    return max(1, min(limits))


def available_memory(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> int | None:
    """Bytes that can be allocated now without swapping; None where that is unknown.

    The page cache counts as available, since the kernel gives it back. Where there is no ``/proc`` (macOS) it is the machine's
    whole memory: the part of it that is free is not known to the standard library.
    """
    limits = [*_meminfo(root), *_cgroup_memory(root)]
    limits += [megabytes << 20 for megabytes in _slurm_numbers(environment, "SLURM_MEM_PER_NODE")]
    if not limits:
        limits = _physical_memory()
    return max(0, min(limits)) if limits else None


def _number(file: Path) -> int | None:
    """The number in a file; None if there is no such file, or no number in it (``max``)."""
    try:
        return int(file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _slurm_numbers(environment: Mapping[str, str], name: str) -> list[int]:
    """A positive number from Slurm's environment, inside a job; empty elsewhere."""
    text = environment.get(name, "") if environment.get("SLURM_JOB_ID") else ""
    return [int(text)] if text.isascii() and text.isdecimal() and int(text) > 0 else []


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup and of those that enclose it, for v2 or for a v1 controller."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        group = top / path.strip("/")
        while True:
            yield group
            if group == top or top not in group.parents:
                break
            group = group.parent


def _cpu_quotas(root: Path) -> Iterator[float]:
    for group in _groups(root, "cpu"):
        try:
            quota, period = (group / "cpu.max").read_text().split()[:2]
            yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            old, each = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
            if old and each and old > 0:
                yield old / each


def _meminfo(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) << 10


def _cgroup_memory(root: Path) -> Iterator[int]:
    for group in _groups(root, "memory"):
        for limit_file, used_file, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = _number(group / limit_file), _number(group / used_file)
            if limit is not None and limit < UNLIMITED and used is not None:
                yield limit - used + _statistic(group / "memory.stat", cache)


def _statistic(file: Path, name: str) -> int:
    """A field of ``memory.stat``; 0 if it is not there."""
    try:
        fields = dict(line.split()[:2] for line in file.read_text().splitlines() if len(line.split()) > 1)
        return int(fields.get(name, 0))
    except (OSError, ValueError):
        return 0


def _physical_memory() -> list[int]:
    try:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):
        return []


MMAP_THRESHOLD, TRIM_THRESHOLD = 32 << 20, 64 << 20
"""Sizes from which glibc takes a block from the system by itself, and returns free memory to it: the largest ones to which it
raises them of its own accord, when a block so large has been freed."""


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for this process, up to `TRIM_THRESHOLD`; returns whether it can.

    Batches allocate and free arrays of 100 kB to 16 MB. With glibc's first thresholds, of 128 kB, the order of frees decides
    whether each batch gets new pages, which the system must clear: bloom took 0.42 or 0.47 CPU-seconds for 30 MB (2026-11).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all([mallopt(-3, MMAP_THRESHOLD), mallopt(-1, TRIM_THRESHOLD)])  # M_MMAP_, M_TRIM_


def return_memory_early() -> None:
    """Make glibc return freed blocks of 256 kB and more to the system at once, in a local worker; elsewhere do nothing.

    A scoring worker takes 30 MB less at the same speed (2026-11). Only scoring calls it: heuristics allocates more, and takes
    1.3 times the CPU time with it.
    """
    if multiprocessing.parent_process() is not None:
        with suppress(OSError, AttributeError):  # not glibc
            ctypes.CDLL(None).mallopt(-3, 1 << 18)  # M_MMAP_THRESHOLD
