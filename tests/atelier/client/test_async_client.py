"""AsyncClient: the same answers as Client's, awaited."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from atelier import (
    AsyncClient,
    ConnectionFailed,
    GoneError,
    JobCanceled,
    JobFailed,
    NotFoundError,
    RateLimitError,
    WaitTimeout,
)
from tests.atelier.client.test_service_schema import PNG, SHA, App, Service, refusal, serving

Story = Callable[[AsyncClient], Awaitable[None]]
Tell = Callable[[Story], None]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, App]]:
    with serving() as served:
        yield served


@pytest.fixture
def service(running: tuple[str, App]) -> Service:
    _, app = running
    app.service = Service()
    return app.service


@pytest.fixture
def tell(running: tuple[str, App], service: Service) -> Tell:
    """Runs a story with a client of the service."""

    async def run(story: Story) -> None:
        async with AsyncClient(running[0]) as client:
            await story(client)

    return lambda story: asyncio.run(run(story))


def test_a_job_is_made_followed_and_saved(tell: Tell, service: Service, tmp_path: Path) -> None:
    async def story(client: AsyncClient) -> None:
        job = await client.image(seed=5, n=1, temperature=0.5)
        service.work(job.id)
        seen = [event async for event in job.events()]
        assert [e.id for e in seen] == ["1-0", "2-0", "3-0", "4-0", "5-0"]
        assert (await job.wait()).status == "completed"
        (output,) = job.outputs
        assert (output.sha256, output.seed, await output.read()) == (SHA, 5, PNG)
        path = await output.save(tmp_path / "a.png")
        assert path.read_bytes() == PNG
        service.files.clear()
        with pytest.raises(GoneError):
            await output.read()

    tell(story)


def test_drops_in_mid_stream_lose_and_repeat_nothing(tell: Tell, service: Service) -> None:
    async def story(client: AsyncClient) -> None:
        job = await client.image()
        service.work(job.id)
        service.drops = [600, 5]
        assert [e.id async for e in job.events()] == ["1-0", "2-0", "3-0", "4-0", "5-0"]
        assert service.drops == []

    tell(story)


@pytest.mark.slow
def test_a_submit_that_is_tried_again_makes_one_job(tell: Tell, service: Service) -> None:
    async def story(client: AsyncClient) -> None:
        service.refusals.append(refusal(429, "queue_full", {"Retry-After": "0"}))
        service.breaks = 1
        job = await client.image()
        assert len(service.asked) == 3
        assert len({r.headers["idempotency-key"] for r in service.asked}) == 1
        assert list(service.jobs) == [job.id]

    tell(story)


def test_what_a_retry_cannot_cure_is_told_at_once(tell: Tell, service: Service) -> None:
    async def story(client: AsyncClient) -> None:
        service.refusals.append(refusal(429, "quota_exceeded", {"x-should-retry": "false"}))
        with pytest.raises(RateLimitError):
            await client.image()
        assert len(service.asked) == 1

    tell(story)


def test_ends_without_a_result_are_raised(tell: Tell, service: Service) -> None:
    async def story(client: AsyncClient) -> None:
        failed, canceled = await client.image(), await client.image()
        service.work(failed.id, status="failed")
        with pytest.raises(JobFailed, match="too big") as caught:
            await failed.wait()
        assert caught.value.job is failed
        await canceled.cancel()
        with pytest.raises(JobCanceled):
            await canceled.wait()
        service.breaks = 1
        await canceled.delete()  # again, since the first answer broke off
        with pytest.raises(NotFoundError):
            await canceled.refresh()

    tell(story)


def test_waits_end_in_time_and_side_by_side(tell: Tell, service: Service) -> None:
    async def story(client: AsyncClient) -> None:
        job = await client.image()
        service.log.append(("status", dict(job.data)))
        service.hangs = True
        others = [await client.job(job.id) for _ in range(5)]
        ends = await asyncio.gather(*(j.wait(0.3) for j in others), return_exceptions=True)
        assert [type(end) for end in ends] == [WaitTimeout] * 5
        service.hangs = False
        service.work(job.id)
        assert (await job.wait(20)).status == "completed"

    tell(story)


def test_lists_cards_and_uploads(tell: Tell, service: Service, tmp_path: Path) -> None:
    async def story(client: AsyncClient) -> None:
        ids = [(await client.image()).id for _ in range(5)][::-1]
        service.page = 2
        assert [job.id async for job in client.jobs()] == ids
        assert [job.id async for job in client.jobs(limit=3)] == ids[:3]
        assert [card["id"] for card in await client.models()] == ["vae-fashion", "a/b"]
        assert await client.model("a/b") == {"id": "a/b"}
        file = tmp_path / "x.png"
        file.write_bytes(b"picture")
        stored = await client.upload(file)
        assert service.files[stored["sha256"]] == b"picture"

    tell(story)


def test_nobody_there() -> None:
    async def story() -> None:
        async with AsyncClient("http://127.0.0.1:1", max_retries=0) as client:
            with pytest.raises(ConnectionFailed):
                await client.models()

    asyncio.run(story())
