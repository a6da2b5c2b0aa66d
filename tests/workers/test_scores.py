"""Jobs that play a posted score: read beside the work, and played as the model alone plays it."""

import io

import numpy as np
import pytest
import soundfile

from app.core.images.image_reader import UnreadableFile
from app.core.job_record import sound_key
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.music.midi import read_midi, write_midi
from models.params.audio import WaveNetParams
from models.score import Note, Score
from tests.models.families import load_family, tiny_checkpoint, tiny_composing
from tests.workers.conftest import Bench
from tests.workers.jobs.test_audio_chunks import MODEL, ended, heard, player  # noqa: F401 (a fixture)
from workers.encoders.audio import pcm_of
from workers.input_reader import score_of

TUNE = Score((Note(0.0, 0.25, 60), Note(0.25, 0.5, 62)))


def test_a_file_becomes_a_score() -> None:
    assert score_of(write_midi(TUNE)) == TUNE
    with pytest.raises(UnreadableFile, match="can't be used: this is no MIDI file"):
        score_of(b"no")


@pytest.mark.slow
def test_a_posted_score_is_what_its_job_plays(player: Bench) -> None:  # noqa: F811
    player.worker()
    data = write_midi(TUNE)
    sha256 = player.post(data)
    job = ended(player, player.submit(3, model=MODEL, score=sha256, style="folk"))
    assert job.status == "completed", job.error
    sound = next(o for o in job.outputs if o.role == "audio")
    assert sound.seconds == 0.5
    family = load_family(player.settings.checkpoints / f"{MODEL}.safetensors")
    params = WaveNetParams(score=sha256, style="folk")
    audio, *_ = run_alone(family.generate(params, seeded(3), {"score": read_midi(data)}))
    samples, _ = soundfile.read(io.BytesIO(player.store.get(sound.sha256)), dtype="int16")
    np.testing.assert_array_equal(samples[:, None], pcm_of(audio.samples))  # type: ignore[union-attr]
    assert player.references(sha256) == 1


@pytest.mark.slow
def test_a_composer_makes_a_midi_file_again_and_again(player: Bench) -> None:  # noqa: F811
    tiny_checkpoint(player.settings.checkpoints, "composer")
    asked = {"style": "folk", "seconds": 3.0, "key": "A minor"}
    posted = [player.submit(3, model="tiny-composer", **asked) for _ in range(2)]
    player.follow(posted[0])
    player.worker(preview_interval=0.001)
    one, two = (ended(player, job) for job in posted)
    (output,) = one.outputs
    assert (output.role, output.content_type) == ("score", "audio/midi")
    assert output.sha256 == two.outputs[0].sha256
    assert 0 < read_midi(player.store.get(output.sha256)).seconds <= 3.01
    assert not player.redis.exists(sound_key(one.id))
    assert "preview" in player.events(one.id)


@pytest.mark.slow
def test_what_is_composed_comes_beside_what_is_played(player: Bench) -> None:  # noqa: F811
    tiny_composing(player.settings.checkpoints, "wavenet")
    player.worker()
    job = ended(player, player.submit(3, model=MODEL, seconds=1.2, output_format="flac"))
    assert [(o.index, o.role, o.content_type) for o in job.outputs] == [
        (0, "audio", "audio/flac"),
        (0, "score", "audio/midi"),
    ]
    samples, _ = soundfile.read(io.BytesIO(player.store.get(job.outputs[0].sha256)), dtype="int16")
    assert heard(player, job.id) == samples.tobytes()


def test_a_score_that_is_gone_is_told(player: Bench) -> None:  # noqa: F811
    sha256 = player.post(write_midi(TUNE))
    job = player.submit(3, model=MODEL, score=sha256)
    player.store.delete(sha256)
    player.worker()
    error = ended(player, job).error
    assert error is not None
    assert (error.code, error.param) == ("artifact_expired", "score")
