"""The stages, one file each: what can be done to a crawl.

Law: a stage is in `STAGES` under its name, and that is all that the recipe, the command line and the workers know of it.
"""

from pipeline.stage import Stage
from pipeline.stages.bloom import Bloom
from pipeline.stages.decontaminate import Decontaminate
from pipeline.stages.exact import Exact
from pipeline.stages.extract import Extract
from pipeline.stages.heuristics import Heuristics
from pipeline.stages.minhash import MinHash
from pipeline.stages.quality import Quality
from pipeline.stages.score import Score

STAGES: dict[str, type[Stage]] = {
    stage.name: stage for stage in (Extract, Heuristics, Exact, MinHash, Bloom, Quality, Decontaminate, Score)
}
"""Every stage by its name, in the order of the flow."""
