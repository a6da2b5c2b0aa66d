"""The Redis scripts, each a commented file of Lua; every transition of a job is one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

FOLDER = Path(__file__).parent / "lua"


def source(name: str, folder: Path = FOLDER) -> str:
    """The text of a script, after the words that all scripts share."""
    return (FOLDER / "common.lua").read_text() + (folder / f"{name}.lua").read_text()


class Scripts:
    """Scripts of one folder over a blocking connection; loaded again by itself after a restart."""

    def __init__(self, connection: "redis.Redis", folder: Path = FOLDER) -> None:
        names = [p.stem for p in folder.glob("*.lua") if p.stem != "common"]
        self._connection = connection
        self._scripts: dict[str, Script] = {
            n: connection.register_script(source(n, folder)) for n in names
        }

    def run(self, name: str, *args: Any) -> Any:
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
            for script in self._scripts.values():
                self._connection.script_load(script.script)
            return self.run_all(calls)
        return list(answers)
