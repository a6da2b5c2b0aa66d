"""The job of RQ's own workers: a module that imports nothing, so that it costs only its queue."""


def do_nothing() -> None:
    pass
