"""A recipe file becomes stages.

Invariants:

* A recipe is read strictly. An unknown key, a misspelt signal, ``min`` above ``max`` is a `RecipeError` with the file, the line
  and the nearest known name.
* A recipe resolves to plain values that make the same stages again.
* A recipe may have two stages of one name; they are then called ``NAME#1`` and ``NAME#2`` everywhere.

::

    description: one line
    use: [my_filters.py]          # optional: files or modules that declare signals and edits
    stages:
      - extract: {charset: detect}
      - heuristics:
          steps:
            - {keep: word_count, min: 50}
    dataset: {shard_bytes: 512000000, order: shuffled}      # optional: how the dataset is packed (stage pack)

or another recipe with some changes (docs/recipes.md; `goldwash.pipeline.recipes.changes` has the names of steps)::

    extends: baseline
    change:
      quality: {fraction: 0.2}
      heuristics:
        steps:
          fasttext_word_count: {min: 20}        # one step
    insert:                                     # items that come before those of a list
      heuristics:
        steps: [{keep: url_host_count, as: my_hosts, hosts: [example.com], max: 0}]
    without: [decontaminate, heuristics.steps.symbol_word_ratio]
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.recipes import FOLDER, changes, names
from goldwash.pipeline.recipes.plugins import declared_names, load_custom, packed
from goldwash.pipeline.recipes.reading import Lines, parsed, parsed_setting, read, text_of, written
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.stages import STAGES

KEYS = ("description", "extends", "use", "stages", "change", "insert", "without", "dataset")
DATASET = "dataset"
"""The key of the dataset's parameters, which are those of the stage pack."""
CHANGES = ("change", "insert")

Notify = Callable[[str], None]


def _silent(line: str) -> None:
    """Ignore the line."""


@dataclass(frozen=True)
class Recipe:
    """Stages in the order of the flow."""

    name: str
    description: str
    stages: tuple[Stage, ...]
    packing: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The parameters of the stage pack, which packs the dataset, as far as they are given."""

    def resolved(self) -> str:
        """The recipe as YAML with every parameter, as it is stored beside the output."""
        stages = [{stage.name: stage.config()} for stage in self.stages]
        packing = {DATASET: dict(self.packing)} if self.packing else {}
        return written({"description": self.description, "stages": stages, **packing})

    def stage_names(self) -> list[str]:
        """Each stage's name, with ``#1``, ``#2`` where a name is there twice."""
        return changes.stage_names([{stage.name: {}} for stage in self.stages])

    def number(self, name: str) -> int:
        """The number of the stage of this name, from 0; a `RecipeError` gives the choices."""
        try:
            return changes.number_of([{stage.name: {}} for stage in self.stages], name)
        except RecipeError as error:
            raise RecipeError(str(error).replace("the recipe", f"recipe {self.name}", 1)) from error

    def stage(self, name: str) -> Stage:
        """The stage of this name; a `RecipeError` gives the choices."""
        return self.stages[self.number(name)]

    def until(self, name: str | None) -> tuple[Stage, ...]:
        """The stages up to the one of this name, itself included; None: all."""
        return self.stages if name is None else self.stages[: self.number(name) + 1]


def unresolved(name: str, text: str) -> Recipe:
    """The recipe that `Recipe.resolved` wrote."""
    values, _ = parsed(text)
    stages = (next(iter(stage.items())) for stage in values["stages"])
    made = tuple(STAGES[stage].of(config) for stage, config in stages)
    return Recipe(name, values["description"], made, values.get(DATASET) or {})


RESPECTFUL = "respectful"
"""The recipe whose changes ``--opt-outs`` applies to any other."""


