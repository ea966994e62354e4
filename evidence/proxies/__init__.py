"""Small language models that are trained on one machine, to see what a dataset teaches."""
