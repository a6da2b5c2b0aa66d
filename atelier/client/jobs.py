"""Jobs and their outputs, as `Client` and as `AsyncClient` return them."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Self

from atelier.client.display import is_png, job_html, output_html
from atelier.client.drivers import AsyncDriver, Driver
from atelier.client.errors import WaitTimeout
from atelier.client.sse import Event
from atelier.client.views import JobView, OutputView


class Output(OutputView[Driver]):
    """An artifact of a job. A notebook shows it: a picture, a text, or a player."""

    def read(self) -> bytes:
        """Returns its bytes. Raises GoneError once its time to live has passed."""
        return self._client.run(self._read())

    def save(self, path: str | Path) -> Path:
        """Writes it to a file, whole or not at all."""
        return self._client.run(self._save(path))

    def _repr_png_(self) -> bytes | None:
        return self.read() if is_png(self) else None

    def _repr_html_(self) -> str | None:
        """Returns None for a PNG, which `_repr_png_` shows."""
        return None if is_png(self) else output_html(self, self.read)


class Job(JobView[Driver]):
    """A job. A notebook shows its status and outputs."""

    @property
    def outputs(self) -> list[Output]:
        return [Output(self._client, x) for x in self.data["outputs"]]

    def refresh(self) -> Self:
        """Fetches its current state."""
        return self._client.run(self._fetch("GET", self.path))

    def again(self) -> "Job":
        """Returns its current state as another Job. This one stays as it is."""
        return Job(self._client, self.data).refresh()

    def cancel(self) -> Self:
        """Asks the service to end it. A job that has ended stays as it is."""
        return self._client.run(self._fetch("POST", f"{self.path}/cancel"))

    def delete(self) -> None:
        """Deletes it and the artifacts that no other job shares. A deleted job stays deleted."""
        self._client.run(self._delete())

    def wait(self, timeout: float | None = None) -> Self:
        """Waits until it ends, at most `timeout` seconds.

        Raises JobFailed, JobCanceled, WaitTimeout.
        """
        try:
            return self._client.run(self._wait(), timeout)
        except TimeoutError:
            raise WaitTimeout(self, timeout or 0) from None

    def events(self) -> Generator[Event, None, None]:
        """Yields each event once, from a snapshot to its end, over dropped connections."""
        return self._client.iterate(self._events(lambda event: (event,)))

    def deltas(self, index: int = 0) -> Generator[str, None, None]:
        """Yields an item's text while it is written, in chunks, over dropped connections.

        Raises JobFailed, JobCanceled or TextChangedError after the last chunk.
        """
        return self._client.iterate(self._deltas(index))

    def stream(self, index: int = 0) -> Generator[bytes, None, None]:
        """Yields an item's audio while it is made: a WAV file whose header states no length.

        It comes in chunks, over dropped connections. Raises JobFailed or JobCanceled after the
        last chunk.
        """
        return self._client.iterate(self._audio(index, lambda chunk: (chunk,)))

    def listen(self, path: str | Path, index: int = 0) -> Path:
        """Writes an item's audio to a WAV file while it is made, so that a player can follow."""
        return self._client.run(self._listen(path, index))

    def _repr_html_(self) -> str:
        return job_html(self, [(output, output.read) for output in self.outputs])


class AsyncOutput(OutputView[AsyncDriver]):
    """`Output` for asyncio."""

    async def read(self) -> bytes:
        return await self._client.run(self._read())

    async def save(self, path: str | Path) -> Path:
        return await self._client.run(self._save(path))


class AsyncJob(JobView[AsyncDriver]):
    """`Job` for asyncio: calls are awaited, streams are read with `async for`."""

    @property
    def outputs(self) -> list[AsyncOutput]:
        return [AsyncOutput(self._client, x) for x in self.data["outputs"]]

    async def refresh(self) -> Self:
        return await self._client.run(self._fetch("GET", self.path))

    async def again(self) -> "AsyncJob":
        return await AsyncJob(self._client, self.data).refresh()

    async def cancel(self) -> Self:
        return await self._client.run(self._fetch("POST", f"{self.path}/cancel"))

    async def delete(self) -> None:
        await self._client.run(self._delete())

    async def wait(self, timeout: float | None = None) -> Self:
        try:
            return await self._client.run(self._wait(), timeout)
        except TimeoutError:
            raise WaitTimeout(self, timeout or 0) from None

    def events(self) -> AsyncGenerator[Event, None]:
        return self._client.iterate(self._events(lambda event: (event,)))

    def deltas(self, index: int = 0) -> AsyncGenerator[str, None]:
        return self._client.iterate(self._deltas(index))

    def stream(self, index: int = 0) -> AsyncGenerator[bytes, None]:
        return self._client.iterate(self._audio(index, lambda chunk: (chunk,)))

    async def listen(self, path: str | Path, index: int = 0) -> Path:
        return await self._client.run(self._listen(path, index))
