"""Flows: a flow is driven by hand, and both drivers carry out the same steps."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from atelier import AsyncClient, Client, ServerError
from atelier.client.flows import Block, Emit, Flow, Pause, Receive, Send, Stream, call, receive
from atelier.client.modalities import ROWS
from atelier.client.sse import Event, EventReader
from models.modalities import MODALITIES
from tests.atelier.client.test_service_schema import App, Service, serving


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, App]]:
    with serving() as served:
        yield served


@pytest.fixture
def service(running: tuple[str, App]) -> Service:
    _, app = running
    app.service = Service()
    return app.service


def response(status: int = 200, **headers: str) -> httpx.Response:
    request = httpx.Request("GET", "http://x/models")
    return httpx.Response(status, headers=headers, request=request)


def test_a_call_pauses_and_sends_the_same_request_again() -> None:
    request = Send("GET", "/models")
    flow = call(request, max_retries=2)
    assert flow.send(None) is request
    pause = flow.send(httpx.ConnectError("refused"))
    assert isinstance(pause, Pause)
    assert pause.seconds > 0
    assert flow.send(None) is request
    with pytest.raises(StopIteration) as end:
        flow.send(answer := response())
    assert end.value.value is answer


def test_a_call_gives_up_after_its_retries() -> None:
    flow = call(Send("GET", "/models"), max_retries=0)
    flow.send(None)
    with pytest.raises(ServerError):
        flow.send(response(503))


def test_a_stream_connects_again_where_it_broke() -> None:
    stream = receive("/events", EventReader(3), lambda event: (event,))
    first = stream.send(None)
    assert isinstance(first, Send)
    assert first.streamed
    opened = response(**{"content-type": "text/event-stream"})
    assert isinstance(stream.send(opened), Receive)
    emitted = stream.send(b"id: 7\nevent: status\ndata: {}\n\n")
    assert emitted == Emit(Event("status", {}, "7"))
    assert isinstance(stream.send(None), Receive)
    assert isinstance(stream.send(httpx.ReadError("broken")), Pause)
    second = stream.send(None)
    assert isinstance(second, Send)
    assert second.headers is not None
    assert second.headers["Last-Event-ID"] == "7"


def every_step() -> Stream[object]:
    """Emits the outcome of each kind of step."""
    yield Emit((yield Block(lambda: "read")))
    yield Pause(0)
    models = yield Send("GET", "/models")
    yield Emit(models.json()["data"][0]["id"])
    missing = yield Send("GET", "/jobs/none/events", streamed=True)
    yield Emit(missing.json()["error"]["code"])
    yield Emit(isinstance((yield Send("GET", "http://127.0.0.1:1/")), httpx.TransportError))


OUTCOMES = ["read", "vae-fashion", "job_not_found", True]


def test_both_drivers_carry_out_every_step(running: tuple[str, App], service: Service) -> None:
    async def iterate() -> list[object]:
        async with AsyncClient(running[0]) as client:
            return [item async for item in client.iterate(every_step())]

    with Client(running[0]) as client:
        assert list(client.iterate(every_step())) == OUTCOMES
    assert asyncio.run(iterate()) == OUTCOMES


def test_a_flow_is_closed_when_its_time_is_over(running: tuple[str, App]) -> None:
    ends: list[str] = []

    def flow() -> Flow[None]:
        try:
            while True:
                yield Pause(0.001)
        finally:
            ends.append("closed")

    async def wait() -> None:
        async with AsyncClient(running[0]) as client:
            with pytest.raises(TimeoutError):
                await client.run(flow(), timeout=0.01)

    with Client(running[0]) as client, pytest.raises(TimeoutError):
        client.run(flow(), timeout=0.01)
    asyncio.run(wait())
    assert ends == ["closed"] * 2


def test_each_modality_has_a_method_with_a_docstring() -> None:
    assert ROWS.keys() == MODALITIES.keys()


@pytest.mark.parametrize("modality", ROWS)
def test_a_row_is_a_method_of_both_clients(running: tuple[str, App], modality: str) -> None:
    row = ROWS[modality]
    client, other = Client(running[0]), AsyncClient(running[0])
    for each in (client, other):
        method = getattr(each, modality.replace("-", "_"))
        assert method.__doc__ == row.__doc__
    client.close()
    asyncio.run(other.close())


def test_any_modality_is_generated_by_its_name(running: tuple[str, App], service: Service) -> None:
    async def ask() -> str:
        async with AsyncClient(running[0]) as client:
            return (await client.generate("toy", "a hen", size=3)).id

    with Client(running[0]) as client:
        job = client.generate("toy", "a hen", n=2, seed=1, size=3)
        assert service.jobs[job.id]["input"] == {"prompt": "a hen", "n": 2, "seed": 1, "size": 3}
        job = client.generate("audio", "jazz")
        assert service.jobs[job.id]["input"] == {"style": "jazz"}
    assert service.jobs[asyncio.run(ask())]["input"] == {"prompt": "a hen", "size": 3}
    assert service.asked[0].url.path == "/generate/toy"


def test_an_unknown_modality_is_no_method(running: tuple[str, App]) -> None:
    with Client(running[0]) as client:
        assert not hasattr(client, "hard_toy")
