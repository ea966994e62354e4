"""How kernels are compiled. Only this file and `pieces` import numba.

Invariants:

- Every compiled function is declared with `kernel`, `bare` or `inline` and takes arrays and scalars, one dtype per argument, so
  that it compiles once. (A literal, such as 0 or True, is a type of its own: the piece of a kernel is compiled again for it.)
- Machine code is kept on disk, in a folder named by a digest of the kernels' sources, their location and the processor. numba
  checks only the file of the kernel itself: after a change to ``cut.py`` it would go on running old code of the kernels that
  call it. numba also keys its code by processor, so one marker for two processors would let many workers compile at once.
- One process compiles while the others wait (`warm_up`): numba's disk cache can be read by many processes at once, but not
  written (numba issues 4807 and 10128).

``NUMBA_DISABLE_JIT=1`` runs every kernel as plain Python: slow, but a debugger and coverage can follow it.
"""

import gc
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from os import environ
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numba
import numba.core.config as settings
import numpy as np
from filelock import FileLock
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.functions import BaseFunction
from numba.extending import intrinsic

from goldwash.filters.cache import cache_home
from goldwash.filters.pieces import compiled

BLAS = "scipy.linalg.cython_blas"


def _load_arrays() -> None:
    """Load numba's array functions without scipy.linalg, which they import only to see that it is installed.

    That takes 0.15 CPU-seconds in each process (2026-11). ``np.dot`` in a kernel imports it when it is compiled, as always.
    """
    if BLAS in sys.modules:
        importlib.import_module("numba.np.arraymath")
        return
    sys.modules[BLAS] = ModuleType(BLAS)
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules[BLAS]


_load_arrays()


def _remember_types() -> None:
    """Let numba resolve a built-in operation, such as ``a + b``, once for the types of its arguments.

    numba tries the implementations of an operator in turn at every place where a kernel uses it: an eighth of the time that
    the kernels take to compile (2026-11). Only operations that numba emits itself are remembered. One that it compiles from
    Python, such as ``np.empty``, also depends on the options of the kernel.
    """
    resolve = BaseFunction.get_call_type

    def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
        known, types_ = self.__dict__.setdefault("_known_calls", {}), tuple(args)
        if not kws and types_ in known:
            return known[types_]
        signature = resolve(self, context, args, kws)
        if not kws and self.get_impl_key(signature) is self.typing_key:
            known[types_] = signature
        return signature

    setattr(BaseFunction, "get_call_type", get_call_type)  # noqa: B010


_remember_types()

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "filters", "filters/personal_data", "classifiers", "classifiers/ngram", "pipeline/dedup", "pipeline/decontamination",
    "pipeline/html",
)  # fmt: skip
"""The folders that hold kernels."""


def processor() -> str:
    """The processor that numba compiles for, and its features; ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` override them."""
    name, features = getattr(settings, "CPU_NAME", None), getattr(settings, "CPU_FEATURES", None)
    if features is None and name is None:
        features = llvm.get_host_cpu_features().flatten()
    return f"{name or llvm.get_host_cpu_name()} {features or ''}"


