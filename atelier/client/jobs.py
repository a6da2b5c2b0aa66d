"""Jobs and their files as a caller holds them: what they are, and what can be done with them.

The views know no I/O; Job and AsyncJob, Output and AsyncOutput are the same calls, made either way.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing, suppress
from pathlib import Path
from typing import Any, Self

import httpx

from app.core.text_assembly import ItemTexts, TextChanged
from atelier.client.audio_stream import Hearing, SoundFile
from atelier.client.errors import NotFoundError, TextChangedError, WaitTimeout, json_of
from atelier.client.sse import Event, Following
from atelier.client.transport import AsyncTransport, Transport
from atelier.client.views import PATIENCE, JobView, OutputView, left, write_whole


class Output(OutputView):
    def __init__(self, client: Transport, data: dict[str, Any]) -> None:
        super().__init__(data)
        self._client = client

    def read(self) -> bytes:
        """Its bytes. Raises GoneError once its time to live has passed."""
        return self._client.call("GET", self.path).content

    def save(self, path: str | Path) -> Path:
        """Write it to a file, which is there whole or not at all."""
        return write_whole(Path(path), self.read())


class Job(JobView):
    def __init__(self, client: Transport, data: dict[str, Any]) -> None:
        super().__init__(data)
        self._client = client

    @property
    def outputs(self) -> list[Output]:
        return [Output(self._client, x) for x in self.data["outputs"]]

    def refresh(self) -> Self:
        self.data = json_of(self._client.call("GET", self.path))
        return self

    def again(self) -> "Job":
        """The job as it is now, beside this one, which stays as it is."""
        return Job(self._client, json_of(self._client.call("GET", self.path)))

    def cancel(self) -> Self:
        """Ask for its end; one that has ended stays as it is."""
        self.data = json_of(self._client.call("POST", f"{self.path}/cancel"))
        return self

    def delete(self) -> None:
        """Remove it and the artifacts that no other job shares; one that is gone stays gone.

        So a delete that is tried again, since its answer broke off, has done what it was to do.
        """
        with suppress(NotFoundError):
            self._client.call("DELETE", self.path)

    def wait(self, timeout: float | None = None) -> Self:
        """Until it ends, or that many seconds. Raises JobFailed, JobCanceled, WaitTimeout."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        try:
            if not self.ended:
                with closing(self._follow(until)) as events:
                    for _ in events:
                        continue
        except TimeoutError:
            raise WaitTimeout(self, timeout or 0) from None
        self.check()
        return self

    def events(self) -> Generator[Event, None, None]:
        """What it does, from a snapshot to its end, each once, over dropped connections."""
        return self._follow(math.inf)

    def deltas(self, index: int = 0) -> Generator[str, None, None]:
        """An item's text as it is written, in pieces that put together are the text.

        Over dropped connections too. Raises JobFailed, JobCanceled or TextChangedError after what
        there was of it.
        """
        pieces = ItemTexts(only=index)
        try:
            with closing(self.events()) as events:
                for event in events:
                    yield from (text for _, text in pieces.take(event.name, event.data))
        except TextChanged:
            raise TextChangedError(self) from None
        self.check()

    def stream(self, index: int = 0) -> Generator[bytes, None, None]:
        """An item's sound as it is made: a WAV file that doesn't say how long it is, in pieces.

        Over dropped connections too. Raises JobFailed or JobCanceled after what there was of it.
        """
        hearing = Hearing(self._client.max_retries * PATIENCE)
        while not hearing.ended:
            try:
                yield from self._sound(hearing, index)
            except httpx.TransportError as error:
                hearing.closed(error)
            if not hearing.ended:
                time.sleep(hearing.pause)
        self.refresh().check()

    def _sound(self, hearing: Hearing, index: int) -> Generator[bytes, None, None]:
        with self._client.stream(f"{self.path}/audio?index={index}", {}, math.inf) as answer:
            if answer.is_success:
                hearing.opened(answer)
                for piece in answer.iter_bytes():
                    yield from hearing.feed(piece)
            else:
                answer.read()
        hearing.closed(answer)

    def listen(self, path: str | Path, index: int = 0) -> Path:
        """Write an item's sound to a WAV file as it is made, so that a player can read along."""
        with SoundFile(Path(path)) as file, closing(self.stream(index)) as pieces:
            for piece in pieces:
                file.write(piece)
        return file.path

    def _follow(self, until: float) -> Generator[Event, None, None]:
        """Raises TimeoutError at the time `until`, by the monotonic clock."""
        following = Following(self._client.max_retries * PATIENCE)
        while not following.ended:
            try:
                yield from self._connection(following, until)
            except httpx.TransportError as error:
                left(until)
                following.closed(error)
            if not following.ended:
                time.sleep(min(following.pause, left(until)))
        if not self.ended:
            self.refresh()

    def _connection(self, following: Following, until: float) -> Generator[Event, None, None]:
        headers = following.headers
        with self._client.stream(f"{self.path}/events", headers, left(until)) as answer:
            if answer.is_success:
                following.opened(answer)
                for piece in answer.iter_bytes():
                    for event in following.feed(piece):
                        self.take(event)
                        yield event
            else:
                answer.read()
        following.closed(answer)


