"""The names of samplers in AUTOMATIC1111's web UI, and in the params of models here."""

from collections.abc import Sequence

NAMES = {
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "euler": "Euler",
    "heun": "Heun",
    "dpmpp_2m": "DPM++ 2M",
}
"""The web UI's name of each sampler that a model may take."""
SCHEDULES = (" karras", " exponential", " polyexponential")
"""What clients of old versions add to a sampler's name."""


def sampler_of(name: str, known: Sequence[str]) -> str | None:
    """Returns the param's value of a sampler's name, or None for a name that is not known."""
    plain = name.strip().casefold()
    for ending in SCHEDULES:
        plain = plain.removesuffix(ending)
    return next((x for x in known if plain in (x, NAMES.get(x, x).casefold())), None)


def name_of(sampler: str) -> str:
    return NAMES.get(sampler, sampler)
