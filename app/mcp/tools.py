"""The tools: one for each modality that has a model, and those that concern jobs."""

from collections.abc import Iterator
from typing import Any

from mcp_types import Tool, ToolAnnotations

from app.catalog.catalog import Catalog
from app.core.settings import Settings
from app.mcp.tool_schemas import request_schema
from models.modalities import MODALITIES, Modality

LONGEST_WAIT = 300
"""Seconds that one call waits for its job at most."""
USUAL_WAIT = 50
"""Seconds that a call waits; clients give up after a minute by default."""
LONGEST_KEY = 255
"""Characters of an idempotency key."""

WAIT = {
    "type": "number",
    "minimum": 0,
    "maximum": LONGEST_WAIT,
    "default": USUAL_WAIT,
    "description": "Seconds to wait for the result. A job that takes longer goes on: the result "
    "names its id, and `job_status` returns what it made.",
}
KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_KEY,
    "description": "A call repeated with the same key returns the job of the first.",
}
JOB = {"type": "string", "description": "The id of a job, such as `job_...`."}
CALL_FIELDS = {"wait_seconds": WAIT, "idempotency_key": KEY}
"""Properties of a tool that makes something, besides those of its models."""

STATUS, CANCEL, MODELS = "job_status", "cancel", "list_models"
OF_JOBS = (
    Tool(
        name=STATUS,
        title="Look at a job",
        description="Returns the status of a job, and its results once it has ended. Without "
        "job_id, lists the newest jobs.",
        input_schema={
            "type": "object",
            "properties": {"job_id": JOB, "wait_seconds": {**WAIT, "default": 0}},
            "additionalProperties": False,
        },
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    ),
    Tool(
        name=CANCEL,
        title="Cancel a job",
        description="Cancels a job that has not ended.",
        input_schema={
            "type": "object",
            "properties": {"job_id": JOB},
            "required": ["job_id"],
            "additionalProperties": False,
        },
        annotations=ToolAnnotations(idempotent_hint=True, open_world_hint=False),
    ),
    Tool(
        name=MODELS,
        title="List the models",
        description="Lists the models: what they make, what they are and what they can't do.",
        input_schema={
            "type": "object",
            "properties": {
                "modality": {
                    "type": "string",
                    "enum": list(MODALITIES),
                    "description": "Only models that make this.",
                }
            },
            "additionalProperties": False,
        },
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    ),
)


def tools_of(catalog: Catalog, settings: Settings) -> list[Tool]:
    """Returns the tools that the models in the catalog allow."""
    return [*_making_tools(catalog, settings), *OF_JOBS]


def modality_of(tool: str) -> Modality | None:
    """Returns what a tool makes; None where it makes nothing."""
    rows = (row for row in MODALITIES.values() if row.for_agents)
    return next((row for row in rows if row.tool_name == tool), None)


def _making_tools(catalog: Catalog, settings: Settings) -> Iterator[Tool]:
    for row in MODALITIES.values():
        entries = [entry for _, entry in catalog.of(row.name)]
        if not entries or not row.for_agents:
            continue
        default = settings.default_model(row.name)
        known = "\n".join(f"- {x.id}: {x.header.description}" for x in entries)
        schema: dict[str, Any] = request_schema(entries, default, CALL_FIELDS)
        yield Tool(
            name=row.tool_name,
            title=row.summary,
            description=f"{row.summary}.\n\nModels:\n{known}",
            input_schema=schema,
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=False, open_world_hint=False
            ),
        )
