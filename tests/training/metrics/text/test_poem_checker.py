from typing import Any

import pytest

from training.metrics.text.poem_checker import faults_of

HAIKU = "an old silent pond\na frog jumps into the pond\nsplash silence again"
COUPLET = "the moon is white\nit shines at night"


@pytest.mark.parametrize(
    ("text", "form", "faults"),
    [
        (HAIKU, {"form": "haiku"}, []),
        (HAIKU.replace("old ", ""), {"form": "haiku"}, ["line 1 has 4 syllables"]),
        (COUPLET, {"form": "couplet"}, []),
        (COUPLET.replace("night", "dawn"), {"form": "couplet"}, ["white and dawn don't rhyme"]),
        (COUPLET.replace("night", "white"), {"form": "couplet"}, ["white and white don't rhyme"]),
        (COUPLET, {"form": "couplet", "lines": 4}, ["2 lines instead of 4"]),
        ("Sun and sky\nEarth below\nA day", {"form": "acrostic", "acrostic": "sea"}, []),
        (
            "Sun and sky\nEarth below\nNo day",
            {"form": "acrostic", "acrostic": "sea"},
            ["its lines begin otherwise"],
        ),
        ("qwrtz is here\nnothing here", {"form": "couplet"}, ["line 1 has None syllables"]),
    ],
)
def test_a_form_is_kept_or_its_faults_are_listed(
    text: str, form: dict[str, Any], faults: list[str]
) -> None:
    listed = faults_of(text, form)
    assert [fault for fault in listed if fault in faults] == faults
    assert bool(listed) == bool(faults)