@dataclass(frozen=True)
class OptOuts:
    """Which opt-outs a run honours."""

    of_pages: bool = False
    """What pages say: the changes of the recipe ``respectful``."""
    robots: str = ""
    """What sites' robots.txt say: the table that ``goldwash robots`` wrote."""

    def apply(self, stages: changes.Stages) -> None:
        """Change a recipe's stages, or a single one. `RecipeError` for stages that can neither read nor honour opt-outs."""
        names_ = [next(iter(stage)) for stage in stages]
        if self.of_pages:
            if not {"extract", "heuristics"} & {*names_} or (len(names_) > 1 and "heuristics" not in names_):
                raise RecipeError("--opt-outs: no stage heuristics is there to drop the pages that say no (docs/opt-outs.md)")
            path = located(RESPECTFUL)
            values, lines = read(path)
            wanted = {key: {name: v for name, v in (values.get(key) or {}).items() if name in names_} for key in CHANGES}
            _change(wanted, stages, path, lines)
        if self.robots:
            key = {"extract": "early", "heuristics": "steps"}
            first = next((name for name in names_ if name in key), None)
            if first is None:
                raise RecipeError("--robots: there is no stage extract or heuristics that could look at URLs")
            parameters = changes.parameters_of(stages, changes.stage_names(stages)[names_.index(first)])
            step = {"keep": "robots_disallowed_count", "table": self.robots, "max": 0}
            parameters[key[first]] = [step, *(parameters.get(key[first]) or [])]


def load(
    name: str,
    settings: Sequence[str] = (),
    skip: Sequence[str] = (),
    keeps: Sequence[str] = (),
    notify: Notify = _silent,
    optouts: OptOuts = OptOuts(),
) -> Recipe:
    """The recipe of a name or path.

    ``settings``: ``STAGE.PARAMETER=VALUE``. ``skip``: stages that are left out. ``keeps``: ``RULE.BOUND=NUMBER``.
    """
    path = located(name)
    values, lines = _values(path, ())
    stages = values["stages"]
    optouts.apply(stages)
    of_dataset = [text for text in settings if text.startswith(f"{DATASET}.")]
    for text in of_dataset:
        key, value = parsed_setting(text)
        values[DATASET] = {**(values.get(DATASET) or {}), key.removeprefix(f"{DATASET}."): value}
    changes.set_parameters(stages, [text for text in settings if text not in of_dataset])
    for text in keeps:
        changes.keep(stages, text, notify)
    packing = _packing(values.get(DATASET) or {}, path, lines)
    numbers = {_skipped(stages, text) for text in skip}
    _pack_use(values, path, lines)
    made = tuple(_stage(s, path, lines, n) for n, s in enumerate(stages))
    left = tuple(stage for n, stage in enumerate(made) if n not in numbers)
    if not left:
        raise RecipeError(f"--skip {' --skip '.join(skip)}: no stage of {path} is left")
    return Recipe(path.stem, str(values.get("description") or ""), left, packing)


def _packing(given: Any, path: Path, lines: Lines) -> dict[str, Any]:
    """The parameters of the stage pack, once they are known to be some."""
    _expect_mapping(given, path, lines, (DATASET,))
    try:
        STAGES["pack"].of(given)
    except RecipeError as error:
        told = str(error).replace("stage pack", DATASET, 1)
        raise RecipeError(f"{path}{_at(lines, (DATASET, *error.place))}: {told}") from error
    return dict(given)


def _skipped(stages: changes.Stages, name: str) -> int:
    try:
        return changes.number_of(stages, name)
    except RecipeError as error:
        raise RecipeError(f"--skip {name}: {str(error).replace('the recipe has no stage', 'no such stage as', 1)}") from error


def stage_alone(
    name: str,
    recipe: str,
    settings: Sequence[str] = (),
    keeps: Sequence[str] = (),
    notify: Notify = _silent,
    optouts: OptOuts = OptOuts(),
) -> Stage:
    """One stage with a recipe's parameters (or its defaults, where the recipe has no such stage) and ``PARAMETER=VALUE``."""
    kind, _, _ = name.partition("#")
    if kind not in STAGES:
        raise RecipeError(f"no stage is called {kind!r}: {nearest(kind, list(STAGES))}; there are {', '.join(STAGES)}")
    path = located(recipe)
    values, lines = _values(path, ())
    there = kind in [next(iter(stage)) for stage in values["stages"]]
    config = changes.parameters_of(values["stages"], name) if there else {}
    config = STAGES[kind].alone(config)
    alone: changes.Stages = [{kind: config}]
    optouts.apply(alone)
    config = changes.parameters_of(alone, kind)
    given = dict(map(parsed_setting, settings))
    changes.leave_options(kind, config, given)
    values["stages"] = [{kind: {**config, **given}}]
    for text in keeps:
        changes.keep(values["stages"], text, notify)
    _pack_use(values, path, lines)
    return _stage(values["stages"][0], path, {}, 0)


