"""Torch set up for a device, once in a process and before it is used."""

import os

import torch


def prepare(device: torch.device) -> None:
    """On CUDA: the same rows give the same bits each time, and single precision is just that.

    cuDNN chooses among its algorithms by what they are given alone, and none that adds in the order
    in which threads arrive; cuBLAS keeps a workspace of its own for each stream. TF32, which rounds
    to 10 bits, is left to those who ask for bfloat16.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
