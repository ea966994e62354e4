"""Tags before documents, such as ``URL: {host}``, made from their columns.

Invariants: a template has text and fields in braces: ``{host}``, ``{domain}`` (the registered domain) or any column. A document
whose value is missing, null or empty gets no tag. ``{{`` and ``}}`` are braces.

Source: MeCo, "Metadata Conditioning Accelerates Language Model Pre-training" (arXiv 2501.01956): ``URL: {host}`` and a blank
line before each document, left out of the loss, and a last tenth of the training without it.
"""

from collections.abc import Sequence
from string import Formatter

import pyarrow as pa

from goldwash.filters.domains import registered_domain
from goldwash.filters.texts import Texts
from goldwash.filters.url import url_hosts
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.storage.failures import DataError

MADE = ("host", "domain")
"""Fields that the URL gives, where the documents have no column of that name."""


def check(template: str) -> None:
    """Refuse a template that cannot be read; a `RecipeError` says why."""
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(f"tag is {template!r} ({error}): expected text with fields as {{host}}", ("tag",)) from error
    for _, name, spec, conversion in fields:
        if name is not None and (not name or spec or conversion):
            raise RecipeError(f"tag is {template!r}: expected fields as {{host}} or {{COLUMN}}, and nothing else", ("tag",))


def columns_in(template: str, schema: pa.Schema, place: str) -> tuple[str, ...]:
    """The fields of a template; a `DataError` for one that the documents do not have."""
    names = tuple(dict.fromkeys(name for _, name, _, _ in Formatter().parse(template) if name))
    for name in names:
        if name not in schema.names and name not in MADE:
            known = [*MADE, *schema.names]
            raise DataError(f"{place} has no column {name!r}, which the tag names: {nearest(name, known)}")
    return names


def texts(template: str, table: pa.Table, names: Sequence[str], place: str) -> list[str]:
    """The tag of each document of a table; "" where a value is missing."""
    columns = {name: _values(table, name, place) for name in names}
    rows = zip(*columns.values(), strict=True) if columns else iter([()] * table.num_rows)
    return [template.format_map(dict(zip(columns, row, strict=True))) if all(row) else "" for row in rows]


def _values(table: pa.Table, name: str, place: str) -> list[str]:
    if name in table.column_names:
        try:
            return ["" if value is None else str(value) for value in table[name].cast(pa.string()).to_pylist()]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"{place}, column {name}, which the tag names: expected strings or numbers, found {table[name].type}"
            ) from error
    hosts = list(url_hosts(Texts.of(table["url"])))
    return hosts if name == "host" else list(map(registered_domain, hosts))
