"""Parameters and exact training FLOPs of a transformer of a given shape.

Invariants: pure; matrix products only, a multiply-add is two FLOPs, the backward pass costs twice the forward pass; a lookup
of an embedding costs nothing; attention is counted over the full context, as if it were not causal.
Source: Chowdhery et al. 2022 (PaLM), arXiv 2204.02311, appendix B. Equal to Narayanan et al. 2021, arXiv 2104.04473, equation 3
without the recomputation of activations.
"""

from dataclasses import dataclass, fields

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.quantities import quantity


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer. ``hidden`` is the width of the feed-forward layer, 4 x width by default."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    context: int = 2048
    hidden: int = 0
    key: int = 0
    gated: int = 0

    @property
    def key_width(self) -> int:
        """Width of all heads together."""
        return (self.key or self.width // self.heads) * self.heads

    @property
    def feed_forward(self) -> int:
        """Parameters of one layer's feed-forward part: two matrices, three where it is gated."""
        return (3 if self.gated else 2) * self.width * (self.hidden or 4 * self.width)

    @property
    def without_embeddings(self) -> int:
        """Parameters of attention and feed-forward layers; norms and biases are left out."""
        return self.layers * (4 * self.width * self.key_width + self.feed_forward)

    def parameters(self, tied: bool = True) -> int:
        """Parameters with embeddings; twice the embeddings where input and output are not tied."""
        return self.without_embeddings + (1 if tied else 2) * self.vocabulary * self.width

    @property
    def flops_per_token(self) -> float:
        """Training FLOPs per token at full context, forward and backward: 6 (N + V d) + 12 L k T, N without embeddings."""
        products = self.without_embeddings + self.vocabulary * self.width
        return 6.0 * products + 12.0 * self.layers * self.key_width * self.context


def shape(text: str) -> Shape:
    """``layers=24,width=2048,heads=16,vocabulary=50432[,context=2048,hidden=8192,key=128,gated=1]``. Raises `EvidenceError`."""
    names = {f.name for f in fields(Shape)}
    values: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or name not in names:
            raise EvidenceError(f"--shape: expected NAME=NUMBER with one of {', '.join(sorted(names))}; found {part!r}")
        values[name] = 0 if value == "0" else round(quantity(value, f"--shape {name}"))
    missing = [name for name in ("layers", "width", "heads", "vocabulary") if not values.get(name)]
    if missing:
        raise EvidenceError(f"--shape: {', '.join(missing)} missing; as layers=24,width=2048,heads=16,vocabulary=50432")
    if not values.get("key") and values["width"] % values["heads"]:
        raise EvidenceError(
            f"--shape: expected heads that divide the width, found {values['heads']} and {values['width']}; change one, "
            "or give the width of a head as key=NUMBER"
        )
    return Shape(**values)
