"""The Redis scripts, each a commented file of Lua; every transition of a job is one."""

from pathlib import Path
from typing import Any, Protocol

import redis
import redis.asyncio

FOLDER = Path(__file__).parent / "lua"


class _Runs(Protocol):
    def __call__(self, keys: list[str], args: list[Any]) -> Any: ...


def source(name: str, folder: Path = FOLDER) -> str:
    """The text of a script, after the words that all scripts share."""
    return (FOLDER / "common.lua").read_text() + (folder / f"{name}.lua").read_text()


class Scripts:
    """Scripts of one folder over a blocking connection; loaded again by itself after a restart."""

    def __init__(self, connection: "redis.Redis", folder: Path = FOLDER) -> None:
        names = [p.stem for p in folder.glob("*.lua") if p.stem != "common"]
        self._scripts: dict[str, _Runs] = {
            n: connection.register_script(source(n, folder)) for n in names
        }

    def run(self, name: str, *args: Any) -> Any:
        return self._scripts[name](keys=[], args=list(args))


class AsyncScripts:
    """The same over an asyncio connection."""

    def __init__(self, connection: "redis.asyncio.Redis", folder: Path = FOLDER) -> None:
        names = [p.stem for p in folder.glob("*.lua") if p.stem != "common"]
        self._scripts = {n: connection.register_script(source(n, folder)) for n in names}

    async def run(self, name: str, *args: Any) -> Any:
        return await self._scripts[name](keys=[], args=list(args))
