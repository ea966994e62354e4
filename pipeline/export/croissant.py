"""Croissant metadata (JSON-LD, version 1.1) of a dataset: its files, their digests, and its columns.

Invariants: `mlcroissant` accepts it without an error and reads the documents by it. It says nothing that goldwash does not
know: licence, creator and date are for the publisher. Equal datasets give equal metadata.

Source: the Croissant specification, docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
PARQUET = "application/x-parquet"
SHARDS, DOCUMENTS = "shards", "documents"


def metadata(
    name: str, description: str, version: str, files: Mapping[str, Mapping[str, Any]], schema: pa.Schema, url: str | None = None
) -> dict[str, Any]:
    """The metadata of a dataset with these files (name: ``bytes``, ``sha256``) and this schema.

    ``url``: the address of the dataset's repository, where it has one; files are then part of it.
    """
    repository = [_repository(url)] if url else []
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": CONFORMS_TO,
        "version": version,
        **({"url": url} if url else {}),
        "distribution": [*repository, *_files(files, bool(url)), _set(files, bool(url))],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": DOCUMENTS,
                "name": DOCUMENTS,
                "description": "One record per document.",
                "field": [_field(field) for field in schema if _type(field.type)[0]],
            }
        ],
    }


REPOSITORY = "repo"


def _repository(url: str) -> dict[str, Any]:
    """The repository that holds the files, as the Hub's own metadata has it; a repository has no digest."""
    return {
        "@type": "cr:FileObject",
        "@id": REPOSITORY,
        "name": REPOSITORY,
        "contentUrl": url,
        "encodingFormat": "git+https",
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }


def _files(files: Mapping[str, Mapping[str, Any]], inside: bool) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": file,
            "name": file,
            "contentUrl": file,
            "contentSize": f"{facts['bytes']} B",
            "encodingFormat": PARQUET,
            "sha256": facts["sha256"],
            **({"containedIn": {"@id": REPOSITORY}} if inside else {}),
        }
        for file, facts in files.items()
    ]


def _set(files: Mapping[str, Any], inside: bool) -> dict[str, Any]:
    """All shards as one set, from which the columns are read."""
    folder = next((file.rpartition("/")[0] + "/" for file in files if "/" in file), "")
    return {
        "@type": "cr:FileSet",
        "@id": SHARDS,
        "name": SHARDS,
        "description": "All shards.",
        "encodingFormat": PARQUET,
        "includes": f"{folder}*.parquet",
        **({"containedIn": {"@id": REPOSITORY}} if inside else {}),
    }


def _field(field: pa.Field) -> dict[str, Any]:
    kind, repeated = _type(field.type)
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{DOCUMENTS}/{field.name}",
        "name": field.name,
        "dataType": kind,
        "source": {"fileSet": {"@id": SHARDS}, "extract": {"column": field.name}},
    }
    return {**found, "repeated": True} if repeated else found


def _type(kind: pa.DataType) -> tuple[str, bool]:
    """The type of schema.org, and whether the column holds lists; ``""`` for nested types, which Croissant cannot say."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner, nested = _type(kind.value_type)
        return ("" if nested else inner), True
    tests = {
        "sc:Boolean": pa.types.is_boolean,
        "sc:Integer": pa.types.is_integer,
        "sc:Float": pa.types.is_floating,
        "sc:Date": lambda t: pa.types.is_timestamp(t) or pa.types.is_date(t),
        "sc:Text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_dictionary(t),
    }
    return next((name for name, test in tests.items() if test(kind)), ""), False
