"""Where data lives: locations, atomic writes, retries, Parquet, tasks and their markers, inputs."""
