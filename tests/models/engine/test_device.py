"""What is set before a device is used."""

import os

import pytest
import torch

from models.engine.device import prepare

FLAGS = [("benchmark", True, False), ("deterministic", False, True), ("allow_tf32", True, False)]
"""Of cuDNN: as torch may have them, and as they should be."""


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_a_gpu_gives_the_same_bits_each_time(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for name, loose, _ in FLAGS:
        monkeypatch.setattr(torch.backends.cudnn, name, loose)
    prepare(torch.device(device))
    on_cuda = device != "cpu"
    for name, loose, exact in FLAGS:
        assert getattr(torch.backends.cudnn, name) is (exact if on_cuda else loose)
    assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) is on_cuda
