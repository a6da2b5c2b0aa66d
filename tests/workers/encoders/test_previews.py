"""Pictures of sound and scores: what is where, in what is shown of them on the way."""

import base64
import io
import json

import pytest
import torch
from PIL import Image as Picture

from models.artifacts import Audio
from models.score import DRUMS, Note, Score
from tests.workers.conftest import Bench
from tests.workers.jobs.test_audio_chunks import MODEL, ended, player  # noqa: F401 (a fixture)
from workers.encoders.encode import preview
from workers.encoders.previews import HEIGHT, WIDTH, drawn_score, drawn_wave


def ink(pixels: torch.Tensor) -> torch.Tensor:
    assert pixels.shape == (1, HEIGHT, WIDTH)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    return 1 - pixels[0]


def test_a_wave_is_as_high_as_it_is_loud() -> None:
    samples = torch.zeros(1, 16_000)
    samples[0, 8000::2], samples[0, 8001::2] = 0.5, -0.5
    drawn = ink(drawn_wave(Audio(samples, 8000)))
    heights = (drawn > 0).sum(0)
    assert heights[:60].tolist() == [1] * 60
    assert all(30 <= height <= 34 for height in heights[-60:].tolist())
    full = ink(drawn_wave(Audio(samples * 2, 8000)))
    assert (full[:, -1] > 0).all()


@pytest.mark.parametrize("samples", [1, 5, 127, 129])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_short_wave_is_drawn_whole(samples: int, channels: int) -> None:
    drawn = ink(drawn_wave(Audio(torch.ones(channels, samples), 8000)))
    assert (drawn[0] == 1).all()
    assert (drawn[1:] == 0).all()


def test_higher_notes_stand_higher_and_later_ones_to_the_right() -> None:
    score = Score((Note(0.0, 1.0, 50), Note(1.0, 2.0, 70, velocity=127)))
    drawn = ink(drawn_score(score))
    left, right = drawn[:, : WIDTH // 2 - 1], drawn[:, WIDTH // 2 + 1 :]
    low, high = left.nonzero()[:, 0], right.nonzero()[:, 0]
    assert low.min() > HEIGHT * 0.7
    assert high.max() < HEIGHT * 0.3
    assert right.max() == 1
    assert 0.4 < left.max() < 1


def test_percussion_lies_along_the_bottom() -> None:
    score = Score((Note(0.0, 0.1, 36, program=DRUMS), Note(1.0, 1.1, 50, program=DRUMS)))
    drawn = ink(drawn_score(score))
    assert (drawn[: HEIGHT - 7] == 0).all()
    assert drawn[HEIGHT - 7, 0] > 0  # a kick, the first of the groups
    assert drawn[-1].sum() == 0


def test_no_notes_are_white() -> None:
    assert (drawn_score(Score(())) == 1).all()


def test_previews_are_pictures() -> None:
    for artifact in (Audio(torch.zeros(1, 100), 8000), Score((Note(0, 1, 60),))):
        kind, _, data = preview(artifact).partition(",")
        assert kind == "data:image/png;base64"
        picture = Picture.open(io.BytesIO(base64.b64decode(data)))
        assert picture.size == (WIDTH, HEIGHT)


@pytest.mark.slow
def test_a_job_shows_its_wave_and_where_it_is_heard(player: Bench) -> None:  # noqa: F811
    posted = player.submit(3, model=MODEL, seconds=2.0)
    player.follow(posted)
    player.worker(preview_interval=0.001)
    job = ended(player, posted)
    entries = player.redis.xrange(f"atelier:events:{job.id}")
    previews = [json.loads(e["data"]) for _, e in entries if e["event"] == "preview"]
    assert previews
    for shown in previews:
        assert shown["url"].startswith("data:image/png;base64,")
        assert shown["audio"] == f"/jobs/{job.id}/audio?index=0"
        assert 0 < shown["seconds"] < 2