def source(name: str) -> str:
    """The text of a recipe's file, comments included."""
    return text_of(located(name))


def located(name: str, folder: Path = Path()) -> Path:
    """The file of a recipe's name or path; a `RecipeError` suggests the nearest known name."""
    path = folder / Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if not path.exists():
            raise RecipeError(f"no recipe at {path}")
        return path
    path = FOLDER / f"{name}.yaml"
    if name not in names():
        raise RecipeError(f"no recipe is called {name!r}: {nearest(name, names())}; or give the path of a .yaml file")
    return path


def _values(path: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], Lines]:
    """A recipe's values, with those of the recipe that it extends, and the lines of its own keys.

    ``use`` is a list of files and modules as they travel.
    """
    values, lines = read(path)
    if not isinstance(values, dict):
        raise RecipeError(
            f"{path}: expected a mapping with `stages`, found {'nothing' if values is None else type(values).__name__}"
        )
    for key in values:
        if key not in KEYS:
            raise RecipeError(f"{path}{_at(lines, (str(key),))}: no key is called {key!r}: {nearest(str(key), KEYS)}")
    values["use"] = _packed(values, path, lines)
    if "extends" in values:
        return _extended(values, path, lines, above), lines
    for key in ("change", "insert", "without"):
        if key in values:
            raise RecipeError(f"{path}{_at(lines, (key,))}: `{key}` is for a recipe that has `extends`")
    if not isinstance(values.get("stages"), list) or not values["stages"]:
        raise RecipeError(f"{path}: `stages` must be a list of at least one stage")
    values["stages"] = [dict([_only(stage, path, lines, n)]) for n, stage in enumerate(values["stages"])]
    return values, lines


def _extended(values: dict[str, Any], path: Path, lines: Lines, above: tuple[Path, ...]) -> dict[str, Any]:
    if "stages" in values:
        raise RecipeError(f"{path}{_at(lines, ('stages',))}: a recipe that extends another has `change`, not `stages`")
    chain = (*above, path.resolve())
    base_path = located(str(values["extends"]), path.parent)
    if base_path.resolve() in chain:
        if base_path.resolve() == path.resolve():
            raise RecipeError(f"{path}{_at(lines, ('extends',))}: a recipe cannot extend itself")
        circle = " -> ".join(file.name for file in (*chain[chain.index(base_path.resolve()) :], base_path))
        raise RecipeError(f"{path}{_at(lines, ('extends',))}: recipes extend each other in a circle: {circle}")
    base, _ = _values(base_path, chain)
    stages = base["stages"]
    _change(values, stages, path, lines)
    removed = values.get("without") or []
    if not isinstance(removed, list):
        raise RecipeError(f"{path}{_at(lines, ('without',))}: without must be a list of stages and steps, found {removed!r}")
    for n, name in enumerate(removed):
        with _Placed(path, lines, ("without", n)):
            changes.without(stages, str(name))
    if not stages:
        raise RecipeError(f"{path}{_at(lines, ('without',))}: no stage is left")
    use = [*base["use"], *(item for item in values["use"] if item not in base["use"])]
    packing = {**(base.get(DATASET) or {}), **(values.get(DATASET) or {})}
    return {**base, "description": values.get("description", base.get("description")), "use": use, DATASET: packing}


def _change(values: Mapping[str, Any], stages: changes.Stages, path: Path, lines: Lines) -> None:
    """Apply the keys ``change`` and ``insert`` of a recipe to stages."""
    for key, act in (("change", changes.change), ("insert", changes.insert)):
        _expect_mapping(values.get(key) or {}, path, lines, (key,))
        for name, parameters in (values.get(key) or {}).items():
            _expect_mapping(parameters or {}, path, lines, (key, name))
            with_place = _Placed(path, lines, (key, str(name)))
            with with_place:
                held = changes.parameters_of(stages, str(name))
                if key == "change":
                    changes.leave_options(str(name), held, parameters or {})
                act(held, parameters or {})


