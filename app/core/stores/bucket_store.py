"""Artifacts in an S3 bucket."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import BinaryIO

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from app.core.store import (
    DISK_FULL,
    NAME,
    NO_ANSWER,
    PAGE,
    PIECE,
    Full,
    Missing,
    Store,
    Unreachable,
)

STATUS = re.compile(r"status code: ([0-9]{3})")
INSUFFICIENT_STORAGE = "507"  # what S3 servers answer whose disk is full
ONE_REQUEST = 8 * 2**20  # bytes of a file that is put into a bucket at once


class BucketStore(Store):
    """An S3 bucket, or what speaks like one.

    Endpoint, region and credentials come from the standard AWS_* variables of the environment
    (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and so on), which
    obstore reads by itself.
    """

    def __init__(self, bucket: str, prefix: str, timeout: float) -> None:
        limit = timedelta(seconds=timeout)
        self._bucket = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={
                "allow_http": True,  # the endpoint says whether; none is tried by itself
                "connect_timeout": min(timedelta(seconds=3), limit),
                "timeout": limit,
            },
            retry_config={"max_retries": 3, "retry_timeout": limit},
        )

    def _write(self, name: str, file: BinaryIO, size: int) -> None:
        with _bucket_errors():
            whole = size <= ONE_REQUEST  # else in parts, which costs two requests more
            obstore.put(
                self._bucket, name, file.read() if whole else iter(partial(file.read, PIECE), b"")
            )

    def _size(self, name: str) -> int:
        with _bucket_errors():
            return obstore.head(self._bucket, name)["size"]

    def _read(self, name: str, start: int, length: int) -> bytes:
        with _bucket_errors():
            return obstore.get_range(self._bucket, name, start=start, length=length).to_bytes()

    def _remove(self, name: str) -> None:
        with _bucket_errors(), suppress(FileNotFoundError):
            obstore.delete(self._bucket, name)

    def _page(self, after: str) -> list[tuple[str, float]]:
        names: list[tuple[str, float]] = []
        with _bucket_errors():
            for chunk in obstore.list(self._bucket, offset=after or None, chunk_size=PAGE):
                for item in chunk:
                    if NAME.fullmatch(item["path"]):
                        names.append((item["path"], item["last_modified"].timestamp()))
                if names:
                    break
        return names[:PAGE]


@contextmanager
def _bucket_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Missing("no such artifact") from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Unreachable("access is denied") from error
    except (BaseError, OSError) as error:
        status = STATUS.search(str(error))
        if status is None:
            raise Unreachable(NO_ANSWER) from error
        if status[1] == INSUFFICIENT_STORAGE:
            raise Full(DISK_FULL) from error
        raise Unreachable(f"its server answers with status {status[1]}") from error
