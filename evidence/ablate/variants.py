"""The variants of a recipe: what ``--vary`` changes.

Invariants: all variants are resolved before anything runs, so that a misspelt parameter costs nothing. No two variants resolve
to the same recipe. The first value of each ``--vary`` is the one to which others are compared. ``--vary`` takes::

    STAGE.PARAMETER=V1,V2    a parameter's values, as --set takes them; [a,b] is one value
    RULE.BOUND=V1,V2         a rule's bound, as --keep takes it: fasttext_word_count.min=20,50
    STAGE=in,out             a stage that is there or left out
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.changes import BOUNDS
from goldwash.pipeline.recipes.recipe import Recipe, load

Notify = Callable[[str], None]
MOST_VARIANTS = 64
PRESENCE = ("in", "out")


@dataclass(frozen=True)
class Axis:
    """What is varied, and its values as they were given."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A recipe with one value of each axis. ``name``: those values, in words."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Base:
    """The recipe that is varied, with what all variants have in common."""

    recipe: str
    settings: Sequence[str] = ()
    skip: Sequence[str] = ()
    keeps: Sequence[str] = ()


def axis_of(text: str) -> Axis:
    """An axis from ``KEY=V1,V2``. Raises `RecipeError` where there are fewer than two values, or one is there twice.

    >>> axis_of("a.b=[1,2],'x,y',3")
    Axis(key='a.b', values=('[1,2]', "'x,y'", '3'))
    """
    key, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in split(rest))
    if not equals or not key.strip() or len(values) < 2 or not all(values):
        raise RecipeError(f"--vary {text}: expected STAGE.PARAMETER=VALUE,VALUE with at least two values")
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise RecipeError(f"--vary {text}: the value {twice[0]} is there twice")
    return Axis(key.strip(), values)


def split(text: str) -> list[str]:
    """The parts between commas that are in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
    return parts


def variants_of(base: Base, vary: Sequence[str], one_at_a_time: bool, notify: Notify) -> list[Variant]:
    """Every combination of the axes' values; ``one_at_a_time``: the first values, and each other value alone beside them.

    Raises `RecipeError` where an axis or a value does not fit the recipe, or two variants are the same recipe.
    """
    axes = [axis_of(text) for text in vary]
    if not axes:
        raise RecipeError("nothing to vary: give --vary STAGE.PARAMETER=VALUE,VALUE")
    keys = [axis.key for axis in axes]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise RecipeError(f"--vary {twice[0]} is given twice: give all of its values in one")
    chosen = _one_at_a_time(axes) if one_at_a_time else list(product(*(axis.values for axis in axes)))
    if len(chosen) > MOST_VARIANTS:
        raise RecipeError(
            f"--vary gives {len(chosen)} variants; expected at most {MOST_VARIANTS}: give fewer values, or --one-at-a-time"
        )
    out, seen = list[Variant](), dict[str, str]()
    for values in chosen:
        name = " ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        recipe = _recipe(base, axes, values, notify)
        resolved = recipe.resolved()
        if resolved in seen:
            raise RecipeError(f"--vary: {name} is the same recipe as {seen[resolved]}: leave one of the values out")
        seen[resolved] = name
        out.append(Variant(name, recipe))
    return out


def _one_at_a_time(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    first = tuple(axis.values[0] for axis in axes)
    return [first, *((*first[:n], value, *first[n + 1 :]) for n, axis in enumerate(axes) for value in axis.values[1:])]


def _recipe(base: Base, axes: Sequence[Axis], values: Sequence[str], notify: Notify) -> Recipe:
    settings, skip, keeps = list(base.settings), list(base.skip), list(base.keeps)
    for axis, value in zip(axes, values, strict=True):
        if "." not in axis.key:
            if not set(axis.values) <= set(PRESENCE):
                raise RecipeError(
                    f"--vary {axis.key}={','.join(axis.values)}: expected STAGE.PARAMETER=VALUES, RULE.BOUND=VALUES or "
                    f"STAGE={','.join(PRESENCE)}"
                )
            load(base.recipe).stage(axis.key)  # a misspelt stage is refused, even where it is in
            skip += [axis.key] if value == "out" else []
        elif _is_stage(base.recipe, axis.key):
            settings.append(f"{axis.key}={value}")
        else:
            keeps.append(f"{axis.key}={value}")
    return load(base.recipe, settings, skip, keeps, notify)


def _is_stage(recipe: str, key: str) -> bool:
    """Whether a key begins with a stage of the recipe; a key that ends with a bound and does not is a rule's."""
    stage, _, rest = key.partition(".")
    names = load(recipe).stage_names()
    known = stage in names or any(name.startswith(f"{stage}#") for name in names)
    return known or rest.rpartition(".")[2] not in (*BOUNDS, "among")
