"""The service from Python: Client here, and AsyncClient, which is the same with awaitables.

1. A submit carries an Idempotency-Key, so a call that is tried again makes no second job; every
   other native call is idempotent by itself. So all calls are tried again, a few times, where
   that may help: no answer, 429, 503. When, `errors.pause_before_retry` says.
2. Events are followed at the server's pace; nothing is asked for twice in the hope of news.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from atelier.client.errors import Outcome, checked, json_of, pause_before_retry
from atelier.client.jobs import Job
from atelier.client.requests import (
    Card,
    Listing,
    body_of,
    cut_after,
    file_of,
    key_header,
    model_path,
    stream_limits,
    submission,
    url_of,
)
from atelier.client.transport import Query
from atelier.client.views import job_path


class Client:
    """A connection to a service; a context manager. Threads may share it.

    `timeout` is for one call, in seconds; a wait for a job has its own.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30,
        max_retries: int = 3,
    ) -> None:
        self.max_retries = max_retries
        self._http = httpx.Client(
            base_url=url_of(base_url), headers=key_header(api_key), timeout=timeout
        )

    def image(
        self,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Job:
        """Ask for pictures. `params` are the model's own: see `model(id)["params"]`.

        Such as class_label, steps and sampler; `init_image`, the `sha256` of what was `upload`ed;
        `interpolate={"to_seed": 8, "frames": 16}`; `grid=True` for one sheet of all besides.
        """
        common = body_of(model, n, seed, output_format, metadata)
        return self.submit("image", common | params)

    def text_to_image(
        self,
        prompt: str,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Job:
        """Ask for pictures of what words say; words that were not understood are in `notes`.

        `params` are the model's own: negative_prompt, style, steps, guidance_scale, upscale;
        `init_image` and `mask`, the `sha256` of what was `upload`ed.
        """
        common = body_of(model, n, seed, output_format, metadata)
        return self.submit("text-to-image", {"prompt": prompt} | common | params)

    def audio(
        self,
        style: str | None = None,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Job:
        """Ask for music; a style that is left out is drawn, and told in `notes`.

        `params` are the model's own: seconds, tempo, key, temperature, top_p; `score`, the `sha256`
        of a MIDI file that was `upload`ed. `Job.stream` gives the sound as it is made.
        """
        common = body_of(model, n, seed, output_format, metadata)
        named = {} if style is None else {"style": style}
        return self.submit("audio", named | common | params)

    def video(
        self,
        prompt: str,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Job:
        """Ask for a video of what words say: `outputs` are the video, a poster and a sheet.

        `params` are the model's own: frames, fps, repeat, style, steps, upscale; `init_image`, the
        `sha256` of a picture that was `upload`ed, is set in motion.
        """
        common = body_of(model, n, seed, output_format, metadata)
        return self.submit("video", {"prompt": prompt} | common | params)

    def story(
        self,
        prompt: str | None = None,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Job:
        """Ask for a story about `prompt`; with `kind="poem"` for a poem, with `"continuation"` for
        what follows `text`, with `"chat"` for an answer to `messages`.

        `params` are the model's own: kind, style, title, max_tokens, temperature, top_p, stop. An
        output's `text` is what was written; `Job.deltas` gives it as it is written.
        """
        common = body_of(model, n, seed, output_format, metadata)
        named = {} if prompt is None else {"prompt": prompt}
        return self.submit("story", named | common | params)

    def submit(
        self, route: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Job:
        """POST /generate/{route}. The same key and body give the same job, from any process."""
        content, headers = submission(body, idempotency_key)
        return Job(self, json_of(self.call("POST", f"/generate/{route}", content, headers)))

    def job(self, job_id: str) -> Job:
        return Job(self, json_of(self.call("GET", job_path(job_id))))

    def jobs(
        self,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 (the API's word)
        limit: int | None = None,
        full: bool = False,
    ) -> Iterator[Job]:
        """Your jobs, newest first, at most `limit`; pages are asked for as they are read.

        Long texts are left out, and `data["omitted"]` names them, unless `full` is true.
        """
        listing = Listing(status, type, limit, full)
        while listing.open:
            for data in listing.take(self.call("GET", "/jobs", query=listing.query)):
                yield Job(self, data)

    def models(self) -> list[Card]:
        cards: list[Card] = json_of(self.call("GET", "/models"))["data"]
        return cards

    def model(self, model_id: str) -> Card:
        card: Card = json_of(self.call("GET", model_path(model_id)))
        return card

    def upload(self, source: str | Path | bytes, content_type: str | None = None) -> Card:
        """Store an input, from a path or from memory; requests name its `sha256`."""
        content, headers = file_of(source, content_type)
        stored: Card = json_of(self.call("POST", "/artifacts", content, headers))
        return stored

    def call(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> httpx.Response:
        """Any call, tried again where that may help. Raises APIError, ConnectionFailed."""
        request = self._http.build_request(
            method, path, content=content, headers=headers, params=query
        )
        tries = 0
        while (outcome := self._try(request, tries)) is None:
            tries += 1
        return outcome

    def _try(self, request: httpx.Request, tries: int) -> httpx.Response | None:
        """The answer, or None after a rest, if the call is to be tried again."""
        outcome: Outcome
        try:
            outcome = self._http.send(request)
        except httpx.TransportError as error:
            outcome = error
        pause = pause_before_retry(outcome, tries, self.max_retries)
        if pause is None:
            return checked(outcome)
        time.sleep(pause)
        return None

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], seconds: float
    ) -> Generator[httpx.Response, None, None]:
        """An answer that is read as it comes, for so many seconds at most; tried once."""
        limits = stream_limits(self._http.timeout, seconds)
        with (
            self._http.stream("GET", path, headers=headers, timeout=limits) as answer,
            cut_after(answer, seconds),
        ):
            yield answer

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
