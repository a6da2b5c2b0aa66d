"""Long fields of jobs: kept in the store, so that records stay small however long texts are.

1. A long input is kept as one JSON object, for as long as the job's results are kept.
2. A long text that a job has written is the end of its file, which is an output of the job.
3. What the store has no more is left out of the job, and `omitted` names it.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from app.core.job_record import LONG_TEXT
from app.core.schemas import Job, Output
from app.core.store import Store, StoreError
from app.files.artifact_store import ArtifactStore

log = logging.getLogger(__name__)

INLINE = 4096  # bytes of JSON that a record holds itself


def is_long(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False)) > LONG_TEXT


def split(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of an input that its record holds, and those that the store keeps."""
    if len(json.dumps(params)) <= INLINE:
        return dict(params), {}
    long = {name: value for name, value in params.items() if is_long(value)}
    return {name: value for name, value in params.items() if name not in long}, long


async def whole(store: ArtifactStore, job: Job) -> Job:
    """The job with its long fields, as far as the store still has them and can be read."""
    if job.long_input is None and not job.long_texts:
        return job
    try:
        return await store.run(_restored, store.backend, job)
    except StoreError as error:  # it hangs
        _note(job, error)
        return job


def _restored(store: Store, job: Job) -> Job:
    params, outputs = dict(job.input), list(job.outputs)
    try:
        if job.long_input is not None:
            params |= json.loads(store.get(job.long_input))
        for number, size in job.long_texts.items():
            output = outputs[number]
            data = store.read(output.sha256, output.bytes - 1 - size, size)
            outputs[number] = output.model_copy(update={"text": data.decode()})
    except (StoreError, ValueError) as error:
        _note(job, error)
    omitted = [name for name in job.omitted if not _is_there(name, params, outputs)]
    return job.model_copy(update={"input": params, "outputs": outputs, "omitted": omitted})


def _note(job: Job, error: Exception) -> None:
    log.warning("long fields not read", extra={"job": job.id, "reason": str(error)})


def _is_there(name: str, params: Mapping[str, Any], outputs: list[Output]) -> bool:
    """Whether what `omitted` names is in these fields."""
    kind, _, rest = name.partition(".")
    if kind == "input":
        return rest in params
    return outputs[int(rest.partition(".")[0])].text is not None


def shortened(job: Job) -> Job:
    """The job as a listing has it: without long fields, which `omitted` names."""
    omitted = list(job.omitted)
    for name in [name for name, value in job.input.items() if is_long(value)]:
        omitted.append(f"input.{name}")
    params = {name: value for name, value in job.input.items() if f"input.{name}" not in omitted}
    outputs = list(job.outputs)
    for number, output in enumerate(job.outputs):
        if output.text is not None and len(output.text) > LONG_TEXT:
            omitted.append(f"outputs.{number}.text")
            outputs[number] = output.model_copy(update={"text": None})
    drafts = job.drafts
    if sum(len(draft.text) for draft in drafts) > LONG_TEXT:
        omitted.append("drafts")
        drafts = []
    changed = {"input": params, "outputs": outputs, "drafts": drafts, "omitted": omitted}
    return job.model_copy(update=changed)
