"""Scores to tokens and back, and what may follow what."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.music.tokenizer import (
    DRUM_KEYS,
    DURATIONS,
    METERS,
    STEPS,
    MusicTokens,
    State,
    nearest,
    snapped,
)
from models.score import DRUMS, KEYS, Note, Score, ScoreError

STYLES = ("classical", "folk", "jazz")
TOKENS = MusicTokens(STYLES)


@st.composite
def scores(draw: st.DrawFn) -> Score:
    notes = draw(
        st.lists(
            st.builds(
                lambda onset, length, pitch, velocity, program: Note(
                    onset, onset + length, pitch, velocity, program
                ),
                st.floats(0, 12),
                st.floats(0.01, 6),
                st.integers(30, 80),
                st.integers(1, 127),
                st.sampled_from([0, 32, DRUMS]),
            ),
            max_size=25,
        )
    )
    return Score(
        tuple(notes),
        draw(st.floats(30, 260)),
        draw(st.sampled_from(METERS)),
        draw(st.sampled_from([None, *KEYS])),
    )


@settings(max_examples=40, deadline=None)
@given(scores(), st.sampled_from(STYLES))
def test_what_is_encoded_is_decoded_as_near_as_tokens_are(score: Score, style: str) -> None:
    tokens = TOKENS.encode(score, style)
    assert TOKENS.decode(tokens) == (snapped(score), style)
    assert TOKENS.encode(snapped(score), style) == tokens
    state = State()
    for token in tokens:
        assert any(low <= token < high for low, high in TOKENS.allowed(state))
        state = TOKENS.after(state, token)


def test_a_piece_on_the_grid_comes_back_as_it_was() -> None:
    step = 60 / 100 / STEPS
    notes = (
        Note(0, 12 * step, 60, 79),
        Note(6 * step, 12 * step, 64, 95),
        Note(8 * step, 9 * step, 42, 95, DRUMS),
        Note(36 * step, 72 * step, 67, 79, 40),
    )
    score = Score(notes, 100, (3, 4), "A minor")
    (back, style), tokens = (
        TOKENS.decode(TOKENS.encode(score, "folk")),
        TOKENS.encode(score, "folk"),
    )
    assert (style, back.tempo, back.meter, back.key) == ("folk", 100, (3, 4), "A minor")
    for had, has in zip(score.notes, back.notes, strict=True):
        assert (has.onset, has.end) == pytest.approx((had.onset, had.end))
        assert (has.pitch, has.velocity, has.program) == (had.pitch, had.velocity, had.program)
    assert " ".join(TOKENS.kind_of(token)[0] for token in tokens) == (
        "style key tempo meter bar position duration pitch position velocity duration pitch "
        "position program drum bar position program duration pitch end"
    )


def test_a_time_moves_by_half_a_step_at_most() -> None:
    score = Score(tuple(Note(i * 0.137, i * 0.137 + 0.2, 40 + i) for i in range(40)), 120)
    for had, has in zip(score.notes, snapped(score).notes, strict=True):
        assert abs(had.onset - has.onset) <= 0.5 / 120 * 60 / STEPS + 1e-9


def test_numbers_stay_when_styles_are_added() -> None:
    more = MusicTokens((*STYLES, "mine"))
    assert more.size == TOKENS.size + 1
    assert TOKENS.token("pad", 0) == 0
    for token in range(TOKENS.size):
        assert more.kind_of(token) == TOKENS.kind_of(token)
        assert TOKENS.token(*TOKENS.kind_of(token)) == token


def test_whatever_is_drawn_of_the_allowed_is_a_score() -> None:
    rng = random.Random(3)
    for _ in range(10):
        state, tokens = State(), list[int]()
        for _ in range(200):
            low, high = rng.choice(TOKENS.allowed(state))
            tokens.append(rng.randrange(low, high))
            state = TOKENS.after(state, tokens[-1])
        score, style = TOKENS.decode(tokens)
        assert style in STYLES
        assert TOKENS.decode(tokens[: tokens.index(1)] if 1 in tokens else tokens)[0] == score


def test_a_full_bar_has_no_more_positions() -> None:
    state = State("pitch", 48, 47)
    kinds = {TOKENS.kind_of(low)[0] for low, _ in TOKENS.allowed(state)}
    assert kinds == {"program", "velocity", "duration", "pitch", "bar", "end"}


def test_after_percussion_s_program_there_is_no_duration() -> None:
    state = TOKENS.after(State("position", 48, 0), TOKENS.token("program", DRUMS))
    kinds = {TOKENS.kind_of(low)[0] for low, _ in TOKENS.allowed(state)}
    assert kinds == {"velocity", "drum"}


def test_programs_and_pitches_rise_within_a_position() -> None:
    state = State("position", 48, 0)
    for kind, value in (("program", 5), ("duration", 3), ("pitch", 126)):
        state = TOKENS.after(state, TOKENS.token(kind, value))
    pitch, program = TOKENS.first["pitch"], TOKENS.first["program"]
    assert (pitch + 127, pitch + 128) in TOKENS.allowed(state)
    assert (program + 6, program + 129) in TOKENS.allowed(state)
    state = TOKENS.after(state, pitch + 127)
    kinds = {TOKENS.kind_of(low)[0] for low, _ in TOKENS.allowed(state)}
    assert kinds == {"program", "position", "bar", "end"}
    after = TOKENS.after(state, TOKENS.token("position", 1))
    assert (pitch, pitch + 128) in TOKENS.allowed(after)
    assert (program, program + 129) in TOKENS.allowed(after)
    last = TOKENS.after(State("program", 48, 0, DRUMS), TOKENS.token("drum", len(DRUM_KEYS) - 1))
    assert {TOKENS.kind_of(low)[0] for low, _ in TOKENS.allowed(last)} == {"position", "bar", "end"}


def test_a_piece_that_is_cut_off_is_as_long_as_its_notes() -> None:
    score = Score((Note(0, 1, 60, 79), Note(1, 2, 62, 79)))
    whole = TOKENS.encode(score, "jazz")
    assert TOKENS.decode(whole[:-2])[0].notes == snapped(score).notes[:1]
    assert TOKENS.decode(whole[:-3])[0].notes == snapped(score).notes[:1]
    assert TOKENS.decode([])[0].notes == ()


def test_what_can_not_be_said_or_read_is_told() -> None:
    empty = Score(())
    assert [TOKENS.kind_of(t)[0] for t in TOKENS.encode(empty, "jazz")][-1] == "end"
    with pytest.raises(ScoreError, match="no style 'rock'; there are classical, folk, jazz"):
        TOKENS.encode(empty, "rock")
    with pytest.raises(ScoreError, match="the meter 7/8"):
        TOKENS.encode(Score((), meter=(7, 8)), "jazz")
    with pytest.raises(ScoreError, match="percussion key 5"):
        TOKENS.encode(Score((Note(0, 1, 5, program=DRUMS),)), "jazz")
    with pytest.raises(ScoreError, match="no token 9999"):
        TOKENS.decode([9999])
    with pytest.raises(ScoreError, match="bar token can't stand after nothing"):
        TOKENS.decode([TOKENS.token("bar", 0)])


def test_the_nearest_of_rising_values() -> None:
    assert [nearest((1, 3, 7), x) for x in (0, 1, 2, 2.1, 3, 5, 5.5, 9)] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert list(DURATIONS) == sorted(DURATIONS)
    assert {6, 12, 18, 24, 36, 48, 72, 96} <= set(DURATIONS)
