"""Jobs in Redis: accept, fetch, cancel, delete. The only file of app/ that imports rq."""

import hashlib
import json
import re
import secrets
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from app.core.errors import Gone, NotFound, RateLimited, Unavailable, Unprocessable
from app.core.job_record import public_job, queue_name
from app.core.schemas import Job
from app.core.scripts import Scripts, ServerAway
from app.core.settings import Settings

MEMORY_RETRY = 30  # seconds
IDEMPOTENCY_TTL = 86_400  # seconds that a client's Idempotency-Key is remembered
FUNCTION = "atelier.generate"  # what RQ's record names; no worker but ours knows it
CALL: str = JSONSerializer.dumps([FUNCTION, None, [], {}]).decode()  # type: ignore[no-untyped-call]
CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@dataclass(frozen=True)
class LongInput:
    """Fields of an input that the store keeps, as one JSON object."""

    names: list[str]
    sha256: str
    bytes: int


@dataclass(frozen=True)
class NewJob:
    """A request that has passed validation: what to make, for whom, with which checkpoint."""

    owner: str
    type: str
    model: str
    sha256: str
    input: dict[str, Any]  # what the client sees back: params, n, seed, output_format
    seed: int
    items: int
    metadata: dict[str, str]
    rows: int = 1  # of one item
    inputs: Mapping[str, str] = field(default_factory=dict)  # param -> SHA-256 of a posted file
    long_input: LongInput | None = None  # what the store keeps of `input`, which lacks it
    streamed: bool = False  # whoever posts it follows it, from its first step on
    request: str = ""  # hash of what was asked, before a seed was chosen

    @property
    def caller(self) -> str:
        """What tells this request from others when it is posted again."""
        body = self.request or self.input
        return hash_body([self.owner, self.type, self.model, body, self.metadata])


@dataclass(frozen=True)
class Idempotency:
    """A client's key, scoped to it and its path, and the hash of its own canonical body."""

    key: str
    request: str
    ttl: int = IDEMPOTENCY_TTL  # seconds
    token: "Token | None" = None  # where this service chose the key

    @classmethod
    def of(cls, owner: str, path: str, key: str, body: Any) -> "Idempotency":
        scope = hashlib.sha256(f"{path}\n{key}".encode()).hexdigest()
        return cls(f"atelier:idem:{owner}:{scope}", hash_body(body))


@dataclass(frozen=True)
class Token:
    """An idempotency key that this service chose for a request without one.

    `request` identifies the owner, path and body; `first` is false for a later try.
    """

    text: str
    request: str
    first: bool = True


