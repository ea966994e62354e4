"""A little embedding in model2vec's form: a vector per word, so that tests know each text's vector."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit


def write_embedding(folder: Path, words: Mapping[str, Sequence[float]], **more: np.ndarray) -> Path:
    """Write the embedding of these words' vectors; ``more``: further tensors, such as ``weights`` and ``mapping``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ["[UNK]", *words]
    width = len(next(iter(words.values())))
    table = np.array([[0.0] * width, *words.values()], np.float32)
    tokenizer = Tokenizer(WordLevel({name: n for n, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embeddings": table, **more}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True, "hidden_dim": width}))
    return folder
