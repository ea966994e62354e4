"""Where machine code is kept, and when it is made anew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from goldwash.filters import jit
from goldwash.filters.jit import INTERPRETED, _digest


def test_machine_code_belongs_to_sources_and_their_location(tmp_path: Path) -> None:
    """numba knows a file by its path: of two clones with one folder, each worker compiled the second one silently."""
    for name in ("a", "b"):
        (tmp_path / name / "filters").mkdir(parents=True)
        (tmp_path / name / "filters" / "kernels.py").write_text("x = 1")
    before = _digest(tmp_path / "a")
    assert _digest(tmp_path / "b") != before
    assert _digest(tmp_path / "a") == before
    (tmp_path / "a" / "filters" / "kernels.py").write_text("x = 2")
    assert _digest(tmp_path / "a") != before


def folder_with(**environment: str) -> str:
    code = "from goldwash.filters.jit import cache_folder; print(cache_folder())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_machine_code_and_markers_belong_to_a_processor(tmp_path: Path) -> None:
    home = str(tmp_path)
    plain, other, fewer = (
        folder_with(GOLDWASH_CACHE=home, **more)
        for more in ({}, {"NUMBA_CPU_NAME": "x86-64"}, {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "-avx2"})
    )
    assert len({plain, other, fewer}) == 3
    assert folder_with(GOLDWASH_CACHE=home) == plain


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_warm_up_runs_once_per_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path / "kernels")
    ran: list[str] = []
    for fingerprint in ("a", "a", "b"):
        jit.warm_up("stage", fingerprint, lambda f=fingerprint: ran.append(f), ran.append)
    assert ran == [
        "compiling kernels for stage, once on this machine (up to a minute)", "a",
        "compiling kernels for stage, once on this machine (up to a minute)", "b",
    ]  # fmt: skip


def test_scipy_linalg_is_imported_only_by_kernels_that_need_it() -> None:
    """numba's array functions import it to see that it is installed; `np.dot` and `np.cov` compile all the same."""
    code = (
        "import sys, numba, numpy as np, goldwash.filters\n"
        "assert 'scipy.linalg' not in sys.modules\n"
        "from goldwash.filters import Texts; from goldwash.filters.words import word_count\n"
        "assert word_count(Texts.of(['a b'])).tolist() == [2]\n"
        "assert 'scipy.linalg' not in sys.modules\n"
        "assert numba.njit(lambda x: np.dot(x, x))(np.eye(3)).sum() == 3\n"
        "assert numba.njit(lambda x: np.cov(x))(np.eye(3)).shape == (3, 3)\n"
        "from scipy.linalg.cython_blas import __pyx_capi__\n"
        "assert 'dgemm' in __pyx_capi__"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_built_in_operations_are_resolved_once_for_the_types_of_their_arguments(tmp_path: Path) -> None:
    """An operation that numba compiles from Python, or that fails, is resolved each time."""
    code = """
import operator
import numpy as np
from goldwash.filters.jit import kernel
from numba import types
from numba.core.registry import cpu_target
from numba.core.typing import templates

tried = []
apply = templates.AbstractTemplate.apply
templates.AbstractTemplate.apply = lambda self, args, kws: tried.append(self.key) or apply(self, args, kws)

def sums(a, b):
    return a + b + a + b + (a + b)

def wrong(a):
    return a + "x"

compiled = kernel(sums)
assert compiled(1, 2) == 9 and compiled(1.5, 2.0) == 10.5
once = tried.count(operator.add)
assert kernel(lambda a, b: a + b - a + b)(3, 4) == 8
assert tried.count(operator.add) == once, (tried.count(operator.add), once)
for _ in range(2):
    try:
        kernel(wrong)(1)
    except Exception as error:
        assert "No implementation of function" in str(error)
    else:
        raise SystemExit("a sum of a number and a text compiled")
empty = cpu_target.typing_context.resolve_value_type(np.empty)
assert kernel(lambda n: np.empty(n).size)(3) == 3
assert not empty.__dict__.get("_known_calls"), "what an implementation in Python compiles to depends on its caller"
add = cpu_target.typing_context.resolve_value_type(operator.add)
assert (types.int64, types.int64) in add._known_calls
"""
    file = tmp_path / "sums.py"
    file.write_text(code)  # numba caches functions of files
    subprocess.run([sys.executable, file], env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, check=True)
