"""goldwash's stages as steps of a datatrove pipeline (docs/python.md).

`Clean`, `Score`, `Decontaminate` and `MinHashSignatures`; their code is in `goldwash.pipeline.interface.datatrove_steps`.
"""

from goldwash.pipeline.interface.datatrove_steps import Clean, Decontaminate, MinHashSignatures, Score

__all__ = ["Clean", "Decontaminate", "MinHashSignatures", "Score"]
