"""Archives: which jobs a ZIP file is to have, noted for ten minutes.

The file itself is made while it is sent, so an archive costs no space in the store.
"""

import json
import re
import secrets
from base64 import b32encode
from dataclasses import dataclass

from app.core.errors import NotFound, RateLimited
from app.core.job_record import archive_key
from app.queue.jobs import CROCKFORD
from app.queue.queue import Queue

TTL = 600  # seconds
MOST_ARCHIVES = 50  # of one owner at once
ID = re.compile(r"archive_[0-9A-HJKMNP-TV-Z]{16}")


@dataclass(frozen=True)
class NewArchive:
    """An archive that has been noted."""

    id: str
    expires_at: int
    """Seconds since the epoch."""


async def note_archive(queue: Queue, owner: str, jobs: list[str]) -> NewArchive:
    """Raises RateLimited where the owner has too many."""
    suffix = b32encode(secrets.token_bytes(10)).decode().translate(CROCKFORD)
    archive = f"archive_{suffix}"
    arguments = (owner, archive, json.dumps(jobs), TTL, MOST_ARCHIVES)
    match await queue.run_script("note_archive", *arguments):
        case [0, expires]:
            return NewArchive(archive, int(float(expires)))
        case [seconds]:
            message = f"your key has {MOST_ARCHIVES} archives; try again in {seconds} s"
            raise RateLimited(message, code="too_many_archives", retry_after=int(seconds))
    raise TypeError("the script note_archive answers something else")


async def jobs_of(queue: Queue, owner: str, archive: str) -> list[str]:
    """Raises NotFound where the owner has no such archive, or not any more."""
    text = None
    if ID.fullmatch(archive):
        text = await queue.connection.get(archive_key(owner, archive))
    if text is None:
        raise NotFound("no such archive, or it has expired", code="archive_not_found")
    jobs: list[str] = json.loads(text)
    return jobs
