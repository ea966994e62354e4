"""Small language models, trained on one machine to test what a dataset teaches."""
