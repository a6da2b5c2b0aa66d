"""Which answers of the server mean that it is away."""

import pytest
import redis
from redis._parsers.base import BaseParser

from app.core.scripts import Scripts, ServerAway, away

REFUSALS = [
    "MISCONF Errors writing to the AOF file: No space left on device",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL",
    "MASTERDOWN Link with MASTER is down",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "NOREPLICAS Not enough good replicas to write.",
    "NOPERM this user has no permissions to run the 'set' command",
]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("before", ["", "Command # 1 (SET a b) of pipeline caused error: "])
def test_a_server_that_can_not_write_is_away(refusal: str, before: str) -> None:
    error = BaseParser.parse_error(refusal)
    error.args = (f"{before}{error.args[0]}",)
    assert isinstance(error, redis.ResponseError)
    assert isinstance(away(error), ServerAway)


@pytest.mark.parametrize(
    "answer", ["ERR unknown command", "WRONGTYPE Operation against a key", "BUSYGROUP exists"]
)
def test_other_errors_are_our_own(answer: str) -> None:
    assert away(BaseParser.parse_error(answer)) is None
    assert away(ValueError("MISCONF or so")) is None


def test_scripts_raise_it_and_answer_with_it(connection: "redis.Redis") -> None:
    scripts = Scripts(connection)
    connection.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(ServerAway):
            scripts.run("hold", 1, "a" * 64)
        (answer,) = scripts.run_all([("hold", [1, "a" * 64])])
    finally:
        connection.config_set("min-replicas-to-write", 0)
    assert isinstance(answer, ServerAway)
