import pytest

from training.metrics.text.repetition import repeated_ngrams


@pytest.mark.parametrize(
    ("text", "n", "share"),
    [
        ("a b a b a b", 3, 0.5),  # aba bab aba bab
        ("a b a b a b", 1, 4 / 6),
        ("The sea, the sea! THE SEA?", 2, 3 / 5),  # the-sea sea-the the-sea sea-the the-sea
        ("don't stop; don’t stop", 2, 1 / 3),
        ("one two three four", 3, 0.0),
        ("one two", 3, 0.0),
        ("", 1, 0.0),
    ],
)
def test_runs_of_words_that_came_before_are_counted(text: str, n: int, share: float) -> None:
    assert repeated_ngrams(text, n) == pytest.approx(share)