class AsyncOutput(OutputView):
    def __init__(self, client: AsyncTransport, data: dict[str, Any]) -> None:
        super().__init__(data)
        self._client = client

    async def read(self) -> bytes:
        """Its bytes. Raises GoneError once its time to live has passed."""
        return (await self._client.call("GET", self.path)).content

    async def save(self, path: str | Path) -> Path:
        """Write it to a file, which is there whole or not at all."""
        return await asyncio.to_thread(write_whole, Path(path), await self.read())


class AsyncJob(JobView):
    def __init__(self, client: AsyncTransport, data: dict[str, Any]) -> None:
        super().__init__(data)
        self._client = client

    @property
    def outputs(self) -> list[AsyncOutput]:
        return [AsyncOutput(self._client, x) for x in self.data["outputs"]]

    async def refresh(self) -> Self:
        self.data = json_of(await self._client.call("GET", self.path))
        return self

    async def cancel(self) -> Self:
        """Ask for its end; one that has ended stays as it is."""
        self.data = json_of(await self._client.call("POST", f"{self.path}/cancel"))
        return self

    async def delete(self) -> None:
        """Remove it and the artifacts that no other job shares; one that is gone stays gone.

        So a delete that is tried again, since its answer broke off, has done what it was to do.
        """
        with suppress(NotFoundError):
            await self._client.call("DELETE", self.path)

    async def wait(self, timeout: float | None = None) -> Self:
        """Until it ends, or that many seconds. Raises JobFailed, JobCanceled, WaitTimeout."""
        try:
            if not self.ended:
                async with asyncio.timeout(timeout), aclosing(self.events()) as events:
                    async for _ in events:
                        continue
        except TimeoutError:
            raise WaitTimeout(self, timeout or 0) from None
        self.check()
        return self

    async def events(self) -> AsyncGenerator[Event, None]:
        """What it does, from a snapshot to its end, each once, over dropped connections."""
        following = Following(self._client.max_retries * PATIENCE)
        while not following.ended:
            try:
                async with aclosing(self._connection(following)) as events:
                    async for event in events:
                        yield event
            except httpx.TransportError as error:
                following.closed(error)
            if not following.ended:
                await asyncio.sleep(following.pause)
        if not self.ended:
            await self.refresh()

    async def deltas(self, index: int = 0) -> AsyncGenerator[str, None]:
        """An item's text as it is written, as with `Job.deltas`."""
        pieces = ItemTexts(only=index)
        try:
            async with aclosing(self.events()) as events:
                async for event in events:
                    for _, text in pieces.take(event.name, event.data):
                        yield text
        except TextChanged:
            raise TextChangedError(self) from None
        self.check()

    async def stream(self, index: int = 0) -> AsyncGenerator[bytes, None]:
        """An item's sound as it is made, as with `Job.stream`."""
        hearing = Hearing(self._client.max_retries * PATIENCE)
        while not hearing.ended:
            try:
                async with aclosing(self._sound(hearing, index)) as pieces:
                    async for piece in pieces:
                        yield piece
            except httpx.TransportError as error:
                hearing.closed(error)
            if not hearing.ended:
                await asyncio.sleep(hearing.pause)
        (await self.refresh()).check()

    async def _sound(self, hearing: Hearing, index: int) -> AsyncGenerator[bytes, None]:
        async with self._client.stream(f"{self.path}/audio?index={index}", {}) as answer:
            if answer.is_success:
                hearing.opened(answer)
                async for piece in answer.aiter_bytes():
                    for new in hearing.feed(piece):
                        yield new
            else:
                await answer.aread()
        hearing.closed(answer)

    async def listen(self, path: str | Path, index: int = 0) -> Path:
        """Write an item's sound to a WAV file as it is made, so that a player can read along."""
        with SoundFile(Path(path)) as file:
            async with aclosing(self.stream(index)) as pieces:
                async for piece in pieces:
                    file.write(piece)
        return file.path

    async def _connection(self, following: Following) -> AsyncGenerator[Event, None]:
        async with self._client.stream(f"{self.path}/events", following.headers) as answer:
            if answer.is_success:
                following.opened(answer)
                async for piece in answer.aiter_bytes():
                    for event in following.feed(piece):
                        self.take(event)
                        yield event
            else:
                await answer.aread()
        following.closed(answer)
