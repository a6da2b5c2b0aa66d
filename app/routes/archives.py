"""/archives: the files of many jobs in one ZIP file."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.archives.archives import jobs_of, note_archive
from app.archives.contents import read_contents, read_new_contents
from app.archives.zip_stream import ZipFileStream
from app.core.errors import Gone
from app.core.job_record import url_prefix
from app.core.schemas import Schema
from app.core.store import Missing
from app.deps import OwnerDep, QueueDep, StoreDep
from app.http.body_parsing import read_json
from app.http.openapi_examples import JOB_ID, Replies, errors, file_of, header, reply
from app.http.responses import json_reply
from app.http.streaming import LiveStream
from app.http.validation_errors import explain_details

router = APIRouter(tags=["archives"])
log = logging.getLogger("atelier.archives")

ZIP = "application/zip"
ARCHIVE_ID = "archive_3J7Q2M4N6P8R0S1T"
MOST_JOBS = 1000

ArchiveId = Annotated[str, Path(description="The id of an archive.", examples=[ARCHIVE_ID])]


class ArchiveRequest(BaseModel):
    """Which jobs' files to put into an archive."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[Annotated[str, Field(max_length=100)]] = Field(
        min_length=1,
        max_length=MOST_JOBS,
        description=f"Ids of your jobs, each once; at most {MOST_JOBS}.",
        examples=[[JOB_ID]],
        json_schema_extra={"uniqueItems": True},
    )


class Archive(Schema):
    """A ZIP file that can be fetched for a while."""

    id: str
    object: Literal["archive"] = "archive"
    url: str = Field(description="Where the ZIP file is.")
    files: int = Field(description="How many files it has besides `jobs.json`.")
    bytes: int = Field(description="Of these files together.")
    missing: int = Field(description="Files of these jobs that have expired.")
    expires_at: int = Field(description="Until when it can be fetched, in seconds since 1970.")


EXAMPLE = {
    "id": ARCHIVE_ID,
    "object": "archive",
    "url": f"/archives/{ARCHIVE_ID}",
    "files": 1,
    "bytes": 2301,
    "missing": 0,
    "expires_at": 1790000600,
}
SCHEMA: dict[str, Any] = ArchiveRequest.model_json_schema()
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": SCHEMA, "example": {"jobs": [JOB_ID]}}},
    }
}


@router.post(
    "/archives",
    summary="Ask for an archive",
    status_code=201,
    response_model=Archive,
    responses={
        201: reply("It can be fetched.", EXAMPLE),
        **errors(400, 401, 404, 413, 415, 422, 429, 503),
    },
    openapi_extra=BODY,
)
async def create_archive(request: Request, owner: OwnerDep, queue: QueueDep) -> Response:
    """Notes for ten minutes that the files of these jobs are to be fetched as one ZIP file.

    A job that has not ended has no files yet, and a file that has expired counts as missing. An
    archive has at most 10,000 files. An id of no job is refused by its number, as `jobs.3`.
    """
    _, text = await read_json(request)
    try:
        wanted = ArchiveRequest.model_validate_json(text)
    except ValidationError as error:
        raise explain_details(error.errors(), SCHEMA) from None
    contents = await read_new_contents(queue, owner, wanted.jobs)
    new = await note_archive(queue, owner, wanted.jobs)
    archive = Archive(
        id=new.id,
        url=f"{url_prefix.get()}/archives/{new.id}",
        files=len(contents.files),
        bytes=contents.total_bytes,
        missing=contents.missing,
        expires_at=new.expires_at,
    )
    log.info("archive", extra={"archive": new.id, "owner": owner, "files": archive.files})
    return json_reply(archive, 201)


DOWNLOAD: Replies = {
    200: {
        "description": "The ZIP file.",
        "content": file_of(ZIP),
        "headers": {
            "Content-Disposition": header(
                "A name to save it under.", 'attachment; filename="a.zip"'
            )
        },
    },
    **errors(401, 404, 410, 422, 503),
}


@router.get(
    "/archives/{archive_id}",
    summary="Get an archive",
    response_class=Response,
    responses=DOWNLOAD,
)
async def get_archive(
    owner: OwnerDep, queue: QueueDep, store: StoreDep, archive_id: ArchiveId
) -> Response:
    """The files of its jobs as they are now, each stored under a readable name, in a ZIP file.

    `jobs.json` in it has the record of each job, with its input and seed, so that every file can be
    made again. A file that has expired is null there, and `deleted` lists jobs that are gone. The
    answer has a `Content-Length`. Where a file goes while it is sent, the connection is cut, so
    that no archive is silently short.
    """
    jobs = await jobs_of(queue, owner, archive_id)
    contents = await read_contents(queue, owner, jobs)
    stream = ZipFileStream(store.backend, contents)
    pieces = store.iterate(iter(stream))
    try:
        first = await anext(pieces)
    except Missing:
        raise Gone("a file of this archive is no longer stored") from None
    headers = {
        "Content-Length": str(stream.length),
        "Content-Disposition": f'attachment; filename="atelier-{archive_id[-16:].lower()}.zip"',
    }
    return LiveStream(_with_first(first, pieces), ZIP, headers)


async def _with_first(first: bytes, others: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece
