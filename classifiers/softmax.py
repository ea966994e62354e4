"""The likeliest label of a vector, by fastText's hierarchical and plain softmax: kernels.

Invariants: the label and its probability are fastText's own (``loss.cc``, 0.9.2), also where it adds 1e-5 to a probability.
"""

from typing import Any

import numpy as np

from goldwash.classifiers.model_file import Floats
from goldwash.filters.cut import Rows
from goldwash.filters.jit import kernel


def huffman_tree(counts: Rows) -> Rows:
    """The children of each node, leaves (labels) first, in the tree that fastText builds: ``int64[2L - 1, 2]``."""
    labels = len(counts)
    weights = np.full(2 * labels - 1, 10**15, np.int64)
    weights[:labels] = counts
    children = np.full((2 * labels - 1, 2), -1, np.int64)
    leaf, node = labels - 1, labels
    for inner in range(labels, 2 * labels - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[inner, side], leaf = leaf, leaf - 1
            else:
                children[inner, side], node = node, node + 1
        weights[inner] = weights[children[inner]].sum()
    return children


@kernel
def huffman_best(vectors: Floats, output: Floats, children: Rows) -> Any:
    """The leaf of the highest probability, and that probability: ``int64[N]``, ``float64[N]``; -1 and 0 for a vector of nan.

    Branches that can no longer win are skipped. The right child is the one whose probability is fastText's sigmoid.
    """
    nodes = len(children)
    labels = (nodes + 1) // 2
    best, scores = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors), np.float64)
    stack, stack_scores = np.empty(nodes, np.int64), np.empty(nodes, np.float64)
    for row in range(len(vectors)):
        if np.isnan(vectors[row, 0]):
            continue
        highest = -np.inf
        stack[0], stack_scores[0], top = nodes - 1, 0.0, 1
        while top > 0:
            top -= 1
            node, score = stack[top], stack_scores[top]
            if score < highest:
                continue
            if children[node, 0] < 0:
                if score > highest:
                    highest, best[row] = score, node
                continue
            f = np.float32(0)
            for d in range(vectors.shape[1]):
                f += vectors[row, d] * output[node - labels, d]
            right = 1.0 / (1.0 + np.exp(-f))
            left_score, right_score = score + np.log(1.0 - right + 1e-5), score + np.log(right + 1e-5)
            first, second = (0, 1) if left_score < right_score else (1, 0)  # the likelier one is visited first
            stack[top], stack_scores[top] = children[node, first], min(left_score, right_score)
            stack[top + 1], stack_scores[top + 1] = children[node, second], max(left_score, right_score)
            top += 2
        scores[row] = np.exp(highest)
    return best, scores


LANES = 16
"""Partial sums of a dot product: they are one or two vectors, and their order does not depend on the processor."""


@kernel
def softmax_best(vectors: Floats, output: Floats) -> Any:
    """The label of the highest probability, and that probability: ``int64[N]``, ``float64[N]``; -1 and 0 for a vector of nan.

    fastText adds 1e-5 to each probability.
    """
    labels, dim = output.shape
    best, scores = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors), np.float64)
    logits, sums = np.empty(labels, np.float32), np.empty(LANES, np.float32)
    whole = dim - dim % LANES
    for row in range(len(vectors)):
        if np.isnan(vectors[row, 0]):
            continue
        highest = np.float32(-np.inf)
        for label in range(labels):
            sums[:] = 0
            for d in range(np.uint64(0), np.uint64(whole), np.uint64(LANES)):
                for k in range(np.uint64(LANES)):
                    sums[k] += vectors[row, d + k] * output[label, d + k]
            f = np.float32(0)
            for k in range(LANES):
                f += sums[k]
            for d in range(whole, dim):
                f += vectors[row, d] * output[label, d]
            logits[label] = f
            if f > highest:
                highest, best[row] = f, label
        total = 0.0
        for label in range(labels):
            total += np.exp(np.float64(logits[label] - highest))
        scores[row] = 1.0 / total + 1e-5
    return best, scores
