"""Step types as data: what `uses` may name, its inputs and outputs. Read without importing what runs them."""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.steps import files, flow, requests, scripts
from schemas.steps.types import Needs, StepType

__all__ = ["PLANNED_TYPES", "STEP_TYPES", "Needs", "StepType", "every_step_type"]


def every_step_type() -> tuple[StepType, ...]:
    """All of them, each once; those that run first."""
    return tuple(sorted((*scripts.TYPES, *flow.TYPES, *files.TYPES, *requests.TYPES), key=lambda one: one.planned))


STEP_TYPES: Mapping[str, StepType] = MappingProxyType(
    {name: found for found in every_step_type() for name in found.names}
)
"""By every name that `uses` may have for them."""

PLANNED_TYPES = frozenset(name for name, found in STEP_TYPES.items() if found.planned)
"""Step types of the language that this version checks in full, and refuses to run: "not supported yet"."""
