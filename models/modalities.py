"""MODALITIES: what the service can make. Routes, jobs, settings and the document follow this table.

A further modality is one row here, and a family that has its name in `models/families.py`. No
torch: the API and the commands import this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PICTURE_FORMATS = ("png", "webp", "jpeg")
"""File formats of pictures; `workers/encoders/image.py` writes them."""
TEXT_FORMATS = ("txt", "md")
"""File formats of texts; `workers/encoders/text.py` writes them."""
SOUND_FORMATS = ("wav", "flac", "mp3", "ogg")
"""File formats of sound; `workers/encoders/audio.py` writes them. In Ogg it is Vorbis."""
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Samples a second that MP3 allows (MPEG 1, 2 and 2.5)."""
VECTOR_FORMATS = ("npy", "json")
"""File formats of vectors; `workers/encoders/vectors.py` writes them."""
VIDEO_FORMATS = ("mp4", "webp", "gif")
"""File formats of videos; `workers/encoders/video.py` writes them."""

Kind = Literal[
    "picture", "sheet", "frames", "video", "animation", "sound", "score", "text", "vectors"
]
"""What an encoder takes: a kind of artifact."""
Role = Literal[
    "picture",
    "sheet",
    "animation",
    "audio",
    "score",
    "video",
    "poster",
    "text",
    "logprobs",
    "vectors",
]
"""What a file is among the outputs of a job."""


@dataclass(frozen=True)
class Modality:
    """One thing that the service can make, and how its route describes it."""

    name: str
    """The type of its jobs, and the last part of its route: `POST /generate/{name}`."""
    summary: str
    description: str
    """What the route does, beyond what every route that makes something does."""
    formats: tuple[str, ...]
    """What `output_format` can be, the usual one first."""
    roles: tuple[Role, ...]
    """Of its files, the main one first."""
    kinds: tuple[Kind, ...]
    """Of the artifacts that its families make: the worker tries their encoders."""
    default_model: str
    """The model of a request that names none."""
    preview: Literal["picture", "audio", "text", "none"]
    """What a running job shows of an item."""
    tool: str = ""
    """The name of its tool for agents; `generate_{name}` if it is empty."""
    for_agents: bool = True
    """Whether agents have a tool for it. What it makes must say something to them."""
    max_n: int | None = None
    """What `n` is at most, if that is less than the service allows."""
    example_input: Mapping[str, Any] = field(default_factory=dict)
    """Params of an example in the API's document."""
    example_output: Mapping[str, Any] = field(default_factory=dict)
    """What is known of that example's main file, beside its hash and its address."""

    @property
    def path(self) -> str:
        return f"/generate/{self.name}"

    @property
    def tool_name(self) -> str:
        return self.tool or f"generate_{self.name.replace('-', '_')}"

    @property
    def setting(self) -> str:
        """The name of the setting that replaces `default_model`."""
        return f"default_{self.name.replace('-', '_')}_model"

    @property
    def has_pictures(self) -> bool:
        """Whether its items are pictures, which can be laid out on one sheet."""
        return self.roles[0] == "picture"


