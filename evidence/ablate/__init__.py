"""Change one thing in a recipe, make the datasets, compare what they teach."""
