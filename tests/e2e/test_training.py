"""From a folder of a user's pictures to pictures by the running service, without a restart."""

import io
import time
from pathlib import Path

import pytest
from PIL import Image

from atelier import Client
from tests.atelier.commands import atelier
from tests.e2e.conftest import running
from tests.models.families import tiny_checkpoint
from tests.training.drawn import draw_folder

pytestmark = pytest.mark.stack


def test_own_pictures_become_a_model_of_the_running_service(tmp_path: Path) -> None:
    pictures, served = draw_folder(tmp_path / "mine"), tmp_path / "checkpoints"
    tiny_checkpoint(served, "vae")
    with running(ATELIER_CHECKPOINTS=str(served)) as stack, Client(stack.url) as client:
        assert [card["id"] for card in client.models()] == ["tiny-vae"]
        places = ("--out", served, "--runs", tmp_path / "runs")
        options = ("--data", pictures, "--steps", "2", "--id", "my-pictures")
        said = atelier("train", "dcgan-emoji", *options, *places)
        assert said.status == 0, said.err
        end = time.monotonic() + 30
        while "my-pictures" not in (cards := {card["id"]: card for card in client.models()}):
            assert time.monotonic() < end, "the new model is not listed"
            time.sleep(0.1)
        assert cards["my-pictures"]["licence"] == "the user's own"
        job = client.image(model="my-pictures", n=2, seed=1)
        job.wait()
        for output in job.outputs:
            with Image.open(io.BytesIO(output.read())) as picture:
                assert (picture.size, picture.mode) == ((64, 64), "RGB")
