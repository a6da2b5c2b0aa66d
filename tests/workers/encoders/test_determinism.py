"""Encoders repeat their bytes: whatever new memory holds, in any thread and in any process."""

import hashlib
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifacts import Artifact
from models.checkpoint.header import Header
from models.engine.determinism import DeterminismReport
from tests.models.families import load_family, tiny_checkpoint
from workers.encoders import determinism
from workers.encoders.determinism import FACTS, Specimen, formats_at_fault, specimens, unrepeatable
from workers.encoders.encode import encode
from workers.encoders.types import Encoded, Facts, Sheet
from workers.model_cache import Loaded

KINDS = ("picture", "sheet", "frames", "video", "animation", "sound", "score", "text")
SMALL = [Specimen(kind, (3, 32, 48), frames=4) for kind in KINDS]  # type: ignore[arg-type]
EVERY = [(specimen, output_format) for specimen in SMALL for output_format in specimen.formats]


def digests() -> list[str]:
    files = [f for specimen, kind in EVERY for f in encode(specimen.artifact(), kind, FACTS)]
    return [hashlib.sha256(file.data).hexdigest() for file in files]


@pytest.mark.parametrize("specimen", SMALL, ids=KINDS)
def test_no_encoder_is_at_fault(specimen: Specimen) -> None:
    assert formats_at_fault(specimen) == frozenset()


@pytest.mark.slow
def test_every_thread_and_every_process_writes_the_same_bytes() -> None:
    expected = digests()
    with ThreadPoolExecutor(4) as threads:
        assert all(digest == expected for digest in threads.map(lambda _: digests(), range(4)))
    code = "from tests.workers.encoders.test_determinism import digests; print(*digests())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout.split() == expected


def careless(artifact: Artifact | Sheet, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
    """An encoder of WebP that writes what it has not set."""
    size = 100_000
    data = np.empty(size, np.uint8) if output_format == "webp" else np.zeros(size, np.uint8)
    return (Encoded(data.tobytes(), "image/webp", "picture"),)


def test_an_encoder_that_reads_memory_it_has_not_written_is_at_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(determinism, "encode", careless)
    with caplog.at_level(logging.WARNING):
        assert formats_at_fault(Specimen("picture", (3, 7, 7))) == {"webp"}
    (record,) = caplog.records
    assert record.message == "an encoder does not repeat its bytes"
    assert vars(record)["kind"] == "picture"
    assert vars(record)["format"] == "webp"
    formats_at_fault.cache_clear()


def test_an_encoder_is_tried_once_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def counted(artifact: Artifact | Sheet, output_format: str, facts: Facts) -> tuple[()]:
        tried.append(output_format)
        return ()

    monkeypatch.setattr(determinism, "encode", counted)
    formats_at_fault.cache_clear()
    for family in ("vae", "gan", "diffusion"):
        unrepeatable(Header(family=family, net={"size": 9, "channels": 1}))
    formats_at_fault.cache_clear()
    assert len(tried) == 3 * 3 * 2  # picture, sheet and frames, in three formats, twice


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        (Header(family="vae", net={"size": 28, "channels": 1}), {"picture", "sheet", "frames"}),
        (Header(family="video_gan", net={"size": 64, "frames": 8}), {"video", "animation"}),
        (Header(family="wavenet", net={}, process={"rate": 16_000}), {"sound", "score"}),
        (Header(family="composer", net={}), {"score"}),
        (Header(family="language", net={}), {"text"}),
    ],
)
def test_what_a_model_makes_follows_from_its_header(header: Header, kinds: set[str]) -> None:
    assert {specimen.kind for specimen in specimens(header)} == kinds


def test_specimens_have_the_sizes_that_a_model_makes() -> None:
    film, _ = specimens(Header(family="video_gan", net={"size": 12, "frames": 8, "channels": 4}))
    assert (film.size, film.frames) == ((3, 48, 48), 8)
    inner = Header(family="latent_diffusion", net={"autoencoder": {"size": 128}})
    assert {specimen.size for specimen in specimens(inner)} == {(3, 128, 128)}
    stable = Header(family="stable_diffusion", net={"unet": {"sample_size": 64}})
    assert {specimen.size for specimen in specimens(stable)} == {(3, 512, 512)}
    sound, _ = specimens(Header(family="wavenet", net={}, process={"rate": 10_000}))
    assert (sound.rate, sound.formats) == (10_000, ("wav", "flac", "ogg"))


def test_only_jobs_of_the_format_at_fault_are_not_bitwise(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "vae")
    model = Loaded(
        None, load_family(path), DeterminismReport("bitwise", {}), 0, 0.0, frozenset({"webp"})
    )  # type: ignore[arg-type]
    assert model.determinism == model.determinism_in("webp") == "none"
    assert model.determinism_in("png") == "bitwise"
    unproved = Loaded(None, load_family(path), DeterminismReport("none", {}), 0, 0.0)  # type: ignore[arg-type]
    assert unproved.determinism == unproved.determinism_in("png") == "none"


def test_specimens_are_the_same_every_time() -> None:
    one, again = (Specimen("video").artifact() for _ in range(2))
    assert torch.equal(one.pixels, again.pixels)  # type: ignore[union-attr]
