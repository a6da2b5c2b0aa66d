"""The table of modalities: a row is a method of both clients and a command of `atelier generate`.

A service may have other modalities. `client.generate("name", ...)` and `atelier generate name`
work for all of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, overload

R = TypeVar("R")

IMAGE_FORMATS = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
AUDIO_FORMATS = {".wav": "wav", ".flac": "flac", ".mp3": "mp3", ".ogg": "ogg", ".mid": "midi"}
VIDEO_FORMATS = {".mp4": "mp4", ".webp": "webp", ".gif": "gif"}
TEXT_FORMATS = {".txt": "txt", ".md": "md"}


class Generate(Generic[R]):
    """The method that submits jobs of one modality."""

    def __init__(self, name: str, argument: str, submit: Callable[[str, Mapping[str, Any]], R]):
        self._name, self._argument, self._submit = name, argument, submit

    def __call__(
        self,
        argument: str | None = None,
        /,
        *,
        model: str | None = None,
        n: int | None = None,
        seed: int | None = None,
        output_format: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **params: Any,
    ) -> R:
        """Submits a job. The service has a default for each argument that is None.

        `params` are the model's own, as `model(id)["params"]` describes them.
        """
        common = {
            self._argument: argument,
            "model": model,
            "n": n,
            "seed": seed,
            "output_format": output_format,
            "metadata": metadata and dict(metadata),
        }
        body = {name: value for name, value in common.items() if value is not None}
        return self._submit(self._name, body | params)


class Modality:
    """A row of the table. As an attribute of a client it is the method that submits its jobs.

    `name` is that of its route. `argument` is the param that may be given without its name.
    `formats` are the output formats by the endings of files.
    """

    def __init__(self, name: str, argument: str, formats: Mapping[str, str], summary: str) -> None:
        self.name, self.argument, self.formats = name, argument, formats
        self.summary = summary.partition("\n\n")[0]
        self.__doc__ = summary

    @overload
    def __get__(self, client: None, owner: type) -> "Modality": ...

    @overload
    def __get__(self, client: "Modalities[R]", owner: type) -> Generate[R]: ...

    def __get__(self, client: "Modalities[R] | None", owner: type) -> "Modality | Generate[R]":
        if client is None:
            return self
        method = Generate(self.name, self.argument, client.submit)
        method.__doc__ = self.__doc__
        return method


class Modalities(Generic[R]):
    """The methods that submit jobs. They return what `submit` returns."""

    image = Modality(
        "image",
        "model",
        IMAGE_FORMATS,
        """Generates images.

        Params are class_label, steps, sampler and others; `init_image`, the `sha256` of an
        uploaded image; `interpolate={"to_seed": 8, "frames": 16}`; `grid=True` for a sheet too.
        """,
    )
    text_to_image = Modality(
        "text-to-image",
        "prompt",
        IMAGE_FORMATS,
        """Generates images of what a prompt describes. `notes` lists its unknown words.

        Params are negative_prompt, style, steps, guidance_scale, upscale and others; `init_image`
        and `mask`, the `sha256` of uploaded images.
        """,
    )
    audio = Modality(
        "audio",
        "style",
        AUDIO_FORMATS,
        """Generates music. Without a style the service chooses one, and `notes` names it.

        Params are seconds, tempo, key, temperature, top_p and others; `score`, the `sha256` of an
        uploaded MIDI file. `Job.stream` yields the audio while it is made.
        """,
    )
    video = Modality(
        "video",
        "prompt",
        VIDEO_FORMATS,
        """Generates a video of what a prompt describes, with a poster and a sheet of its frames.

        Params are frames, fps, repeat, style, steps, upscale and others; `init_image`, the
        `sha256` of an uploaded image to animate.
        """,
    )
    story = Modality(
        "story",
        "prompt",
        TEXT_FORMATS,
        """Writes a story about a prompt. `kind="poem"` writes a poem, `kind="continuation"`
        continues `text`, and `kind="chat"` answers `messages`.

        Params are style, title, max_tokens, temperature, top_p, stop and others. An output's
        `text` is the result. `Job.deltas` yields it while it is written.
        """,
    )

    def submit(
        self, modality: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> R:
        """POST /generate/{modality}. The same key and body return the same job."""
        raise NotImplementedError

    def generate(self, modality: str, argument: str | None = None, /, **options: Any) -> R:
        """Submits a job of any modality that the service has. `argument` is the prompt."""
        row = BY_NAME.get(modality)
        return Generate(modality, row.argument if row else "prompt", self.submit)(
            argument, **options
        )


BY_NAME = {row.name: row for row in vars(Modalities).values() if isinstance(row, Modality)}
