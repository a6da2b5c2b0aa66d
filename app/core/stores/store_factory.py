"""Opens the artifact store of an address, or of the settings."""

from obstore.exceptions import BaseError

from app.core.addresses import read_store_address
from app.core.settings import Misconfigured, Settings
from app.core.store import Store, StoreError
from app.core.stores.bucket_store import BucketStore
from app.core.stores.folder_store import FolderStore

WRONG_FOLDER = (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError)
"""What waiting does not cure, of a folder that is being opened."""


def store_at(address: str, timeout: float = 20.0) -> Store:
    """Opens the store of an address: file:///folder or s3://bucket/prefix. Raises ValueError.

    A bucket's server is given up after `timeout` seconds. Nothing can interrupt a call of a disk
    that hangs: callers that must not hang use a `ThreadPool`.
    """
    parts = read_store_address(address)
    if parts.folder is not None:
        return FolderStore(parts.folder)
    return BucketStore(parts.bucket, parts.prefix, timeout)


def open_store(settings: Settings) -> Store:
    """The store of the settings. Raises Misconfigured where no such store can be used."""
    name = "ATELIER_STORE" if settings.store else "ATELIER_STATE"
    try:
        return store_at(settings.store_address, settings.store_timeout)
    except (ValueError, BaseError) as error:  # obstore's, for what it reads from AWS_* variables
        raise Misconfigured(f"{name}: {str(error).splitlines()[0]}") from None
    except StoreError as error:
        if isinstance(error.__cause__, WRONG_FOLDER):
            reason = error.__cause__.strerror
            raise Misconfigured(f"{name}: the artifact store can't be used: {reason}") from None
        raise
