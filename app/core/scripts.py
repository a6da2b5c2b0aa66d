"""The Redis scripts, each a commented file of Lua; every transition of a job is one.

A server that answers, but can't write or read just now, counts as away: `ServerAway`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

FOLDER = Path(__file__).parent / "lua"

# It can't save (MISCONF), runs a long script, has lost its master or its replicas, is full,
# read-only or starting, or its rules forbid a command.
AWAY_CODES = (
    *("MISCONF", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"),
    *("OOM", "READONLY", "NOREPLICAS", "LOADING", "NOPERM"),
)
CODE = re.compile(r"(?:^|caused error: )([A-Z]+) ")  # redis-py puts words before it in a pipeline


class ServerAway(redis.ConnectionError):
    """The server answers that it can't do what it is asked now; later it may."""


def away(error: object) -> ServerAway | None:
    """The error of a server that is away, if that is what it answers."""
    if not isinstance(error, redis.ResponseError):
        return None
    match = CODE.search(str(error))
    code = error.status_code or (match[1] if match else "")  # where redis-py has a class for it
    return ServerAway(str(error)) if code in AWAY_CODES else None


@contextmanager
def away_raised() -> Iterator[None]:
    """Raises ServerAway where the server answers that it is away."""
    try:
        yield
    except redis.ResponseError as error:
        if other := away(error):
            raise other from error
        raise


# Each may use what stands before it.
SHARED = (
    *("shared/guard", "shared/clock", "shared/keys", "shared/waiting", "shared/pace"),
    *("common", "shared/readable", "shared/turns"),
)


@cache
def source(name: str, folder: Path = FOLDER) -> str:
    """The text of a script, after the words that all scripts share. Its files are read once."""
    files = [*(FOLDER / f"{shared}.lua" for shared in SHARED), folder / f"{name}.lua"]
    return "".join(file.read_text() for file in files)


class Scripts:
    """Scripts of one folder over a blocking connection; loaded again by itself after a restart."""

    def __init__(self, connection: "redis.Redis", folder: Path = FOLDER) -> None:
        names = [p.stem for p in folder.glob("*.lua") if p.stem != "common"]
        self._connection = connection
        self._scripts: dict[str, Script] = {
            n: connection.register_script(source(n, folder)) for n in names
        }

    def run(self, name: str, *args: Any) -> Any:
        with away_raised():
            return self._scripts[name](keys=[], args=list(args))

    def run_all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Several in order and one round trip, so one wait for the disk.

        An answer may be an exception. If the server has forgotten a script, all are run again:
        only for scripts that bear it.
        """
        with self._connection.pipeline(transaction=False) as pipe:
            for name, args in calls:
                pipe.evalsha(self._scripts[name].sha, 0, *args)
            answers = pipe.execute(raise_on_error=False)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            with away_raised():
                for script in self._scripts.values():
                    self._connection.script_load(script.script)
            return self.run_all(calls)
        return [away(answer) or answer for answer in answers]
