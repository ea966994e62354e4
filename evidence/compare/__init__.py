"""Which dataset teaches more? Models of equal token budgets, measured in bits per byte of target texts."""
