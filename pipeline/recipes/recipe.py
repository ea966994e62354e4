"""A recipe file to stages.

Law: a recipe is read strictly. An unknown key, a misspelt signal, ``min`` above ``max`` is a `RecipeError` with the file, the
line and the nearest right name. What a recipe resolves to is plain values that make the same stages again.

::

    description: one line
    use: [my_filters.py]          # optional: files or modules that declare signals and edits
    stages:
      - extract: {charset: detect}
      - heuristics:
          steps:
            - {keep: word_count, min: 50}

or, another recipe with some parameters changed::

    extends: baseline
    change:
      quality: {fraction: 0.2}
    insert:                       # items that come before those of a list
      heuristics:
        steps: [{keep: url_host_count, hosts: [example.com], max: 0}]
    without: [decontaminate]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from goldwash.pipeline.recipes.plugins import load_custom, packed
from goldwash.pipeline.stage import RecipeError, Stage, nearest
from goldwash.pipeline.stages import STAGES

FOLDER = Path(__file__).parent
KEYS = ("description", "extends", "use", "stages", "change", "insert", "without")

Lines = dict[tuple[Any, ...], int]


@dataclass(frozen=True)
class Recipe:
    """Stages in the order of the flow."""

    name: str
    description: str
    stages: tuple[Stage, ...]

    def resolved(self) -> str:
        """The recipe as YAML with every parameter: what is stored beside the output."""
        stages = [{stage.name: stage.config()} for stage in self.stages]
        return yaml.safe_dump(
            {"description": self.description, "stages": stages}, sort_keys=False, allow_unicode=True, width=120
        )

    def stage(self, name: str) -> Stage:
        """The stage of this name; a `RecipeError` where the recipe has none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise RecipeError(f"recipe {self.name} has no stage {name!r}: {nearest(name, [s.name for s in self.stages])}")


def unresolved(name: str, text: str) -> Recipe:
    """The recipe that `Recipe.resolved` wrote."""
    values = yaml.safe_load(text)
    stages = (next(iter(stage.items())) for stage in values["stages"])
    return Recipe(name, values["description"], tuple(STAGES[stage].of(config) for stage, config in stages))


def names() -> list[str]:
    """The recipes that come with goldwash."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, settings: Sequence[str] = (), skip: Sequence[str] = ()) -> Recipe:
    """The recipe of a name or path, with ``stage.key=value`` settings, less the stages that are skipped."""
    path = _located(name)
    values, lines = _values(path)
    stages = values["stages"]
    for text in settings:
        _set(stages, text)
    for stage in skip:
        if stage not in [_only(s, path, lines, n)[0] for n, s in enumerate(stages)]:
            raise RecipeError(f"--skip {stage}: the recipe has no such stage")
    made = [_stage(s, path, lines, n) for n, s in enumerate(stages)]
    left = tuple(s for s in made if s.name not in set(skip))
    if not left:
        raise RecipeError(f"--skip {' --skip '.join(skip)}: no stage of {path} is left")
    return Recipe(path.stem, str(values.get("description", "")), left)


def parsed_setting(text: str) -> tuple[str, Any]:
    """``key=value`` with the value read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {text}: expected key=value")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {text}: the value is not YAML ({error})") from error


def _located(name: str, folder: Path = Path()) -> Path:
    path = folder / name
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise RecipeError(f"no recipe at {path}")
        return path
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise RecipeError(f"no recipe is called {name!r}: {nearest(name, names())}; or give the path of a .yaml file")
    return path


def _values(path: Path) -> tuple[dict[str, Any], Lines]:
    """A recipe's values, with what it extends put in, and the lines of its own keys."""
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: expected a mapping with `stages`, found {type(values).__name__}")
    lines = _lines(node)
    for key in values:
        if key not in KEYS:
            raise RecipeError(f"{path}, line {lines[(key,)]}: no key is called {key!r}: {nearest(str(key), KEYS)}")
    if "extends" in values:
        values, lines = _extended(values, path, lines)
    if not isinstance(values.get("stages"), list) or not values["stages"]:
        raise RecipeError(f"{path}: `stages` must be a list of at least one stage")
    values["stages"] = [dict([_only(stage, path, lines, n)]) for n, stage in enumerate(values["stages"])]
    _pack_use(values, path, lines)
    return values, lines


