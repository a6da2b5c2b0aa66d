"""Half precision where it pays: a processor without bfloat16 of its own is many times slower."""

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether matrix products of bfloat16 run on the device itself, as far as torch can tell.

    Where a processor only emulates them (AVX2), a step was measured to take 14 times as long as
    one in single precision.
    """
    if device.type != "cpu":
        return True
    try:
        able = torch.cpu.get_capabilities()
    except AttributeError:  # an older torch: single precision is slower at worst by half
        return False
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))


def mixed(device: torch.device) -> torch.autocast:
    """Automatic mixed precision in bfloat16; single precision where that would be slower."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))
