"""From documents to training tokens: tokenizers, packing, the shuffle, and where each token comes from.

Invariants: nothing here knows a training stack (`pipeline.export` does) or an engine (`pipeline.stages.tokenize` does).

* `tokenizers`: loads a tokenizer, encodes texts, finds the token that ends a document.
* `training`: trains a byte-level BPE.
* `token_shards`: Parquet shards of token ids, one row per document, which a later mixture reads again.
* `packing`: cuts a stream of documents into sequences.
* `permutation`: the position of each sequence in the order of training.
* `sections`: the files between the two passes of the shuffle.
* `shards`: a packed shard, as a format's writer receives it.
* `provenance`: from a token, or a step of training, to documents.
"""
