"""YAML, read strictly and within bounds: recipes, and the values of ``--set``.

Invariants:

* Scalars follow YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema): ``1e-3`` is a number; ``no``, ``on``,
  ``4:00:00`` and ``2024-01-01`` are strings; ``true`` and ``false`` are the only booleans.
* A duplicate key is an error; the last one does not win silently.
* A file is a regular file of at most `MOST_BYTES`. Aliases are expanded within `MOST_NODES`; an alias that contains itself is
  an error. So reading ends, whatever the file holds.
"""

import re
import stat
from pathlib import Path
from typing import Any

import yaml

from goldwash.credentials import all_kept_apart
from goldwash.pipeline.parameters import RecipeError
from goldwash.text_output import printable

MOST_BYTES = 4_000_000
MOST_NODES = 200_000
"""Most nodes of a document, with aliases expanded."""
MOST_LEVELS = 50
MOST_DIGITS = 300
"""Most characters of a whole number: a longer one is no double."""

Lines = dict[tuple[Any, ...], int]
"""The line of each key and item, by the keys and numbers that lead to it."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- typed so in PyYAML


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which also quotes strings that YAML 1.2 would read as something else, such as ``1e-3``."""


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), ["" if c == "\0" else c for c in _first]
        )


def _int(loader: Any, node: Any) -> int:
    text = node.value
    if len(text) > MOST_DIGITS:
        raise yaml.constructor.ConstructorError(None, None, f"a number of {len(text):,} digits", node.start_mark)
    return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)


def _float(loader: Any, node: Any) -> float:
    return float(re.sub(r"(?i)^([-+]?)\.(inf|nan)$", r"\1\2", node.value))


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    twice = sorted({str(key) for key in keys if keys.count(key) > 1 and key != "<<"})
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} is given twice", node.start_mark)
    loader.flatten_mapping(node)
    made: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return made


_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parsed(text: str) -> tuple[Any, Lines]:
    """A YAML document's value and its lines; raises `RecipeError`, without the file's name, for invalid YAML.

    >>> parsed("{a: 1e-3, b: no, c: [0o17, .5, 4:00:00], d: }")[0]
    {'a': 0.001, 'b': 'no', 'c': [15, 0.5, '4:00:00'], 'd': None}
    """
    try:
        return _loaded(_Loader(text.removeprefix("\ufeff")))
    except RecursionError as error:
        raise RecipeError(f"is nested more than {MOST_LEVELS} levels deep") from error
    except (yaml.YAMLError, ValueError) as error:
        told = " ".join(str(error).replace(' in "<unicode string>"', "").split())
        raise RecipeError(f"is not YAML: {printable(told)}") from error


def _loaded(loader: _Loader) -> tuple[Any, Lines]:
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        _bounded(node, {}, ())
        return _plain(loader.construct_document(node)), _lines(node)
    finally:
        loader.dispose()


def read(path: Path) -> tuple[Any, Lines]:
    """A YAML file's value and its lines; raises `RecipeError` with the file's name where it cannot be read."""
    return _named(path, text_of(path))


def _named(path: Path, text: str) -> tuple[Any, Lines]:
    try:
        return parsed(text)
    except RecipeError as error:
        raise RecipeError(f"{path} {error}") from error


def text_of(path: Path) -> str:
    """The text of a regular file of at most `MOST_BYTES`; raises `RecipeError` for anything else."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise RecipeError(f"{path} is not a regular file: give the path of a .yaml file")
        if facts.st_size > MOST_BYTES:
            raise RecipeError(f"{path} has {facts.st_size:,} bytes; a recipe has at most {MOST_BYTES:,}")
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe at {path}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not YAML: it is not UTF-8 text ({error})") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error


def written(value: Any, **style: Any) -> str:
    """A value as YAML that `parsed`, and PyYAML, read as the same value.

    >>> print(written({"a": "1e-3", "b": 1e-3, "c": "no"}), end="")
    a: '1e-3'
    b: 0.001
    c: 'no'
    """
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **{"width": 120, **style}))


def parsed_setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """``key=value``, the value read as YAML.

    >>> parsed_setting("lr=1e-1")
    ('lr', 0.1)
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"{option} {text}: expected key=value")
    try:
        return key.strip(), parsed(value)[0]
    except RecipeError as error:
        raise RecipeError(f"{option} {text}: the value {error}") from error


def _bounded(node: Any, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """The nodes below a node, aliases expanded; raises where they are too many, nested too deep or endless."""
    if id(node) in above:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: an alias contains itself")
    if id(node) in sizes:
        return sizes[id(node)]
    if len(above) > MOST_LEVELS:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: nested more than {MOST_LEVELS} levels deep")
    inside = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    size = 1
    if not isinstance(node, yaml.ScalarNode):
        size += sum(_bounded(part, sizes, (*above, id(node))) for part in inside)
    if size > MOST_NODES:
        raise yaml.YAMLError(f"line {node.start_mark.line + 1}: its aliases stand for more than {MOST_NODES:,} values")
    sizes[id(node)] = size
    return size


def _plain(value: Any) -> Any:
    """The same value without shared parts, so that a change of one place changes no other; without the passwords in URLs.

    Resolved recipes are stored beside the output and published with the dataset.
    """
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return all_kept_apart(value) if isinstance(value, str) and "://" in value else value


def _lines(node: Any, at: tuple[Any, ...] = ()) -> Lines:
    found: Lines = {at: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                found |= _lines(value, (*at, key.value))
                found[(*at, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for n, value in enumerate(node.value):
            found |= _lines(value, (*at, n))
    return found
