"""What tests build on: generated inputs, archives, local clusters, a local S3 server, plain-Python twins."""