MODALITIES: dict[str, Modality] = {
    modality.name: modality
    for modality in (
        Modality(
            name="image",
            summary="Make pictures",
            description="Accepts a job that makes `n` pictures with one model. Item 0 uses the "
            "seed unchanged and item i one derived from it; each output's seed, posted alone, "
            "repeats its file. A walk (`interpolate`) gives a sheet and an animation, which is "
            "always WebP. A picture to vary (`init_image`) is posted to `/artifacts` first.",
            formats=PICTURE_FORMATS,
            roles=("picture", "sheet", "animation"),
            kinds=("picture", "sheet", "frames"),
            default_model="ddpm-fashion",
            preview="picture",
            example_input={"class_label": "Bag", "steps": 20, "interpolate": None, "grid": False},
            example_output={
                "content_type": "image/png",
                "bytes": 2301,
                "width": 32,
                "height": 32,
                "frames": None,
            },
        ),
        Modality(
            name="text-to-image",
            summary="Make pictures from a prompt",
            description="Accepts a job that makes `n` pictures of what `prompt` says. Words that "
            "the model doesn't know are left out, and each output notes them. A picture to start "
            "from (`init_image`) and a mask of what to repaint (`mask`) are posted to "
            "`/artifacts` first.",
            formats=PICTURE_FORMATS,
            roles=("picture", "sheet", "animation"),
            kinds=("picture", "sheet", "frames"),
            default_model="t2i-emoji",
            preview="picture",
            tool="paint",
            example_input={"prompt": "a red apple"},
            example_output={
                "content_type": "image/png",
                "bytes": 4120,
                "width": 64,
                "height": 64,
            },
        ),
        Modality(
            name="audio",
            summary="Make music",
            description="Accepts a job that makes `n` pieces of music with one model. Where the "
            "request names no style, the model draws one, and the output notes it.",
            formats=SOUND_FORMATS,
            roles=("audio", "score"),
            kinds=("sound", "score"),
            default_model="wavenet-music",
            preview="audio",
            tool="generate_music",
            example_input={"style": "jazz", "seconds": 5.0},
            example_output={
                "content_type": "audio/wav",
                "bytes": 160_194,
                "seconds": 5.0,
                "rate": 16_000,
                "channels": 1,
            },
        ),
        Modality(
            name="video",
            summary="Make videos",
            description="Accepts a job that makes `n` videos of what `prompt` says. Each video is "
            "a loop. Its first frame (`poster`) and a sheet of all frames come with it, as PNG. "
            "Words that the model doesn't know are left out, and the output notes them.",
            formats=VIDEO_FORMATS,
            roles=("video", "poster", "sheet"),
            kinds=("video", "animation"),
            default_model="video-diffusion-emoji",
            preview="picture",
            example_input={"prompt": "a waving hand", "frames": 16, "fps": 8.0},
            example_output={
                "content_type": "video/mp4",
                "bytes": 12_264,
                "width": 64,
                "height": 64,
                "frames": 16,
                "seconds": 2.0,
                "fps": 8.0,
            },
        ),
        Modality(
            name="story",
            summary="Write texts",
            description="Accepts a job that writes `n` texts with one model: a `story` or a "
            "`poem` about `prompt`, a `continuation` of `text`, or an answer to `messages`. Its "
            "events carry the text as it is written (`delta`, each with the number of letters "
            "before it as `offset`). Until the text is whole, the job has it as `drafts`.",
            formats=TEXT_FORMATS,
            roles=("text", "logprobs"),
            kinds=("text",),
            default_model="smollm2-135m",
            preview="text",
            tool="write",
            example_input={
                "kind": "story",
                "prompt": "a lighthouse keeper who befriends a whale",
                "max_tokens": 400,
            },
            example_output={
                "content_type": "text/plain; charset=utf-8",
                "bytes": 1204,
                "text": "Once upon a time, a lighthouse keeper ...",
                "title": "The Keeper and the Whale",
                "finish_reason": "stop",
                "prompt_tokens": 58,
                "completion_tokens": 291,
            },
        ),
        Modality(
            name="embedding",
            summary="Turn texts into vectors",
            description="Accepts a job that gives each of `texts` a vector of length 1; texts of "
            "like meaning have a large product. The file has the vectors in the order of the "
            "texts: `npy` is a NumPy array of float32 with a row for each. Nothing is drawn, so "
            "`seed` changes nothing, and `n` is 1.",
            formats=VECTOR_FORMATS,
            roles=("vectors",),
            kinds=("vectors",),
            default_model="all-minilm-l6-v2",
            preview="none",
            for_agents=False,
            max_n=1,
            example_input={"texts": ["a lighthouse keeper", "a keeper of bees"]},
            example_output={
                "content_type": "application/x-npy",
                "bytes": 3200,
                "prompt_tokens": 11,
            },
        ),
    )
}
