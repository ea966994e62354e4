"""How many bits of knowledge a model holds about people: the lower bound of arXiv 2404.05405, theorem 3.2.

With p1 the mean nats of a name and p2 the mean nats of a person's facts given the name, over the N people,
bits = N log2(N0 / e^p1) + N log2(S0 / e^p2), N0 being the number of possible names and S0 that of possible facts.
A model that knows that names are uniform and nothing else has p1 = ln N0 and p2 = ln S0, hence 0 bits; one that knows all
people has p1 = ln N and p2 = 0.
Invariants: measured on biographies with fresh orders and phrasings; never below 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from goldwash.evidence.probe.people import FACT_BITS, NAME_BITS, People, biographies
from goldwash.evidence.proxies import gpt

ROWS = 250


@dataclass(frozen=True)
class Knowledge:
    """Bits about names and facts over all people, per parameter too.

    ``accuracy`` is of single values of facts, ``guess`` that of always saying each fact's commonest value among these people.
    """

    name_bits: float
    fact_bits: float
    parameters: int
    accuracy: float
    guess: float

    @property
    def per_parameter(self) -> float:
        """Bits per parameter."""
        return (self.name_bits + self.fact_bits) / self.parameters


def most_bits(count: int) -> float:
    """The bits that a model holds if it knows all of ``count`` people."""
    return count * (NAME_BITS - math.log2(count) + FACT_BITS)


def bits(count: int, name_nats: float, fact_nats: float) -> tuple[float, float]:
    """Bits about names and facts from the mean nats per person.

    >>> bits(10, NAME_BITS * math.log(2), FACT_BITS * math.log(2))
    (0.0, 0.0)
    """
    names = count * max(NAME_BITS - name_nats / math.log(2), 0.0)
    return names, count * max(FACT_BITS - fact_nats / math.log(2), 0.0)


def measure(params: gpt.Params, shape: gpt.Shape, them: People, tag: bool, seed: int) -> Knowledge:
    """Measure a model's knowledge of these people."""
    generator = np.random.default_rng([seed, 1])
    name_nats = fact_nats = right = values = 0.0
    for start in range(0, len(them), ROWS):
        ids, kinds = biographies(them[np.arange(start, min(start + ROWS, len(them)))], generator, tag)
        # Rows of padding: one shape is compiled once, a second of CPU, and not for every number of people.
        padding = ((0, ROWS - len(ids)), (0, 0))
        ids, kinds = np.pad(ids, padding), np.pad(kinds, padding)
        losses, kinds = gpt.token_losses(params, ids, shape), kinds[:, 1:]
        name_nats += losses[kinds == 1].sum()
        fact_nats += losses[kinds == 2].sum()
        right += gpt.right(params, ids, shape)[kinds == 2].sum()
        values += (kinds == 2).sum()
    names, facts = bits(len(them), name_nats / len(them), fact_nats / len(them))
    return Knowledge(float(names), float(facts), gpt.parameters(params), float(right / values), guess(them))


def guess(them: People) -> float:
    """The accuracy of saying each fact's commonest value for everybody: what knowing no person can reach.

    >>> guess(People(np.zeros((2, 3), np.int32), np.array([[5, 7], [5, 8]], np.int32)))
    0.75
    """
    return float(np.mean([np.unique(column, return_counts=True)[1].max() / len(them) for column in them.values.T]))
