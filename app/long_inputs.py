"""Long fields of what a client asks for: kept in the store, and named in the record by their hash.

A record stays small however long its texts are. The store keeps the fields as one JSON object, for
as long as the job's results are kept; after that the job has its short fields only, and `omitted`
names the others.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from app.schemas import Job
from app.services import Services
from app.store import StoreError

log = logging.getLogger(__name__)

INLINE = 4096  # bytes of JSON that a record holds itself
LONG = 2000  # characters of JSON; no prompt is as long


def is_long(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) > LONG


def split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of an input that its record holds, and those that the store keeps."""
    if len(json.dumps(given)) <= INLINE:
        return dict(given), {}
    long = {name: value for name, value in given.items() if is_long(value)}
    return {name: value for name, value in given.items() if name not in long}, long


async def whole(services: Services, job: Job) -> Job:
    """The job with its long fields, if the store still has them and can be read."""
    if job.long_input is None:
        return job
    try:
        data = await services.store_threads.run(services.store.get, job.long_input)
        long = json.loads(data)
    except (StoreError, ValueError) as error:
        log.warning("long input not read", extra={"job": job.id, "reason": str(error)})
        return job
    omitted = [name for name in job.omitted if name.removeprefix("input.") not in long]
    return job.model_copy(update={"input": {**job.input, **long}, "omitted": omitted})


def shortened(job: Job) -> Job:
    """The job as a listing has it: without long fields, which `omitted` names."""
    omitted = list(job.omitted)
    for name in [name for name, value in job.input.items() if is_long(value)]:
        omitted.append(f"input.{name}")
    given = {name: value for name, value in job.input.items() if f"input.{name}" not in omitted}
    outputs = list(job.outputs)
    for number, output in enumerate(job.outputs):
        if output.text is not None and len(output.text) > LONG:
            omitted.append(f"outputs.{number}.text")
            outputs[number] = output.model_copy(update={"text": None})
    drafts = job.drafts
    if sum(len(draft.text) for draft in drafts) > LONG:
        omitted.append("drafts")
        drafts = []
    changed = {"input": given, "outputs": outputs, "drafts": drafts, "omitted": omitted}
    return job.model_copy(update=changed)
