"""How tests are spread over processes that run side by side."""

from xdist.scheduler import LoadFileScheduling

STACK = "tests/e2e/"


class FileScheduling(LoadFileScheduling):
    """The tests of a file share a process, and with it their fixtures. So do all tests that start
    the whole service.

    A group of pytest-xdist says the same by a mark, which pytest 9.2 ignores.
    """

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return STACK if scope.startswith(STACK) else scope
