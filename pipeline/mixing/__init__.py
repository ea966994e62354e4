"""Mixing: which documents of which sources a training set takes, how often, and in what order.

Invariants: a mixture is planned from columns (weights, buckets, counts) before any text is copied. Each choice is a function of
the seed, the source's name and the document's number in its source, so that it does not depend on workers or engines.

``quantities``  numbers with suffixes, as ``8.2B``
``curve``       OLMo 3's upsampling curve and its solver
``olmix``       Olmix's ``ratios.csv`` and ``metrics.csv``
``sources``     the sources of a mixture as a recipe gives them
``buckets``     the bucket and the weight of each document, from columns
``plan``        how much is taken of each bucket
``draws``       which documents are taken how often, and their places in the output
``schemas``     the columns of sources that differ
``passes``      the passes that shuffle documents with bounded memory
"""
