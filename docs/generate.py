"""Write the reference pages of the site from docstrings: commands, stages with their parameters, signals and edits.

Invariants: nothing is written twice. Each page is made from the objects that the command line uses, so that it cannot be
out of date. The pages are built, not committed: ``make docs``.
"""

import importlib
import inspect
import pkgutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import typer.cli
from typer.main import get_command

import goldwash.filters
from goldwash.evidence.cli import register
from goldwash.filters.signals import EDITS, SIGNALS, Declared
from goldwash.pipeline.cli.app import app
from goldwash.pipeline.inspect.parameters import parameters_of
from goldwash.pipeline.recipes.recipe import load, names
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.stages.heuristics import Heuristics

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    """Write the three pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("commands", commands()), ("stages", stages()), ("signals", signals())):
        (folder / f"{name}.md").write_text(text, "utf-8")


def commands() -> str:
    """Every command with its arguments and options, as typer describes them."""
    register(app)
    group: Any = get_command(app)
    context = typer.Context(group, info_name="goldwash")
    return typer.cli.get_docs_for_click(obj=group, ctx=context, name="goldwash", title="Commands")


def stages() -> str:
    """Every stage: what it does, and a table of its parameters."""
    out = ["# Stages", "", "A recipe lists stages with their parameters. `goldwash stage NAME --help` prints the same."]
    for name, kind in STAGES.items():
        out += ["", f"## {name}", "", prose(kind), "", "| parameter | type | default | meaning |", "|---|---|---|---|"]
        for each in parameters_of(kind):
            out.append(f"| `{each.name}` | {cell(each.kind)} | {code(each.default)} | {cell(each.meaning)} |")
    return "\n".join(out) + "\n"


def signals() -> str:
    """Every signal and edit: its definition, its parameters, the file that has it, and the built-in recipes that use it."""
    declare_all()
    used = users()
    out = ["# Signals and edits", "", "A signal is one number per text. An edit changes texts. Recipes set bounds on signals."]
    for title, declared in (("Signals", SIGNALS), ("Edits", EDITS)):
        out += ["", f"## {title}"]
        for name in sorted(declared):
            out += ["", *entry(declared[name], sorted(used[name]))]
    return "\n".join(out) + "\n"


def declare_all() -> None:
    """Import every module of `goldwash.filters`: signals are declared when their module is imported."""
    for module in pkgutil.iter_modules(goldwash.filters.__path__, "goldwash.filters."):
        importlib.import_module(module.name)


def users() -> dict[str, set[str]]:
    """The built-in recipes that name each signal or edit."""
    used = defaultdict[str, set[str]](set)
    for recipe in names():
        for stage in load(recipe).stages:
            steps = stage.plan if isinstance(stage, Heuristics) else ()
            for step in steps:
                for subject in (step.subject, getattr(step.subject, "keep", None), getattr(step.keep, "signal", None)):
                    name = getattr(getattr(subject, "signal", subject), "name", None)
                    if name:
                        used[str(name)].add(recipe)
    return used


def entry(declared: Declared, recipes: list[str]) -> list[str]:
    """A signal or edit as Markdown lines."""
    parameters = ", ".join(
        f"`{name}`" + ("" if default is inspect.Parameter.empty else f" (default {code(repr(default))})")
        for name, default in declared.defaults().items()
    )
    file = Path(inspect.getsourcefile(inspect.unwrap(declared.function)) or "")
    facts = [
        f"measures `{declared.column}`" if declared.column != "text" else "",
        f"parameters: {parameters}" if parameters else "",
        f"recipes: {', '.join(recipes)}" if recipes else "",
        f"source: `{'/'.join(file.parts[-2:])}`",
    ]
    return [f"### {declared.name}", "", prose(declared.function), "", "; ".join(filter(None, facts)) + "."]


def prose(documented: Any) -> str:
    """A docstring as Markdown, without its examples."""
    lines = (inspect.getdoc(documented) or "").split("\n")
    examples = next((n for n, line in enumerate(lines) if line.startswith(">>>")), None)
    return "\n".join(lines[:examples]).replace("``", "`").strip()


def code(text: str) -> str:
    """A value in a table cell: long ones are cut."""
    shown = text if len(text) <= 60 else text[:57] + "..."
    return f"`{shown}`".replace("|", "\\|") if shown else ""


def cell(text: str) -> str:
    """A text in a table cell."""
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "reference")
