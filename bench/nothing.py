"""What RQ's own workers are given to do: a module that imports nothing."""


def nothing() -> None:
    """A job that costs nothing but its queue."""
