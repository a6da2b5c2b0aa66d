"""The flows of the calls that both clients have."""

import json
import mimetypes
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from atelier.client.flows import Block, Emit, Flow, Send, Stream, fetch_json

PAGE = 100  # jobs in one response at most

Card = dict[str, Any]


class JobSearch(TypedDict, total=False):
    """What to look for among the jobs: `q` is words that all occur in a job's texts, and the dates
    are seconds since 1970, from the first and before the second."""

    model: str | None
    q: str | None
    created_after: int | None
    created_before: int | None


def submit_job(
    modality: str, body: Mapping[str, Any], key: str | None, max_retries: int
) -> Flow[dict[str, Any]]:
    """Returns the record of a new job, or of the one that was submitted with the same key."""
    content = json.dumps(dict(body), allow_nan=False).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid.uuid4())}
    return fetch_json(
        Send("POST", f"/generate/{quote(modality, safe='')}", content, headers), max_retries
    )


def list_jobs(
    filters: Mapping[str, Any], limit: int | None, full: bool, max_retries: int
) -> Stream[dict[str, Any]]:
    """Emits job records, newest first, and requests each page when the one before it is read."""
    wanted = {**filters, "full": "true" if full else None}
    query = {name: value for name, value in wanted.items() if value is not None}
    more = True
    while more and limit != 0:
        size = PAGE if limit is None else min(PAGE, limit)
        page = yield from fetch_json(
            Send("GET", "/jobs", query=query | {"limit": size}), max_retries
        )
        for data in page["data"]:
            yield Emit(data)
        query["after"], more = page["last_id"], page["has_more"]
        if limit is not None:
            limit -= len(page["data"])


def list_models(max_retries: int) -> Flow[list[Card]]:
    models: list[Card] = (yield from fetch_json(Send("GET", "/models"), max_retries))["data"]
    return models


def model_path(model_id: str) -> str:
    return f"/models/{quote(model_id, safe='')}"


def upload_file(
    source: str | Path | bytes, content_type: str | None, max_retries: int
) -> Flow[Card]:
    """Returns the record of a stored input. The service knows a file by its bytes alone."""
    if isinstance(source, bytes):
        content, guess = source, None
    else:
        content = yield Block(partial(Path.read_bytes, Path(source)))
        guess = mimetypes.guess_type(source)[0]
    headers = {"Content-Type": content_type or guess or "application/octet-stream"}
    stored: Card = yield from fetch_json(Send("POST", "/artifacts", content, headers), max_retries)
    return stored
