"""Owners take turns: within a model, between models, and in what a worker has room for."""

from dataclasses import replace

import pytest
import redis
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from app.core.job_record import queue_name
from tests.workers.conftest import Bench
from tests.workers.test_worker import STAMP
from workers.queue_client import Claim, JobCommit, QueueCapacity, QueueClient, Share


def submit(bench: Bench, owner: str, count: int = 1, model: str = "tiny-vae") -> list[str]:
    new = replace(bench.new(model=model), owner=owner)
    return [bench.jobs.submit(new).job.id for _ in range(count)]


def rooms(
    bench: Bench, *models: str, rows: int = 1, share: Share | None = None
) -> list[QueueCapacity]:
    return [QueueCapacity(queue_name(m, bench.sha256(m)), True, rows, share) for m in models]


def next_claim(bench: Bench, client: QueueClient, *models: str) -> Claim | None:
    """The job that a worker with room for one gets; it is then done."""
    claims = client.look([], 1, rooms(bench, *(models or ("tiny-vae",))), STAMP).claims
    for claim in claims:
        assert client.say([JobCommit(claim, "finished", STAMP)]) == [True]
    return claims[0] if claims else None


def owners(bench: Bench, count: int, *models: str) -> list[str]:
    """Who is served next, one after another."""
    client = bench.client("one")
    claims = [next_claim(bench, client, *models) for _ in range(count)]
    return [claim.record["owner"] for claim in claims if claim]


@pytest.mark.slow
def test_a_single_job_waits_for_one_of_each_other_key(bench: Bench) -> None:
    patient = bench.settings.model_copy(update={"queue_limit": 2000})
    bench.jobs._settings = patient
    submit(bench, "a", 1000)
    submit(bench, "b", 100)
    assert owners(bench, 4) == ["a", "b", "a", "b"], "they have taken turns before it comes"
    (single,) = submit(bench, "c")
    assert bench.jobs.fetch("c", single).queue_position == 0, "it was served longest ago"
    assert owners(bench, 5) == ["c", "a", "b", "a", "b"]
    (again,) = submit(bench, "c")
    assert bench.jobs.fetch("c", again).queue_position in (0, 1, 2)
    assert "c" in owners(bench, 3)


def test_owners_take_turns_between_models(bench: Bench) -> None:
    submit(bench, "a", 6, "tiny-vae")
    submit(bench, "b", 2, "tiny-gan")
    assert owners(bench, 5, "tiny-vae", "tiny-gan") == ["a", "b", "a", "b", "a"]


def test_an_owner_that_waits_for_two_models_has_one_turn(bench: Bench) -> None:
    submit(bench, "a", 3, "tiny-vae")
    submit(bench, "a", 3, "tiny-gan")
    submit(bench, "b", 3, "tiny-gan")
    assert owners(bench, 6, "tiny-vae", "tiny-gan") == ["a", "b", "a", "b", "a", "b"]


def test_models_of_one_owner_take_turns(bench: Bench) -> None:
    submit(bench, "a", 5, "tiny-vae")
    (other,) = submit(bench, "a", 1, "tiny-gan")
    client = bench.client("one")
    served = [next_claim(bench, client, "tiny-vae", "tiny-gan") for _ in range(2)]
    assert other in [claim.job for claim in served if claim]


def test_positions_are_the_order_of_claims(bench: Bench) -> None:
    jobs = dict.fromkeys(submit(bench, "a", 4), "a")
    jobs |= dict.fromkeys(submit(bench, "b", 2), "b") | dict.fromkeys(submit(bench, "c", 1), "c")
    bench.jobs.cancel("a", next(iter(jobs)))
    del jobs[next(iter(jobs))]
    positions = {j: bench.jobs.fetch(owner, j).queue_position for j, owner in jobs.items()}
    client = bench.client("one")
    order = [claim.job for _ in jobs if (claim := next_claim(bench, client))]
    assert {job: index for index, job in enumerate(order)} == positions


def test_a_position_is_found_without_a_scan(bench: Bench) -> None:
    """The commands that it takes grow with owners that wait, not with their jobs."""

    def commands() -> int:
        bench.redis.config_resetstat()
        bench.jobs.fetch("b", job)
        stats = bench.redis.info("commandstats")
        return sum(stat["calls"] for stat in stats.values())

    submit(bench, "a", 5)
    (job,) = submit(bench, "b")
    few = commands()
    submit(bench, "a", 200)
    assert commands() <= few + 1


def test_what_is_put_back_stands_first_among_its_owners(bench: Bench) -> None:
    first, second, third = submit(bench, "a", 3)
    client = bench.client("one")
    claims = client.look([], 2, rooms(bench, "tiny-vae", rows=2), STAMP).claims
    client.release(claims)
    queue = "rq:queue:" + claims[0].record["origin"]
    assert bench.redis.lrange(queue, 0, -1) == [first, second, third]
    order = [claim.job for _ in range(3) if (claim := next_claim(bench, client))]
    assert order == [first, second, third]
    assert bench.redis.keys("atelier:waiting:*") == []
    assert bench.redis.keys("atelier:owners:*") == []


def test_rq_may_take_a_job_out_of_its_queue_or_put_it_in_again(bench: Bench) -> None:
    removed, kept, requeued = submit(bench, "a", 3)
    queue = "rq:queue:" + bench.record(removed)["origin"]
    client = bench.client("one")
    bench.jobs.cancel("a", requeued)
    bench.redis.lrem(queue, 1, removed)
    with redis.Redis.from_url(bench.settings.redis_address) as raw:
        bench.redis.hset(f"rq:job:{requeued}", "status", "failed")
        bench.redis.zadd(queue.replace("queue", "failed", 1), {requeued: 4102444800})
        RQJob.fetch(requeued, raw, JSONSerializer).requeue()
    order = [claim.job if (claim := next_claim(bench, client)) else None for _ in range(3)]
    assert order == [kept, requeued, None]
    assert bench.record(removed)["status"] == "queued"


def test_while_others_are_about_an_owner_takes_no_more_than_its_share(bench: Bench) -> None:
    submit(bench, "a", 8)
    client = bench.client("one")
    share = Share(3, {"b": 1})
    capacity = rooms(bench, "tiny-vae", rows=8, share=share)
    look = client.look([], 4, capacity, STAMP, Share(4, {}))
    assert (len(look.claims), look.shared) == (4, False), "alone it takes all there is"
    client.release(look.claims)
    submit(bench, "b", 8)
    look = client.look([], 8, capacity, STAMP, Share(6, {}))
    assert look.shared
    assert [claim.record["owner"] for claim in look.claims] == ["b", "a", "a", "a"]
