"""The engine that a command's options name, with its progress on standard error."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldwash.pipeline.cli.terminal import error_console

if TYPE_CHECKING:
    from goldwash.pipeline.engines.progress import Shown
    from goldwash.pipeline.engines.settings import Settings


def engine_settings(on: str, file: str | None, given: Sequence[str], ray_address: str | None, workers: int) -> "Settings":
    """The settings of an engine, from its file and the options; options win."""
    from goldwash.pipeline.engines.settings import settings_class, settings_of
    from goldwash.pipeline.recipes.reading import parsed_setting
    from goldwash.pipeline.stages import STAGES

    values = dict(parsed_setting(text, "--with") for text in given)
    if ray_address is not None:
        values["address"] = ray_address
    if workers:
        values[settings_class(on).workers_key] = workers
    return settings_of(on, file, values, list(STAGES))


def progress(stages: Sequence[tuple[str, float]] = ()) -> "Shown":
    """Progress on standard error; ``stages``: a run's stages and the CPU seconds that each is expected to take."""
    from goldwash.pipeline.engines.progress import shown

    return shown(error_console(), stages)