def _extended(values: dict[str, Any], path: Path, lines: Lines) -> tuple[dict[str, Any], Lines]:
    if "stages" in values:
        raise RecipeError(f"{path}, line {lines[('stages',)]}: a recipe that extends another has `change`, not `stages`")
    located = _located(str(values["extends"]), path.parent)
    if located == path:
        raise RecipeError(f"{path}, line {lines[('extends',)]}: a recipe cannot extend itself")
    base, _ = _values(located)
    changes = values.get("change") or {}
    _expect_mapping(changes, path, lines, ("change",))
    for name, change in changes.items():
        _expect_mapping(change or {}, path, lines, ("change", name))
        _named(base, name, path, lines, "change").update(change or {})
    for name, lists in (values.get("insert") or {}).items():
        _insert(_named(base, name, path, lines, "insert"), name, lists or {}, path)
    for name in values.get("without") or []:
        base["stages"].remove(next(s for s in base["stages"] if _named(base, name, path, lines, "without") is s.get(name)))
    return {**base, **{k: v for k, v in values.items() if k in ("description", "use")}}, {}


def _named(base: dict[str, Any], name: str, path: Path, lines: Lines, key: str) -> dict[str, Any]:
    for stage in base["stages"]:
        if name in stage:
            return stage[name]  # type: ignore[no-any-return]
    known = [next(iter(s)) for s in base["stages"]]
    raise RecipeError(f"{path}{_at(lines, (key, name))}: the recipe it extends has no stage {name!r}: {nearest(name, known)}")


def _insert(stage: dict[str, Any], name: str, lists: dict[str, Any], path: Path) -> None:
    """Put items before those of a stage's lists."""
    for key, items in lists.items():
        if not isinstance(items, list) or not isinstance(stage.get(key), list):
            raise RecipeError(f"{path}: insert {name}.{key}: expected a list to put before the one that is there")
        stage[key] = [*items, *stage[key]]


def _expect_mapping(value: Any, path: Path, lines: Lines, place: tuple[Any, ...]) -> None:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{path}{_at(lines, place)}: {place[-1]} must be a mapping of names and values, found {value!r}")


def _pack_use(values: dict[str, Any], path: Path, lines: Lines) -> None:
    """Put the user's files into the stages that run them, so that the recipe can travel."""
    if not values.get("use"):
        return
    names_ = values.pop("use")
    try:
        if not isinstance(names_, list):
            raise RecipeError(f"`use` must be a list of files or modules, found {names_!r}")
        used = [packed(str(name), path.parent) for name in names_]
        load_custom(used)
    except RecipeError as error:
        raise RecipeError(f"{path}{_at(lines, ('use',))}: {error}") from error
    for stage in values["stages"]:
        for name in ("heuristics", "score"):
            if name in stage:
                stage[name]["use"] = used


def _lines(node: Any, at: tuple[Any, ...] = ()) -> Lines:
    found: Lines = {at: node.start_mark.line + 1} if node is not None else {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found |= _lines(value, (*at, key.value))
            found[(*at, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for n, value in enumerate(node.value):
            found |= _lines(value, (*at, n))
    return found


def _only(values: Any, path: Path, lines: Lines, n: int) -> tuple[str, dict[str, Any]]:
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


def _stage(values: Any, path: Path, lines: Lines, n: int) -> Stage:
    name, config = _only(values, path, lines, n)
    try:
        return STAGES[name].of(config)
    except RecipeError as error:
        place = ("stages", n, name, *error.place)
        raise RecipeError(f"{path}{_at(lines, place)}: {error}") from error


def _at(lines: Lines, place: tuple[Any, ...]) -> str:
    while place and place not in lines:
        place = place[:-1]
    return f", line {lines[place]}" if place in lines and place else ""


def _set(stages: list[Any], text: str) -> None:
    key, value = parsed_setting(text)
    stage, dot, parameter = key.partition(".")
    matches = [s for s in stages if isinstance(s, dict) and stage in s]
    if not dot or not matches:
        known = [next(iter(s)) for s in stages if isinstance(s, dict)]
        raise RecipeError(f"--set {text}: expected STAGE.PARAMETER=VALUE, with one of the stages {', '.join(known)}")
    matches[0][stage] = {**(matches[0][stage] or {}), parameter: value}
