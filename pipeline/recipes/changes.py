"""Changes of a recipe's values: ``change``, ``insert``, ``without``, ``--set`` and ``--keep``, down to a single step.

Invariants: a change names something that exists. A name that is unknown or ambiguous is a `RecipeError` with the choices.

A stage is named by its name, or by ``NAME#2`` where a recipe has two of that name. An item of a list of mappings (a step of
``heuristics.steps``, an early step of ``extract.early``) has these names:

* its ``as``, else its ``name``, else the value of its first key: ``fasttext_word_count`` for ``{keep: fasttext_word_count, min:
  50}``
* the rule's name in reports: ``lines.word_count`` for ``keep_lines: word_count``, ``lost.word_count`` for ``keep_lost``
* with its first key before it: ``keep.language``, ``label.language``

A name that several items have means the one with bounds, if there is exactly one: ``language`` is ``keep.language``.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.recipes.reading import parsed_setting
from goldwash.pipeline.stages import STAGES

BOUNDS = {"min": 1, "above": 1, "max": -1, "below": -1}
"""Bounds of a rule: 1 where a larger number keeps less, -1 where it keeps more."""
RIVALS = {"min": "above", "above": "min", "max": "below", "below": "max"}
"""A new bound takes the place of the one on the same side."""

Stages = list[dict[str, Any]]
"""A recipe's stages: mappings of one name and its parameters."""


def stage_names(stages: Stages) -> list[str]:
    """Each stage's name; ``NAME#1``, ``NAME#2`` where a name is there twice."""
    plain = [next(iter(stage)) for stage in stages]
    return [f"{name}#{plain[: n + 1].count(name)}" if plain.count(name) > 1 else name for n, name in enumerate(plain)]


def number_of(stages: Stages, name: str) -> int:
    """The number of the stage of this name, from 0; a `RecipeError` gives the choices."""
    names = stage_names(stages)
    if name in names:
        return names.index(name)
    if any(known.startswith(f"{name}#") for known in names):
        same = [known for known in names if known.startswith(f"{name}#")]
        raise RecipeError(f"the recipe has {len(same)} stages called {name!r}: give one of {', '.join(same)}")
    raise RecipeError(f"the recipe has no stage {name!r}: {nearest(name, names)}; there are {', '.join(names)}")


def parameters_of(stages: Stages, name: str) -> dict[str, Any]:
    """The parameters of the stage of this name, to be changed in place."""
    stage = stages[number_of(stages, name)]
    key = next(iter(stage))
    stage[key] = dict(stage[key] or {})
    found: dict[str, Any] = stage[key]
    return found


