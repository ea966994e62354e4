"""exact: keep one of the documents that have the same text, or the same URL.

Invariants: two texts or URLs are the same if their normal forms are equal (`pipeline.dedup.normal_form`). Keys are 128 bits of
BLAKE2b, and all 128 are compared. An empty text or URL is a copy of nothing. `pipeline.dedup.passes` has the passes.
"""

import unicodedata
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.normal_form import KEY_BYTES, text_keys, url_key
from goldwash.pipeline.dedup.passes import Copies, check_keep, passes_memory
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import Cost, Load


@dataclass(frozen=True)
class Exact(Copies):
    """Keep one of the documents that have the same text, or the same URL."""

    name: ClassVar[str] = "exact"
    rule: ClassVar[str] = "exact_copy"
    by: tuple[str, ...] = ("text",)
    """What to compare: ``text``, ``url`` or both."""

    def __post_init__(self) -> None:
        check_keep(self)
        if not self.by or set(self.by) - {"text", "url"}:
            raise RecipeError(f"stage exact: by is {list(self.by)}; expected a list of text, url or both", ("by",))

    @property
    def key_columns(self) -> tuple[tuple[str, int], ...]:
        """``text_key`` and ``url_key``, as far as ``by`` names them."""
        return tuple((name, KEY_BYTES) for name in ("text_key", "url_key") if name.removesuffix("_key") in self.by)

    def versions(self) -> dict[str, str]:
        """The versions of Unicode's data and of the URL parser."""
        return {"unicode": unicodedata.unidata_version, "ada-url": version("ada-url")}

    def cost(self, load: Load) -> Cost:
        """Measured (docs/clusters.md)."""
        return Cost(81.0, 0.9, 60.0, memory=passes_memory(load), writes_texts=self.copy_text)

    def keys(self, table: pa.Table, texts: Texts) -> dict[str, pa.Array]:
        """Digests of the normal forms: ``fixed_size_binary(16)[N]`` each, null where that is empty."""
        made: dict[str, list[bytes | None]] = {}
        if "text" in self.by:
            made["text_key"] = text_keys(texts)
        if "url" in self.by:
            made["url_key"] = list(map(url_key, table["url"].to_pylist()))
        return {name: pa.array(values, pa.binary(KEY_BYTES)) for name, values in made.items()}

    def warm_up(self) -> None:
        """Compile the kernels."""
        text_keys(Texts.of(["A  text in É"]))
        super().warm_up()
