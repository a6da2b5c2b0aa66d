"""Artifacts to files, with what made them written inside: never a job id, never a time.

The same artifact and facts give the same bytes.
"""

from dataclasses import replace

from models.artifacts import Artifact, Audio, Frames, Image, Text, Vectors, Video
from models.score import Score
from workers.encoders.audio import sound_file
from workers.encoders.image import frame_files, picture_file, sheet_file, small_picture, strip
from workers.encoders.midi import score_file
from workers.encoders.previews import drawn_score, drawn_wave
from workers.encoders.text import text_files
from workers.encoders.types import Encoded, Facts, Sheet
from workers.encoders.vectors import vector_file
from workers.encoders.video import video_files


def encode(artifact: Artifact | Sheet, output_format: str, facts: Facts) -> tuple[Encoded, ...]:
    """The files of an artifact, in a format of its modality; a score is MIDI whatever is asked."""
    match artifact:
        case Sheet():
            return (sheet_file(artifact, output_format, facts),)
        case Score():
            return (score_file(artifact, facts),)
        case Image():
            files: tuple[Encoded, ...] = (picture_file(artifact, output_format, facts),)
        case Frames():
            files = frame_files(artifact, output_format, facts)
        case Video():
            return video_files(artifact, output_format, facts)
        case Audio():
            files = (sound_file(artifact, output_format, facts),)
        case Text():
            files = text_files(artifact, output_format, facts)
        case Vectors():
            files = (vector_file(artifact, output_format, facts),)
    return tuple(replace(file, notes=(*artifact.notes, *file.notes)) for file in files)


def preview(artifact: Artifact, output_size: str | None = None) -> str:
    """A small picture as a data URI: of frames the last, of a video a strip of some, of sound its
    wave, of scores the notes. A picture has the proportions that its output will have."""
    match artifact:
        case Image():
            return small_picture(artifact.pixels, output_size)
        case Frames():
            return small_picture(artifact.pixels[-1])
        case Video():
            return small_picture(strip(artifact.pixels))
        case Audio():
            return small_picture(drawn_wave(artifact))
        case Score():
            return small_picture(drawn_score(artifact))
        case Text():
            raise TypeError("text is sent in pieces, it needs no picture")
        case Vectors():
            raise TypeError("vectors are no picture")
