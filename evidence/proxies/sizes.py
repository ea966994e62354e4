"""Sizes of small transformers by name, without JAX.

Invariants: a name is the parameters with a vocabulary of 4,096, embeddings included, to 10%. Heads have 16 to 64 features.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Width, layers and heads of a transformer."""

    width: int
    layers: int
    heads: int

    def parameters(self, vocabulary: int) -> int:
        """Its parameters, embeddings included (tied): as `goldwash.evidence.proxies.gpt.parameters` counts them.

        >>> round(SIZES["15M"].parameters(4098) / 1e6)
        16
        """
        return vocabulary * self.width + self.width + self.layers * (12 * self.width**2 + 2 * self.width)


SIZES = {
    "0.5M": Size(64, 4, 4),
    "1M": Size(96, 5, 4),
    "2M": Size(128, 8, 4),
    "4M": Size(192, 7, 6),
    "8M": Size(256, 9, 8),
    "15M": Size(384, 8, 8),
    "30M": Size(512, 9, 8),
}
