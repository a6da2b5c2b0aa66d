"""Who waits for the answer to a request, so that a retry gets the job of its first try.

OpenAI's clients send no idempotency key; they count their tries in `x-stainless-retry-count`.
AUTOMATIC1111's send neither.

1. A request without a key of its own gets a token before its job is made, and its job is submitted
   with that token as its key. A note in Redis, by owner, path and body, counts who waits on which.
2. An answer that was sent removes its token, and so does a refusal.
3. A retry gets the token that the fewest wait on, the newest of them, and so the job of a client
   that has left, if one has.
4. A client that leaves has `GRACE` to come back, but for one that has read the beginning of its
   answer: then it doesn't try again. Then its job, which nobody knows of, is canceled.
5. Who has sent an idempotency key knows how to come back, so the job goes on.
6. On routes whose clients don't count, any request may be a retry: it gets the token of a client
   that has left, as long as that client's grace lasts and its job has neither failed nor been
   canceled. What two clients wait for at the same time is two jobs.
7. Where the server gave no answer to a submission, the token stays for the next try: the retry of
   a stock client finds it by the note, and any other by `Unresolved`.

The server can't see that the last bytes of an answer never arrived; only that a client has left
before they were sent.
"""

import logging
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

import redis

from app.core.errors import AtelierError
from app.core.schemas import Job
from app.http.proxies import route_path
from app.operations.submit import JobRequest, Submitter, client_key
from app.queue.jobs import Accepted, Idempotency, Token, hash_body

log = logging.getLogger("atelier.jobs")

RETRY_COUNT = "x-stainless-retry-count"
LOST = ("failed", "canceling", "canceled")  # jobs that a request that may be a retry does not get
GRACE = 15.0  # seconds; those clients wait at most 8 before they try again
KEEP = 86_400  # seconds that a note outlives its last request, as idempotency keys do


@dataclass(frozen=True)
class Registration:
    """One request that waits for its job's answer; with its own key, nothing is noted of it."""

    submitter: Submitter
    idempotency: Idempotency
    note: str
    token: str | None
    grace: float

    async def answered(self) -> None:
        """The answer has been sent, or there will be none. What can't be noted runs out by time."""
        if self.token is None:
            return
        try:
            await self._resolve(only_if_abandoned=False)
        except redis.RedisError as error:
            log.warning("an answer could not be noted: %s", error)

    async def abandon(self) -> None:
        """The request is over without its answer; a retry may come for it."""
        if self.token is not None:
            await self.submitter.queue.run_script("abandon", self.note, self.token)

    async def left(self, job: Job, may_retry: bool = True) -> None:
        """The client has gone: cancel the job, unless a retry comes in time. A process that stops
        meanwhile leaves the job to its end."""
        if self.token is None:
            return
        try:
            await self.abandon()
            if may_retry and not await self._grace_is_over(job.id):
                return
            if await self._resolve(only_if_abandoned=True):
                owner = self.submitter.owner
                job = await self.submitter.queue.cancel(owner, job.id)
                log.info(job.status, extra={"job": job.id, "owner": owner, "model": job.model})
        except redis.RedisError as error:
            log.warning("a job that nobody waits for goes on: %s", error)

    async def _grace_is_over(self, job_id: str) -> bool:
        """False where the process stops first."""
        notifier, deadline = self.submitter.notifier, time.monotonic() + self.grace
        async with notifier.listen(job_id) as subscription:
            while (left := deadline - time.monotonic()) > 0 and not notifier.closing:
                await subscription.sleep(left)
        return not notifier.closing

    async def _resolve(self, only_if_abandoned: bool) -> Any:
        key, flag = self.idempotency.key, "1" if only_if_abandoned else "0"
        return await self.submitter.queue.run_script("resolve", self.note, self.token, key, flag)


async def register(
    submitter: Submitter, body: dict[str, Any], number: int = 0, uncounted: bool = False
) -> Registration:
    """Note that a request waits; of one that makes several jobs, for one of them.

    `uncounted` says that the route's clients don't count their tries (rule 6). Raises Unprocessable
    for an Idempotency-Key that can't be one.
    """
    request, owner, queue = submitter.request, submitter.owner, submitter.queue
    own = client_key(request, owner, body, number)
    if own is not None:
        return Registration(submitter, own, "", None, 0.0)
    path, count = route_path(request.scope), request.headers.get(RETRY_COUNT)
    path += f"\n{number}" if number else ""
    retry = "?" if uncounted and count is None else "0" if count in (None, "0") else "1"
    note = f"atelier:attended:{owner}:{path}:{hash_body(body)}"
    earlier = queue.unresolved.take(note)
    fresh = earlier or f"{time.time_ns():020d}-{secrets.token_hex(8)}"
    try:
        token = await queue.run_script("register", note, fresh, retry, KEEP)
    except redis.RedisError:
        if earlier:
            queue.unresolved.remember(note, earlier)
        raise
    if earlier and token != earlier:
        queue.unresolved.remember(note, earlier)
    first = token == fresh and not earlier
    own = Idempotency.of(owner, path, token, body)
    own = replace(own, token=Token(token, note, first))
    returns = uncounted or count is not None
    return Registration(submitter, own, note, token, GRACE if returns else 0.0)


async def submit_registered(
    submitter: Submitter,
    job_request: JobRequest,
    body: dict[str, Any],
    number: int = 0,
    uncounted: bool = False,
) -> tuple[Accepted, Registration]:
    """Registers a request and accepts its job; a refusal is its answer."""
    while True:
        registration = await register(submitter, body, number, uncounted)
        try:
            accepted = await submitter.accept(job_request, registration.idempotency)
        except AtelierError:
            await registration.answered()
            raise
        lost = uncounted and registration.token and accepted.replayed
        if not (lost and accepted.job.status in LOST):
            return accepted, registration
        await registration.answered()  # the next turn makes a job of its own
