"""``goldwash signals``, ``stages``, ``recipe`` and ``sample``: lists of what is available, and files to start from."""

import os
from pathlib import Path
from typing import Annotated

import typer

from goldwash.pipeline.cli.terminal import command, say

app = typer.Typer()


@app.command()
def signals() -> None:
    """List the signals and edits that a recipe can use."""
    from goldwash.pipeline.inspect.parameters import signals_and_edits

    for title, found in signals_and_edits().items():
        say(title)
        for name, summary in found:
            say(f"  {name:44s} {summary}")


@app.command()
def stages() -> None:
    """List the stages; `goldwash stage NAME --help` shows a stage's parameters."""
    from goldwash.pipeline.stages import STAGES

    for name, kind in STAGES.items():
        say(f"  {name:16s} {kind.summary()}")


NEW = """\
# A recipe that extends {base}. docs/recipes.md has the rest; `{command} recipe {base}` prints the recipe that it extends.
description: {base} with changes of my own
extends: {base}

# use: [my_filters.py]              # files or modules that declare your own signals and edits

# change:                           # a stage's parameters, or one step of a list, by its name
#   quality: {{fraction: 0.2}}
#   heuristics:
#     steps:
#       fasttext_word_count: {{min: 20}}

# insert:                           # steps that come before those of a list
#   heuristics:
#     steps:
#       - {{keep: url_host_count, as: my_hosts, hosts: [example.com], max: 0}}

# without: [decontaminate, heuristics.steps.symbol_word_ratio]
"""


@app.command()
def recipe(
    name: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME | new FILE]", help="A recipe's name or path; or `new` and a file to write."),
    ] = None,
    extends: Annotated[str, typer.Option("--extends", help="With new: the recipe that the file extends.")] = "baseline",
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every parameter, defaults included.")] = False,
) -> None:
    """Print a recipe, list the recipes, or write a new one that extends another."""
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.recipes import names
    from goldwash.pipeline.recipes import recipe as recipes
    from goldwash.pipeline.recipes.reading import parsed

    words = name or []
    if words[:1] == ["new"]:
        if len(words) != 2:
            raise RecipeError("expected `goldwash recipe new FILE.yaml --extends NAME`")
        _write_recipe(words[1], extends)
    elif not words:
        for known in names():
            say(f"  {known:12s} {parsed(recipes.source(known))[0].get('description', '')}")
    elif len(words) > 1:
        raise RecipeError(f"expected one recipe, found {len(words)}: {' '.join(words)}")
    else:
        text = recipes.load(words[0]).resolved() if resolved else recipes.source(words[0])
        for line in text.splitlines():
            say(line)


def _write_recipe(file: str, extends: str) -> None:
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.recipes import names
    from goldwash.pipeline.recipes import recipe as recipes

    path = Path(file)
    if path.suffix not in (".yaml", ".yml"):
        raise RecipeError(f"{file}: give a file name that ends in .yaml")
    base = recipes.located(extends)
    named = extends if extends in names() else os.path.relpath(base, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as opened:
            opened.write(NEW.format(base=named, command="goldwash"))
    except FileExistsError as error:
        raise RecipeError(f"{file} is there already: choose another name, or delete it") from error
    recipes.load(file)
    say(f"{file}: change what you need, then {command()} run {file} --input ... --out ...")


@app.command()
def sample(out_folder: Annotated[str, typer.Argument(metavar="OUT", help="The folder for the sample crawl.")]) -> None:
    """Write the built-in sample crawl: archives, classifier examples, benchmark questions, and each page's expected fate."""
    from goldwash.pipeline.sample.crawl import write_sample
    from goldwash.pipeline.storage.ownership import check_ours

    check_ours(out_folder, ("fates.jsonl",))
    write_sample(Path(out_folder))
    say(f"the sample crawl is in {out_folder}/crawl; each page's fate in {out_folder}/fates.jsonl")
