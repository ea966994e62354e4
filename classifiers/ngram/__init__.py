"""An n-gram language model over byte-pair tokens: its tokenizer, its counts in one hash table, its file."""
