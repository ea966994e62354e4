"""Kernels that kernels call: the same results, no machine code of their own, and kept on disk."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import goldwash
from goldwash.filters.jit import INTERPRETED

KERNELS = """
import numpy as np
from goldwash.filters.jit import bare, inline, kernel

@inline
def doubled(a, i):
    return 2 * a[i]

@bare
def put(a, out):
    for i in range(len(a)):
        out[i] = doubled(a, i)

@kernel
def made(a):
    out = np.empty(len(a), a.dtype)
    put(a, out)
    return out

@kernel
def both(a):
    return made(a)[::-1].copy(), made(a)
"""
CHECK = """
import sys
import numpy as np
import kernels
from goldwash.filters.pieces import _Instructions
from kernels import both, doubled, made, put

for dtype in (np.int64, np.float64, np.uint8):
    a = np.arange(5).astype(dtype)
    backwards, forwards = both(a)
    assert forwards.dtype == dtype and forwards.tolist() == [0, 2, 4, 6, 8] and backwards.tolist() == [8, 6, 4, 2, 0]
"""


def run(folder: Path, code: str) -> None:
    file = folder / "kernels.py"
    if not file.exists():  # numba's cache belongs to the time of the file
        file.write_text(KERNELS)
    paths = os.pathsep.join([str(folder), *sys.path])
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": paths}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_only_a_kernel_that_python_calls_has_machine_code(tmp_path: Path) -> None:
    run(
        tmp_path,
        CHECK
        + """
assert len(both.signatures) == 3
for each in (doubled, put, made):
    assert each.signatures == [] and len(each.piece.signatures) == 3, each
    for one in each.piece.overloads.values():
        assert isinstance(one.library, _Instructions) and not callable(one.entry_point)
        assert not one.library.get_function(one.fndesc.mangled_name).is_declaration
""",
    )


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_python_may_call_a_kernel_that_kernels_call(tmp_path: Path) -> None:
    """Before and after they do, and when both are read from the disk."""
    called = """
a = np.arange(3)
out = np.zeros(3, np.int64)
put(a, out)
assert out.tolist() == [0, 2, 4] and doubled(a, 2) == 4 and made(a).tolist() == [0, 2, 4]
"""
    for code in (
        CHECK + called,
        "import numpy as np; from kernels import doubled, made, put\n" + called + CHECK,
        CHECK + called,
    ):
        run(tmp_path, code)


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_a_further_kernel_is_compiled_with_what_is_kept_on_disk(tmp_path: Path) -> None:
    run(tmp_path, CHECK)
    (tmp_path / "more.py").write_text(
        "from goldwash.filters.jit import kernel\nfrom kernels import made\n@kernel\ndef first(a):\n    return made(a)[0]\n"
    )
    for again in (0, 1):
        run(
            tmp_path,
            f"""
import numpy as np
from kernels import doubled, made, put
from more import first
assert first(np.array([7])) == 14
assert sum(made.piece.stats.cache_hits.values()) == {1 - again}, "made is not read again with first"
assert not made.piece.stats.cache_misses and not put.piece.stats.cache_misses and not doubled.piece.stats.cache_misses
assert sum(first.stats.cache_hits.values()) == {again}
"""
            + CHECK
            + "assert sum(both.stats.cache_hits.values()) == 3",
        )


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
def test_kernels_are_optimised_before_they_are_linked_except_those_of_pages(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import goldwash.pipeline.html.forms
from kernels import doubled
from numba import types
from numba.core.codegen import JITCodeLibrary
from goldwash.filters.pieces import LINKED_AS_WRITTEN, Kernel, _Instructions

optimised = []
whole = JITCodeLibrary._optimize_final_module
def counted(self):
    optimised.extend([self.module] if isinstance(self, _Instructions) else [])
    whole(self)
JITCodeLibrary._optimize_final_module = counted
for module, kind in ((LINKED_AS_WRITTEN + ".forms", types.int64), ("goldwash.filters.cut", types.float64)):
    doubled.py_func.__module__ = module
    Kernel(doubled.py_func, targetoptions={"nopython": True}).piece.compile((kind[:], types.int64))
assert optimised == ["goldwash.filters.cut"], optimised
""",
    )


def test_kernels_raise_nothing() -> None:
    """What an exception needs is set when a function has machine code of its own."""
    found = []
    for file in sorted(Path(goldwash.__file__).parent.resolve().glob("*/**/*.py")):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef) and {"kernel", "bare", "inline"} & {
                each.id for each in function.decorator_list if isinstance(each, ast.Name)
            }:
                found.append(function.name)
                assert not [n for n in ast.walk(function) if isinstance(n, ast.Raise | ast.Assert)], f"{file}: {function.name}"
    assert len(found) > 200
