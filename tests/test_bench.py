"""What a bench compares with says the same as what is compared with it, and no bench reports
figures of jobs that did not complete."""

from pathlib import Path

import pytest
import redis
import torch

from app.core.settings import Settings
from app.queue.jobs import Jobs
from bench.bed import Bed, Unfinished, checked
from bench.wavenet import last_logits, sized_net
from models.artifacts import Artifact
from models.engine.engine import Engine


@pytest.mark.parametrize("padded", [True, False])
def test_the_naive_loop_says_what_the_net_does(padded: bool) -> None:
    net = sized_net()
    rng = torch.Generator().manual_seed(1)
    given = torch.randint(256, (1, 20 * net.hop), generator=rng)
    roll, style = net.unscored(20)[None], torch.tensor([0])
    whole = net(given, roll, style)[:, -1]
    told = net.condition(net.unscored(1)[None], style)[0, 0]
    found = last_logits(net, given[:, -net.receptive_field :], told, padded)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)
    assert float(whole.std()) > 1e-3
    other = last_logits(net, given[:, -net.receptive_field :].roll(1, 1), told, padded)
    assert not torch.allclose(other, whole, atol=1e-3)


def test_a_flow_that_fails_ends_the_bench() -> None:
    async def broken() -> tuple[Artifact, ...]:
        raise ValueError("no")

    with pytest.raises(Unfinished, match="no"):
        checked(Engine(torch.device("cpu")).add(1, broken()))


@pytest.mark.parametrize("status", ["failed", "canceled", None])
def test_a_job_that_does_not_complete_ends_the_bench(
    redis_server: str, connection: "redis.Redis", tmp_path: Path, status: str | None
) -> None:
    settings = Settings(state=tmp_path, redis_url=redis_server)
    on = Bed(settings, connection, Jobs(connection, settings), "")
    if status:
        connection.hset("rq:job:one", mapping={"status": status, "error": "no"})
    with pytest.raises(Unfinished):
        on.ended("one")
    connection.hset("rq:job:two", "status", "started")
    with pytest.raises(Unfinished, match="1 jobs"):
        on.check(["two"])
    connection.hset("rq:job:two", "status", "finished")
    on.check(["two"])