def _digest(root: Path) -> str:
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version} {root} {processor()}".encode())
    for room in ROOMS:
        for file in sorted((root / room).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def cache_folder() -> Path:
    """The folder of these sources' machine code and character tables, for this processor."""
    return cache_home() / f"kernels-{_digest(ROOT)}"


if "NUMBA_CACHE_DIR" not in environ:
    setattr(settings, "CACHE_DIR", str(cache_folder()))  # noqa: B010


INTERPRETED = bool(getattr(settings, "DISABLE_JIT"))  # noqa: B009  (numba declares its settings at run time)
"""Whether kernels run as plain Python."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop over arrays: without Python objects or the GIL, with C division, cached on disk."""
    if INTERPRETED:
        return _plain(function)
    return _compiled(function)


def bare(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel, or a piece of one, that allocates nothing: what it writes to is an argument.

    It is compiled without reference counting, which costs an atomic instruction for each view of an array (a row of a table):
    the block reader took 8% more time with it (2026-11). A bare piece is not copied into its callers as `inline` does, unless
    the compiler finds it small: for pieces that are long, rarely run, or called from many places.
    """
    if INTERPRETED:
        return _plain(function)
    return _compiled(function, _nrt=False)


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a piece of a kernel, which takes arrays, allocates none, and is called only from kernels.

    numba counts references to array arguments with atomic instructions at each call, even when the call is inlined. With the
    counting, UAX 29 words were cut at 100 MB/s, without it at 285 MB/s (2026-11).
    """
    if INTERPRETED:
        return _plain(function)
    return _compiled(function, _nrt=False, forceinline=True)


def _emit_within(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The LLVM instructions of `within`: 64 bytes are subtracted and compared at once, and the 64 answers are one number."""
    array, i, low, high = arguments
    bytes_, bit = ir.VectorType(ir.IntType(8), 64), ir.IntType(8)
    data = context.make_array(signature.args[0])(context, builder, array).data
    read = builder.load(builder.bitcast(builder.gep(data, [i]), ir.PointerType(bytes_)))
    read.align = 1

    def everywhere(value: Any) -> Any:
        first = builder.insert_element(ir.Constant(bytes_, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))

    low, high = builder.trunc(low, bit), builder.trunc(high, bit)
    found = builder.icmp_unsigned("<=", builder.sub(read, everywhere(low)), everywhere(builder.sub(high, low)))
    return builder.bitcast(found, ir.IntType(64))


def _within(_: Any, array: Any, i: Any, low: Any, high: Any) -> Any:
    """Declares `within` to numba: its type and how it is compiled."""
    return types.uint64(array, types.uint64, types.int64, types.int64), _emit_within


def _plain_within(utf8: Any, i: Any, low: Any, high: Any) -> Any:
    """`within` in Python."""
    found = utf8[int(i) : int(i) + 64]
    return np.packbits((found >= low) & (found <= high), bitorder="little").view(np.uint64)[0]


within: Any = _plain_within if INTERPRETED else intrinsic(_within)
"""``within(utf8, i, low, high)``: which of the 64 bytes from ``i`` are from ``low`` to ``high``, as the bits of a ``uint64``.

All 64 bytes must be in the array. ``i`` is unsigned. numba has no such function, and a loop over eight bytes at a time takes
seven times as long (2026-11). The instructions are LLVM's own for any processor, and compare integers: the result is the same
on each.
"""


def _emit_copy(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The LLVM instructions of `copy_block`: one load and one store."""
    source, i, target, at = arguments
    block = ir.PointerType(ir.VectorType(ir.IntType(8), 64))

    def place(kind: Any, array: Any, index: Any) -> Any:
        data = context.make_array(kind)(context, builder, array).data
        return builder.bitcast(builder.gep(data, [index]), block)

    read = builder.load(place(signature.args[0], source, i))
    read.align = 1
    builder.store(read, place(signature.args[2], target, at), align=1)
    return context.get_dummy_value()


def _copy(_: Any, source: Any, i: Any, target: Any, at: Any) -> Any:
    """Declares `copy_block` to numba."""
    return types.void(source, types.uint64, target, types.uint64), _emit_copy


def _plain_copy(source: Any, i: Any, target: Any, at: Any) -> None:
    """`copy_block` in Python."""
    target[int(at) : int(at) + 64] = source[int(i) : int(i) + 64]


copy_block: Any = _plain_copy if INTERPRETED else intrinsic(_copy)
"""``copy_block(source, i, target, at)``: copy the 64 bytes from ``i``. All of them must be in both arrays; ``i`` and ``at`` are
unsigned. Many short copies of other lengths are calls of ``memcpy`` each."""


def _emit_prefetch(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The LLVM instruction of `prefetch`."""
    table, row = arguments
    array = context.make_array(signature.args[0])(context, builder, table)
    size = builder.extract_value(array.strides, 0)
    address = builder.add(builder.ptrtoint(array.data, row.type), builder.mul(row, size))
    pointer, number = ir.PointerType(ir.IntType(8)), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")  # type: ignore[no-untyped-call]
    builder.call(fetch, [builder.inttoptr(address, pointer), number(0), number(3), number(1)])
    return context.get_dummy_value()


def _prefetch(_: Any, table: Any, row: Any) -> Any:
    """Declares `prefetch` to numba."""
    return types.void(table, types.uint64), _emit_prefetch


def _plain_prefetch(table: Any, row: Any) -> None:
    """`prefetch` in Python."""


prefetch: Any = _plain_prefetch if INTERPRETED else intrinsic(_prefetch)
"""``prefetch(table, row)``: ask the processor for the first 64 bytes of a row that will be needed soon. ``row`` is unsigned. It
changes no value; a kernel that looks up rows of a large table waits less."""


def _emit_matching(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The LLVM instructions of `matching`: eight numbers are compared at once."""
    table, i, low = arguments
    array = context.make_array(signature.args[0])(context, builder, table)
    eight, half = ir.VectorType(ir.IntType(64), 8), ir.VectorType(ir.IntType(32), 8)
    read = builder.load(builder.bitcast(builder.gep(array.data, [i]), ir.PointerType(eight)))
    read.align = 8
    lower, word = builder.trunc(read, half), ir.IntType(32)
    one = builder.insert_element(ir.Constant(half, ir.Undefined), builder.trunc(low, word), ir.Constant(word, 0))
    wanted = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(word, 8), [0] * 8))
    found = builder.or_(
        builder.icmp_unsigned("==", lower, wanted), builder.icmp_unsigned("==", lower, ir.Constant(half, [0] * 8))
    )
    return builder.zext(builder.bitcast(found, ir.IntType(8)), ir.IntType(64))


def _matching(_: Any, table: Any, i: Any, low: Any) -> Any:
    """Declares `matching` to numba."""
    return types.uint64(table, types.uint64, types.uint64), _emit_matching


def _plain_matching(table: Any, i: Any, low: Any) -> Any:
    """`matching` in Python."""
    lower = table[int(i) : int(i) + 8] & np.uint64(0xFFFFFFFF)
    return np.uint64(np.packbits((lower == low) | (lower == 0), bitorder="little")[0])


matching: Any = _plain_matching if INTERPRETED else intrinsic(_matching)
"""``matching(table, i, low)``: which of the eight numbers from ``i`` have the lower half ``low``, or 0, as the bits of a
``uint64``. All eight must be in the array. ``i`` and ``low`` are unsigned."""


LANES = 32
"""Columns that `conjunction` works on at once."""


def _emit_conjunction(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The LLVM instructions of `conjunction`: a loop over tests, whose masks stay in registers."""
    _, at, *_, first, last, _ = arguments
    bits, word = ir.VectorType(ir.IntType(32), LANES), ir.IntType(32)
    every = ir.Constant(bits, [0xFFFFFFFF] * LANES)

    def place(n: int, index: Any) -> Any:
        return builder.gep(context.make_array(signature.args[n])(context, builder, arguments[n]).data, [index])

    def everywhere(value: Any) -> Any:
        kind = ir.VectorType(value.type, LANES)
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(word, 0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(word, LANES), [0] * LANES))

    width = builder.extract_value(context.make_array(signature.args[0])(context, builder, arguments[0]).shape, 1)
    before, loop, after = builder.basic_block, builder.append_basic_block("tests"), builder.append_basic_block("tested")
    builder.cbranch(builder.icmp_signed("<", first, last), loop, after)
    builder.position_at_end(loop)
    n, left = builder.phi(first.type), builder.phi(bits)
    row = builder.add(builder.mul(builder.load(place(2, n)), width), at)
    values = builder.load(builder.bitcast(place(0, row), ir.PointerType(ir.VectorType(ir.FloatType(), LANES))))
    values.align = 4
    over = builder.fcmp_ordered(">", values, everywhere(builder.load(place(3, n))))
    both = builder.and_(left, builder.select(over, everywhere(builder.load(place(4, n))), every))
    following = builder.add(n, ir.Constant(n.type, 1))
    for phi, begun, kept in ((n, first, following), (left, every, both)):
        phi.add_incoming(begun, before)
        phi.add_incoming(kept, loop)
    builder.cbranch(builder.icmp_signed("<", following, last), loop, after)
    builder.position_at_end(after)
    found = builder.phi(bits)
    found.add_incoming(every, before)
    found.add_incoming(both, loop)
    builder.store(found, builder.bitcast(place(7, ir.Constant(at.type, 0)), ir.PointerType(bits)), align=4)
    return context.get_dummy_value()


def _conjunction(_: Any, table: Any, at: Any, rows: Any, bounds: Any, masks: Any, first: Any, last: Any, target: Any) -> Any:
    """Declares `conjunction` to numba."""
    return types.void(table, types.int64, rows, bounds, masks, types.int64, types.int64, target), _emit_conjunction


def _plain_conjunction(
    table: Any, at: int, rows: Any, bounds: Any, masks: Any, first: int, last: int, target: Any
) -> None:  # fmt: skip
    """`conjunction` in Python."""
    target[:] = 0xFFFFFFFF
    for n in range(first, last):
        target[table[rows[n], at : at + LANES] > bounds[n]] &= masks[n]


conjunction: Any = _plain_conjunction if INTERPRETED else intrinsic(_conjunction)
"""``conjunction(table, at, rows, bounds, masks, first, last, target)``: for each of the `LANES` columns from ``at``, the
conjunction of ``masks[n]`` of those tests ``n`` from ``first`` to before ``last`` whose ``table[rows[n], column] > bounds[n]``.

``table: float32[R, C]`` has the columns, ``target: uint32[LANES]`` gets the results, all bits set where no test holds. In a
loop over tests and columns the compiler keeps no masks in registers, and asks again and again whether arrays overlap: the
forest of `pipeline.html.main_content` took 190 ms for 751,000 blocks, and takes 160 (2026-11)."""


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The function with options of numba's. No kernel is called from C, so none has a wrapper for that."""
    return compiled(function, {**options, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True})


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel as Python: 64-bit hashes wrap round silently, as they do in machine code."""

    @wraps(function)
    def run(*args: Any) -> Any:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return function(*args)

    return run


def warm_up(name: str, fingerprint: str, act: Callable[[], object], notify: Callable[[str], None] = lambda _: None) -> None:
    """Run ``act`` once per machine and ``fingerprint``, so that the kernels it compiles are on disk before workers need them.

    Processes that arrive at the same time wait for the first one. ``notify`` is called with a line for the user before a
    compilation.
    """
    if INTERPRETED or is_compiled(name, fingerprint):
        return
    with compiling():
        if is_compiled(name, fingerprint):
            return
        notify(f"compiling kernels for {name}, once on this machine (up to a minute)")
        act()
        _marker(name, fingerprint).touch()


def is_compiled(name: str, fingerprint: str) -> bool:
    """Whether `warm_up` has run for this name and fingerprint on this machine."""
    return _marker(name, fingerprint).exists()


@contextmanager
def compiling() -> Iterator[Path]:
    """Be the one process that compiles; the folder of machine code. The garbage collector waits: it takes 8% of compiling."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "compiling.lock"):
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield folder
        finally:
            if collecting:
                gc.enable()


def _marker(name: str, fingerprint: str) -> Path:
    return cache_folder() / f"{name}-{fingerprint}.compiled"
