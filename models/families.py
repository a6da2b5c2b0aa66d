"""FAMILIES: what a checkpoint's `family` names. Params at once, the torch code only when loaded."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.checkpoint.configs import CLIP_SCALE
from models.checkpoint.header import Header
from models.params.audio import ComposerParams, WaveNetParams
from models.params.base import GANParams, MixtureParams, Params, VAEParams
from models.params.diffusion import DiffusionParams, StableDiffusionParams, TextToImageParams
from models.params.embedding import EmbeddingParams
from models.params.text import LanguageParams
from models.params.video import VideoDiffusionParams, VideoGANParams

if TYPE_CHECKING:
    from models.checkpoint.weights import Checkpoint
    from models.engine.batching import Placement
    from models.engine.flow import Family


@dataclass(frozen=True)
class OutputFacts:
    """What a header says of the results of its checkpoint; None where it says nothing."""

    side: int | None = None
    """Pixels of a picture's width and height."""
    channels: int | None = None
    """Of a picture: 1 is grey, 3 is RGB."""
    frames: int | None = None
    """Of a video."""
    rate: int | None = None
    """Samples of sound a second."""
    steps: int | None = None
    """Levels of the noise schedule: at most so many steps can be asked for."""
    pitches: range | None = None
    """The notes that it can play, as MIDI numbers them."""
    dimensions: int | None = None
    """Numbers of a vector."""


@dataclass(frozen=True)
class FamilyEntry:
    """What is known of a family without importing torch."""

    modality: str
    """The name of a row of MODALITIES."""
    params: type[Params]
    where: str  # "module:Class", called with (checkpoint, placement)
    only_with: Mapping[str, Callable[[Header], object]] = field(default_factory=dict)
    """Params that only some checkpoints take, with what of the header must be true for it."""

    formats: tuple[str, ...] = ()
    """What its results can be asked for as; empty: as what its modality can."""

    weighed: str = ""
    """"module:function" of the bytes that a loaded model takes, if not those of its weights as wide
    as a place has them: called with (header, numbers in the file, their precisions, placement)."""

    side: Callable[[Header], object] = lambda header: header.net.get("size")
    """Returns the pixels of a picture's width and height, as the header has them."""

    def facts(self, header: Header) -> OutputFacts:
        """Returns what is known of the results without loading the checkpoint."""
        net, process = header.net, header.process
        match process.get("pitches"):
            case [int(lowest), int(highest)]:
                pitches: range | None = range(lowest, highest + 1)
            case _:
                pitches = None
        return OutputFacts(
            side=_whole(self.side(header)),
            channels=_whole(net.get("channels")),
            frames=_whole(net.get("frames")),
            rate=_whole(process.get("rate")),
            steps=_whole(process.get("steps")),
            pitches=pitches,
            dimensions=_whole(net.get("dimensions")),
        )

    def lacks(self, header: Header) -> set[str]:
        """The params that a checkpoint with this header doesn't take."""
        return {name for name, has in self.only_with.items() if not has(header)}

    def load(self, checkpoint: "Checkpoint", placement: "Placement") -> "Family[Any]":
        """Build the model. Raises CheckpointError if its weights don't fit."""
        build: Callable[..., Family[Any]] = _imported(self.where)
        return build(checkpoint, placement)

    def loaded_bytes(
        self, header: Header, elements: int, precisions: Set[str], placement: "Placement"
    ) -> int:
        """What a checkpoint of so many numbers takes in memory, once it is loaded."""
        if not self.weighed:
            return elements * placement.dtype.itemsize
        weigh: Callable[..., int] = _imported(self.weighed)
        return weigh(header, elements, precisions, placement)


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def _of_autoencoder(header: Header) -> object:
    autoencoder = header.net.get("autoencoder")
    return autoencoder.get("size") if isinstance(autoencoder, Mapping) else None


def _of_latents(header: Header) -> object:
    """The pixels that a video GAN's latents are decoded to."""
    side = _whole(header.net.get("size"))
    return None if side is None else CLIP_SCALE * side


def _of_unet(header: Header) -> object:
    """8 pixels for each latent of Stable Diffusion's net."""
    unet = header.net.get("unet")
    side = _whole(unet.get("sample_size")) if isinstance(unet, Mapping) else None
    return None if side is None else 8 * side


def _imported(where: str) -> Any:
    module, name = where.split(":")
    return vars(import_module(module))[name]


GUIDED: Mapping[str, Callable[[Header], object]] = {
    "clip_guidance_scale": lambda h: h.guide,
    "clip_guidance_every": lambda h: h.guide,
}
"""What a diffusion model takes that a CLIP leads."""

FAMILIES: dict[str, FamilyEntry] = {
    "mixture": FamilyEntry("image", MixtureParams, "models.image.mixture:Mixture"),
    "vae": FamilyEntry(
        "image",
        VAEParams,
        "models.image.vae:VAE",
        {"prior": lambda h: h.net.get("components"), "attributes": lambda h: h.attributes},
    ),
    "gan": FamilyEntry(
        "image",
        GANParams,
        "models.image.gan:GAN",
        {"class_label": lambda h: h.labels, "attributes": lambda h: h.attributes},
    ),
    "diffusion": FamilyEntry(
        "image",
        DiffusionParams,
        "models.diffusion.pixel_diffusion:Diffusion",
        {
            "class_label": lambda h: h.labels,
            "guidance_scale": lambda h: h.labels,
            "prompt": lambda h: h.guide,
            **GUIDED,
        },
    ),
    "latent_diffusion": FamilyEntry(
        "text-to-image",
        TextToImageParams,
        "models.diffusion.latent_diffusion:LatentDiffusion",
        {
            "style": lambda h: h.labels,
            "upscale": lambda h: h.requires.get("upscaler"),
            **GUIDED,
        },
        side=_of_autoencoder,
    ),
    "stable_diffusion": FamilyEntry(
        "text-to-image",
        StableDiffusionParams,
        "models.diffusion.stable_diffusion:StableDiffusion",
        GUIDED,
        side=_of_unet,
    ),
    "video_gan": FamilyEntry(
        "video",
        VideoGANParams,
        "models.video.video_gan:VideoGAN",
        {
            "prompt": lambda h: h.requires.get("clip"),
            "upscale": lambda h: h.requires.get("upscaler"),
        },
        side=_of_latents,
    ),
    "video_diffusion": FamilyEntry(
        "video",
        VideoDiffusionParams,
        "models.video.video_diffusion:VideoDiffusion",
        {"style": lambda h: h.labels, "upscale": lambda h: h.requires.get("upscaler")},
    ),
    "composer": FamilyEntry(
        "audio", ComposerParams, "models.music.composer:Composer", formats=("midi",)
    ),
    "wavenet": FamilyEntry(
        "audio",
        WaveNetParams,
        "models.audio.wavenet:WaveNet",
        {
            "style": lambda h: h.labels,
            "unconditioned": lambda h: h.labels,
            "score": lambda h: h.process.get("pitches"),
            "tempo": lambda h: h.requires.get("composer"),
            "key": lambda h: h.requires.get("composer"),
        },
    ),
    "language": FamilyEntry(
        "story",
        LanguageParams,
        "models.language.language:Language",
        weighed="models.language.backends.selection:loaded_bytes",
    ),
    "embedding": FamilyEntry(
        "embedding",
        EmbeddingParams,
        "models.embedding.sentence_encoder:SentenceEncoder",
        weighed="models.embedding.sentence_encoder:loaded_bytes",
    ),
}
