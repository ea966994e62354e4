"""What numba makes of a kernel that other kernels call: LLVM's instructions, without machine code.

Invariants:

- A kernel that is called from Python has machine code. A kernel that kernels call is linked into each of them as instructions.
  numba by itself makes machine code of each function, although most are never called from Python: compiling took 1.3 times as
  long (2026-11).
- A kernel that both call is compiled in both ways, each of which numba keeps in files of its own.
- Constants that numba sets when a function is ready, for messages of exceptions, are missing in instructions: kernels raise
  nothing.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import llvmlite.binding as llvm
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult
from numba.core.registry import CPUDispatcher

LINKED_AS_WRITTEN = "goldwash.pipeline.html"
"""Kernels of this package are not optimised before they are linked. They take half of the time of compiling, and are as
fast; of the others, language would take 1.07 times as long, and stop words 1.1 times (2026-11)."""


class Kernel(CPUDispatcher):
    """A compiled function: numba's dispatcher for Python, and `piece` for kernels that call it."""

    @cached_property
    def piece(self) -> Any:
        """The dispatcher that gives instructions."""
        made = _Piece(self.py_func, self.locals, {**self.targetoptions, "no_cpython_wrapper": True}, _Compiler)
        made.enable_caching()
        return made

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """How numba compiles this function for a kernel that calls it, and finds the type of its result."""
        return self.piece.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """What numba knows the instructions for these arguments by."""
        return self.piece.get_overload(sig)


def compiled(function: Callable[..., Any], options: Mapping[str, Any]) -> Kernel:
    """A kernel with options of numba's, kept on disk."""
    made = Kernel(function, targetoptions={**options, "nopython": True, "boundscheck": None})
    made.enable_caching()
    return made


class _Piece(CPUDispatcher):
    def enable_caching(self) -> None:
        """Keep instructions on disk."""
        self._cache = _Cache(self.py_func)

    def add_overload(self, cres: Any) -> None:
        """Remember instructions, without an entry for calls from Python."""
        self.overloads[tuple(cres.signature.args)] = cres


class _Instructions(JITCodeLibrary):
    """numba's library of one function: what is linked into callers."""

    def __init__(self, codegen: Any, name: str, module: str = "") -> None:
        super().__init__(codegen, name)
        self.module = module

    def _optimize_final_module(self) -> None:
        if not self.module.startswith(LINKED_AS_WRITTEN):
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        """Its name, kind and bitcode."""
        self._ensure_finalized()
        return self.name, "instructions", self._get_module_for_linking().as_bitcode()


class _Compiler(Compiler):
    """numba's compiler, up to the instructions."""

    def _compile_bytecode(self) -> Any:
        state = self.state
        state.flags.no_compile = True
        state.library = _Instructions(state.targetctx.codegen(), state.func_id.func_qualname, state.func_id.modname)
        made = super()._compile_bytecode()._replace(entry_point=object())
        state.targetctx.insert_user_function(made.entry_point, made.fndesc, [made.library])
        return made


class _Kept(CompileResultCacheImpl):
    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        """The name of numba's files, which differs from that of the machine code's files."""
        return f"piece.{super().get_filename_base(fullname, abiflags)}"

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """Instructions that were kept."""
        (name, _, bitcode), function, environment, signature, mode, lifted, annotation, reload, environments = payload
        library = _Instructions(target_context.codegen(), name)
        library._final_module = llvm.parse_bitcode(bitcode)
        library._finalize_final_module()
        result: Any = CompileResult  # declared without its fields
        return result(
            target_context=target_context, typing_context=target_context.typing_context, library=library,
            environment=environment, entry_point=object(), fndesc=function, type_annotation=annotation, signature=signature,
            objectmode=mode, lifted=lifted, typing_error=None, call_helper=None, metadata=None, reload_init=reload,
            referenced_envs=environments,
        )  # fmt: skip


class _Cache(FunctionCache):
    _impl_class = _Kept
