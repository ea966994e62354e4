"""How much knowledge a small model stores from data with and without junk (Physics of Language Models 3.3, 2404.05405)."""