def leave_options(name: str, parameters: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Remove the options of a value that changes, such as those of the extractor ``blocks``, so that they are given anew.

    ``name``: of the stage. ``changes``: everything that one layer (a recipe, or the command line) sets in it.
    """
    for key, options in STAGES[name.partition("#")[0]].options.items():
        if key in changes and changes[key] != parameters.get(key):
            for option in options:
                parameters.pop(option, None)


def change(parameters: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change parameters. A mapping changes the named items of a list of mappings; any other value replaces the whole."""
    for key, value in changes.items():
        held: Any = parameters.get(key)
        if _is_steps(held) and isinstance(value, Mapping):
            for name, changed in value.items():
                if not isinstance(changed, Mapping):
                    raise RecipeError(f"{key}.{name} is {changed!r}; expected keys and values, as {{min: 20}}", (key, name))
                _change_item(held[item_number(held, str(name), key)], changed)
        else:
            parameters[key] = value


def _change_item(item: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Set an item's keys; a key set to null is taken out, and a bound replaces the one on its side."""
    for key, value in changes.items():
        if value is None:
            item.pop(key, None)
            continue
        item.pop(RIVALS.get(key, ""), None)
        item[key] = value


def insert(parameters: dict[str, Any], lists: Mapping[str, Any]) -> None:
    """Insert items at the front of a stage's lists."""
    for key, items in lists.items():
        if not isinstance(items, list) or not isinstance(parameters.get(key), list):
            raise RecipeError(f"insert {key}: expected a list to put before the one that is there", (key,))
        parameters[key] = [*items, *parameters[key]]


def without(stages: Stages, name: str) -> None:
    """Take out a stage, or an item of a list: ``decontaminate``, ``heuristics.steps.symbol_word_ratio``."""
    stage, dot, rest = name.partition(".")
    if not dot:
        del stages[number_of(stages, name)]
        return
    key, dot, item = rest.partition(".")
    parameters = parameters_of(stages, stage)
    if not dot or not _is_steps(parameters.get(key)):
        lists = [f"{stage}.{k}" for k, v in parameters.items() if _is_steps(v)]
        raise RecipeError(
            f"without {name}: expected a stage, or STAGE.LIST.ITEM as heuristics.steps.word_count; lists of {stage}: "
            f"{', '.join(lists) or 'none'}"
        )
    del parameters[key][item_number(parameters[key], item, key)]


def set_parameters(stages: Stages, texts: Sequence[str]) -> None:
    """Apply settings ``STAGE.PARAMETER=VALUE``; their order does not matter."""
    given: dict[str, dict[str, Any]] = {}
    for text in texts:
        key, value = parsed_setting(text)
        stage, dot, parameter = key.partition(".")
        expected = f"--set {text}: expected STAGE.PARAMETER=VALUE, with one of the stages {', '.join(stage_names(stages))}"
        if not dot or not parameter:
            raise RecipeError(expected)
        try:
            number_of(stages, stage)
        except RecipeError as error:
            raise RecipeError(f"{expected} ({error})") from error
        given.setdefault(stage, {})[parameter] = value
    for stage, values in given.items():
        parameters = parameters_of(stages, stage)
        leave_options(stage, parameters, values)
        parameters.update(values)


def keep(stages: Stages, text: str, notify: Callable[[str], None]) -> None:
    """Apply ``RULE.BOUND=NUMBER`` or ``RULE.among=[...]`` to the last rule of that name in the recipe.

    Earlier rules of that name in other lists (a prefilter such as ``extract.early``) are loosened where they would drop what
    the new bound keeps; ``notify`` gets a note.
    """
    key, value = parsed_setting(text, "--keep")
    rule, dot, bound = key.rpartition(".")
    if not dot or bound not in (*BOUNDS, "among"):
        raise RecipeError(
            f"--keep {text}: expected RULE.BOUND=NUMBER with one of {', '.join(BOUNDS)} or among, as word_count.min=100"
        )
    if bound == "among":
        if not isinstance(value, list):
            raise RecipeError(f"--keep {text}: expected a list, as language.among=[en, de]")
    elif isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise RecipeError(f"--keep {text}: expected a number, found {value!r}")
    found = [(place, item) for place, items in _lists(stages) if (item := _rule(items, rule, place)) is not None]
    if not found:
        known = [name for _, items in _lists(stages) for item in items if _bounded(item) for name in _names(item)[:1]]
        raise RecipeError(f"--keep {text}: no rule is called {rule!r}: {nearest(rule, list(dict.fromkeys(known)))}")
    _change_item(found[-1][1], {bound: value})
    for place, item in found[:-1]:
        if bound in item and _is_stricter(bound, item[bound], value):
            loosened = [*item[bound], *(v for v in value if v not in item[bound])] if bound == "among" else value
            notify(
                f"note: {place}: {rule}.{bound} becomes {loosened} too; its {item[bound]} would drop what the new bound keeps"
            )
            item[bound] = loosened


def _is_stricter(bound: str, held: Any, new: Any) -> bool:
    if bound == "among":
        return any(value not in held for value in new)
    return bool((held - new) * BOUNDS[bound] > 0)


def _lists(stages: Stages) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each list of mappings of each stage, with its place."""
    for name, stage in zip(stage_names(stages), stages, strict=True):
        parameters = next(iter(stage.values())) or {}
        for key, value in parameters.items():
            if _is_steps(value):
                yield f"{name}.{key}", value


def _rule(items: list[dict[str, Any]], name: str, place: str) -> dict[str, Any] | None:
    """The item with bounds of this name; None if there is none."""
    bounded = [item for item in items if _bounded(item)]
    if not any(name in _names(item) for item in bounded):
        return None
    return bounded[item_number(bounded, name, place)]


def _bounded(item: Mapping[str, Any]) -> bool:
    return any(key in item for key in (*BOUNDS, "among"))


def _is_steps(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and item for item in value)


def _names(item: Mapping[str, Any]) -> list[str]:
    """The names of an item, the plainest first."""
    verb, subject = next(iter(item.items()))
    plain = str(item.get("as") or item.get("name") or subject)
    short = f"{str(verb).removeprefix('keep_')}.{plain}"
    return [plain, short, f"{verb}.{plain}", f"{verb}.{subject}", str(subject)]


def item_number(items: Sequence[Mapping[str, Any]], name: str, place: str) -> int:
    """The number of the item of this name, from 0; a `RecipeError` names the choices where there is none, or more than one."""
    found = _called(items, name)
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(dict.fromkeys(_own_name(items, n) for n in found))
        raise RecipeError(f"{place}: {len(found)} items are called {name!r}: give one of {choices}", (place, name))
    known = dict.fromkeys(choice for n, item in enumerate(items) for choice in (_names(item)[0], _own_name(items, n)))
    raise RecipeError(f"{place}: no item is called {name!r}: {nearest(name, list(known))}", (place, name))


def _called(items: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    """The numbers of the items that a name may mean: plainer names win, then items with bounds."""
    for rank in range(5):
        found = [n for n, item in enumerate(items) if name in _names(item)[rank : rank + 1]]
        rules = [n for n in found if _bounded(items[n])]
        if found:
            return rules if len(rules) == 1 else found
    return []


def _own_name(items: Sequence[Mapping[str, Any]], number: int) -> str:
    """The plainest name that means this item alone."""
    for name in _names(items[number]):
        if _called(items, name) == [number]:
            return name
    return f"{_names(items[number])[2]} (item {number + 1}; give it `as: NAME`)"
