"""The methods that generate: one for each modality, with the params that its docstring names.

For a modality that only the service has, call `client.generate("name", ...)`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, overload

R = TypeVar("R")


class Generate(Generic[R]):
    """The method that submits jobs of one modality."""

    def __init__(self, name: str, argument: str, submit: Callable[[str, Mapping[str, Any]], R]):
        self._name, self._argument, self._submit = name, argument, submit

    def __call__(
        self,
        argument: str | list[str] | None = None,
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


class ModalityMethod:
    """The attribute of a client class that is a `Generate` on its instances.

    `argument` is the param that may be given without its name.
    """

    def __init__(self, modality: str, argument: str, doc: str) -> None:
        self.modality, self.argument = modality, argument
        self.__doc__ = doc

    @overload
    def __get__(self, client: None, owner: type) -> "ModalityMethod": ...

    @overload
    def __get__(self, client: "Modalities[R]", owner: type) -> Generate[R]: ...

    def __get__(
        self, client: "Modalities[R] | None", owner: type
    ) -> "ModalityMethod | Generate[R]":
        if client is None:
            return self
        method = Generate(self.modality, self.argument, client.submit)
        method.__doc__ = self.__doc__
        return method


class Modalities(Generic[R]):
    """The methods that submit jobs. They return what `submit` returns."""

    image = ModalityMethod(
        "image",
        "model",
        """Generates images.

        Params are class_label, steps, sampler and others; `init_image`, the `sha256` of an
        uploaded image; `interpolate={"to_seed": 8, "frames": 16}`; `grid=True` for a sheet too.
        """,
    )
    text_to_image = ModalityMethod(
        "text-to-image",
        "prompt",
        """Generates images of what a prompt describes. `notes` lists its unknown words.

        Params are negative_prompt, style, steps, guidance_scale, upscale and others; `init_image`
        and `mask`, the `sha256` of uploaded images.
        """,
    )
    audio = ModalityMethod(
        "audio",
        "style",
        """Generates music. Without a style the service chooses one, and `notes` names it.

        Params are seconds, tempo, key, temperature, top_p and others; `score`, the `sha256` of an
        uploaded MIDI file. `Job.stream` yields the audio while it is made.
        """,
    )
    video = ModalityMethod(
        "video",
        "prompt",
        """Generates a video of what a prompt describes, with a poster and a sheet of its frames.

        Params are frames, fps, repeat, style, steps, upscale and others; `init_image`, the
        `sha256` of an uploaded image to animate.
        """,
    )
    story = ModalityMethod(
        "story",
        "prompt",
        """Writes a story about a prompt. `kind="poem"` writes a poem, `kind="continuation"`
        continues `text`, and `kind="chat"` answers `messages`.

        Params are style, form, title, max_tokens, temperature, top_p, stop and others. An output's
        `text` is the result. `Job.deltas` yields it while it is written.
        """,
    )

    embedding = ModalityMethod(
        "embedding",
        "texts",
        """Turns a list of texts into vectors, by which texts of like meaning are near.

        The output is a NumPy file: `numpy.load(io.BytesIO(output.read()))` has a row for each
        text. With `output_format="json"` it is JSON, with the rows as `vectors`.
        """,
    )

    def submit(
        self, modality: str, body: Mapping[str, Any], idempotency_key: str | None = None
    ) -> R:
        """POST /generate/{modality}. The same key and body return the same job."""
        raise NotImplementedError

    def generate(
        self, modality: str, argument: str | list[str] | None = None, /, **options: Any
    ) -> R:
        """Submits a job of any modality that the service has. Options are as of `image`."""
        row = ROWS.get(modality)
        method = Generate(modality, row.argument if row else "prompt", self.submit)
        return method(argument, **options)


ROWS = {x.modality: x for x in vars(Modalities).values() if isinstance(x, ModalityMethod)}
