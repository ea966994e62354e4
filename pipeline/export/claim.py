"""The folder of an export: new, empty, or of the same export, and apart from its shards.

Invariants: ``_export.json`` says what a folder holds, before its first file is written. Two exports are never mixed, and
nothing of the user's is overwritten.
"""

from collections.abc import Mapping, Sequence

from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.ownership import check_apart, check_ours

MARK = "_export.json"


def claim_export(names: Sequence[str], out: str, settings: Mapping[str, str]) -> None:
    """Mark a folder as that of an export of these shards, with these settings.

    Raises `DataError` where the folder holds something else, overlaps the shards, or a name means no shard.
    """
    shards = find_shards(names)
    check_apart(out, names, [shard.path for shard in shards])
    check_ours(out, (MARK,))
    made = {
        **settings,
        "shards": [[shard.label, shard.bytes, shard.sha256 or shard.stamp, *(shard.groups or ())] for shard in shards],
    }
    held = read_json(join(out, MARK))
    if held not in (None, made):
        what = "of other shards" if all(held.get(key) == value for key, value in settings.items()) else "in another format"
        raise DataError(f"{out} holds an export {what}: choose another --out, or delete that folder")
    write_json(join(out, MARK), made)