def hash_body(body: Any) -> str:
    """SHA-256 of a JSON body in its canonical form."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class OutcomeUnknown(redis.RedisError):
    """The server did not say whether it accepted a job. The same submission is safe to repeat,
    with `key` as its Idempotency-Key if there is one."""

    key = ""


@dataclass(frozen=True)
class Accepted:
    """An answer to a submission: a new job, or the one its idempotency key made before."""

    job: Job
    replayed: bool


class Jobs:
    """What changes jobs, over a blocking connection. Raises what a client may read."""

    def __init__(self, connection: "redis.Redis", settings: Settings) -> None:
        self._scripts = Scripts(connection)
        self._settings = settings

    def submit(self, new: NewJob, idempotency: Idempotency | None = None) -> Accepted:
        """Accept a job; when this returns, it is on disk and in its queue.

        Raises RateLimited (queue_full or quota_exceeded, with the seconds until there will be a
        place for this request), Unavailable where memory runs out, Gone where an input has
        expired, and Unprocessable where the idempotency key had another body. Raises
        OutcomeUnknown where the server gave no answer: it may have the job, or may yet make it.
        """
        queue = queue_name(new.model, new.sha256)
        record = self._record(new)
        key, request, keep = (
            (idempotency.key, idempotency.request, idempotency.ttl) if idempotency else ("", "", 0)
        )
        limit, deadline = self._settings.queue_limit, self._settings.job_deadline
        flat = [text for pair in record.items() for text in pair]
        suffix = b32encode(secrets.token_bytes(10)).decode().translate(CROCKFORD)
        inputs = json.dumps(sorted(set(new.inputs.values()))) if new.inputs else ""
        own = self._settings.own_queue_limit
        limits = (limit, deadline, inputs, keep, own, new.caller)
        asked = (suffix, new.owner, new.type, queue, key, request, *limits)
        try:
            answer = self._scripts.run("submit", *asked, *flat)
        except ServerAway:
            raise  # it answers that it made none
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise OutcomeUnknown(str(error)) from error
        match answer:
            case ["new", job_id, created, position]:
                record |= {"status": "queued", "attempt": "0", "created": created}
                record |= {"type": new.type}
                return Accepted(public_job(job_id, record, position), replayed=False)
            case ["replay", job_id]:
                return Accepted(self.fetch(new.owner, job_id), replayed=True)
            case ["gone", sha256]:
                param = next(name for name, sha in new.inputs.items() if sha == sha256)
                raise Gone(f"the file that {param} names has expired", param=param)
            case ["memory"]:
                message = "the queue's memory is nearly full; try again later"
                raise Unavailable(message, retry_after=MEMORY_RETRY)
            case ["full", seconds]:
                message = f"{limit} jobs are waiting for this model; try again in {seconds} s"
                raise RateLimited(message, code="queue_full", retry_after=seconds)
            case ["quota", seconds]:
                message = f"{own} jobs of your key are waiting for this model, as many as one"
                message += f" key may have; try again in {seconds} s"
                raise RateLimited(message, code="quota_exceeded", retry_after=seconds)
        raise Unprocessable(
            "this Idempotency-Key was used with another body", code="idempotency_key_reuse"
        )

    def _record(self, new: NewJob) -> dict[str, str]:
        """The fields of the job's hash: ours, and what RQ's own tools want to find there."""
        settings, stamp = self._settings, utcformat(now())
        return {
            **_long_fields(new.long_input),
            "model": new.model,
            "sha256": new.sha256,
            "input": json.dumps(new.input),
            "seed": str(new.seed),
            "items": str(new.items),
            "rows": str(new.rows),
            "metadata": json.dumps(new.metadata),
            "keep_result": str(settings.result_ttl),
            "keep_record": str(settings.record_ttl),
            "keep_orphans": str(settings.orphan_ttl),
            "data": CALL,
            "description": f"{new.type} by {new.model}",
            "created_at": stamp,
            "enqueued_at": stamp,
            "timeout": str(int(settings.job_deadline)),
        } | ({"streamed": "1"} if new.streamed else {})

    def fetch(self, owner: str, job_id: str) -> Job:
        """The job, without its long fields."""
        return job_of(job_id, self._scripts.run("view", owner, job_id))

    def cancel(self, owner: str, job_id: str) -> Job:
        """Ask for the job's end; asked again, or of an ended job, it changes nothing."""
        self._scripts.run("cancel", owner, job_id)
        return self.fetch(owner, job_id)

    def delete(self, owner: str, job_id: str) -> None:
        """Cancel the job if it is active, and drop its record and its hold on artifacts."""
        if not self._scripts.run("delete", owner, job_id):
            raise _not_found()


def job_of(job_id: str, view: Any) -> Job:
    """The public job from what the script `view` read. Raises NotFound where there is none."""
    if not view:
        raise _not_found()
    text, position, _ = view
    return public_job(job_id, json.loads(text), None if position < 0 else position)


def _long_fields(long: LongInput | None) -> dict[str, str]:
    if long is None:
        return {}
    names = json.dumps(long.names)
    return {"input_long": names, "input_sha256": long.sha256, "input_bytes": str(long.bytes)}


def _not_found() -> NotFound:
    return NotFound("no such job", code="job_not_found")


PATTERN = r"^job_[0-9A-HJKMNP-TV-Z]{26}$"


def is_job_id(text: str) -> bool:
    """Whether a text has the form of a job's id."""
    return re.fullmatch(PATTERN, text) is not None


def known(job_id: str) -> str:
    """An id that could be a job's. Raises NotFound, before anything else is asked, for others."""
    if not is_job_id(job_id):
        raise NotFound("no such job", code="job_not_found")
    return job_id