class _Placed:
    """A context that adds a file and a line to a `RecipeError`."""

    def __init__(self, path: Path, lines: Lines, place: tuple[Any, ...]) -> None:
        self.path, self.lines, self.place = path, lines, place

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RecipeError):
            place = (*self.place, *error.place)
            told = str(error).replace("the recipe has", "the recipe it extends has", 1)
            raise RecipeError(f"{self.path}{_at(self.lines, place)}: {'.'.join(map(str, self.place[:1]))}: {told}") from error


def _expect_mapping(value: Any, path: Path, lines: Lines, place: tuple[Any, ...]) -> None:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{path}{_at(lines, place)}: {place[-1]} must be a mapping of names and values, found {value!r}")


def _packed(values: Mapping[str, Any], path: Path, lines: Lines) -> list[dict[str, str]]:
    """The user's files and modules as they travel with the recipe."""
    given = values.get("use") or []
    try:
        if not isinstance(given, list):
            raise RecipeError(f"`use` must be a list of files or modules, found {given!r}")
        used = [packed(str(name), path.parent) for name in given]
        load_custom(used)
    except RecipeError as error:
        raise RecipeError(f"{path}{_at(lines, ('use',))}: {error}") from error
    return used


def _pack_use(values: dict[str, Any], path: Path, lines: Lines) -> None:
    """Put the user's files into each stage that uses what they declare.

    A stage takes them if it has a parameter ``use``. A file goes only where one of its names is mentioned, so that an edited
    filter redoes no stage that does not run it.
    """
    used = values["use"]
    for stage in values["stages"] if used else ():
        name, config = next(iter(stage.items()))
        if "use" in {field.name for field in dataclasses.fields(STAGES[name])}:
            config = dict(config or {})
            wanted = [item for item in used if _mentions(config, declared_names(item))]
            own = list(config.get("use") or [])
            if wanted or own:
                config["use"] = [*own, *(item for item in wanted if item not in own)]
            stage[name] = config


def _mentions(value: Any, names_: frozenset[str] | None) -> bool:
    """Whether a value holds one of these names; None, for unknown names, means that it may."""
    if names_ is None:
        return True
    if isinstance(value, Mapping):
        return any(_mentions(v, names_) for v in value.values())
    if isinstance(value, list | tuple):
        return any(_mentions(v, names_) for v in value)
    return isinstance(value, str) and any(name in value for name in names_)


def _only(values: Any, path: Path, lines: Lines, n: int) -> tuple[str, dict[str, Any]]:
    """A stage's name and parameters from an item of ``stages``."""
    if isinstance(values, str):
        values = {values: {}}
    if not isinstance(values, Mapping) or len(values) != 1:
        raise RecipeError(
            f"{path}{_at(lines, ('stages', n))}: stage {n + 1} must be one name with its parameters, found {values!r}"
        )
    name, config = next(iter(values.items()))
    if name not in STAGES:
        raise RecipeError(f"{path}{_at(lines, ('stages', n))}: no stage is called {name!r}: {nearest(str(name), list(STAGES))}")
    _expect_mapping(config or {}, path, lines, ("stages", n, name))
    return str(name), dict(config or {})


def _stage(values: Mapping[str, Any], path: Path, lines: Lines, n: int) -> Stage:
    name, config = next(iter(values.items()))
    try:
        return STAGES[name].of(config or {})
    except RecipeError as error:
        places = [("stages", n, name, *error.place), ("change", name, *error.place), ("insert", name, *error.place)]
        shown = next((_at(lines, place) for place in places if _known(lines, place)), "")
        raise RecipeError(f"{path}{shown}: {error}") from error


def _known(lines: Lines, place: tuple[Any, ...]) -> bool:
    return place[:2] in lines or place[:3] in lines


def _at(lines: Lines, place: tuple[Any, ...]) -> str:
    """The line of the innermost known key of a place, in words; "" where none is known."""
    while place and place not in lines:
        place = place[:-1]
    return f", line {lines[place]}" if place in lines and place else ""
