"""How tests are spread over processes that run side by side."""

from xdist.scheduler import LoadFileScheduling

STACK, STUDIO = "tests/e2e/", "tests/studio/"
LONGEST = (
    STACK,
    STUDIO,
    "tests/models/test_contract.py",
    "tests/generators/",
    "tests/app/test_schemathesis.py",
    "tests/bench/test_smoke.py",
    "tests/workers/",
)
"""The tests that take longest come first, so that no process works alone at the end."""


def rank(nodeid: str) -> int:
    """The place of a test in the order of LONGEST; all others come after these."""
    return next((i for i, path in enumerate(LONGEST) if nodeid.startswith(path)), len(LONGEST))


class FileScheduling(LoadFileScheduling):
    """The tests of a file share a process, and with it their fixtures. So do all tests that start
    the whole service, and all that share a browser.

    A group of pytest-xdist says the same by a mark, which pytest 9.2 ignores.
    """

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return next((x for x in (STACK, STUDIO) if scope.startswith(x)), scope)
