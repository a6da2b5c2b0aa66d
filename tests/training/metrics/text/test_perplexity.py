import math
from pathlib import Path

import pytest
import torch

from bench.text_generation import peer_of
from models.artifacts import Chance, Drawn, Text
from models.checkpoint.weights import load
from models.engine.batching import Placement
from models.language.language import Language
from tests.models.families import tiny_checkpoint
from training.metrics.text.perplexity import perplexity_of_read, perplexity_of_written

CPU = torch.device("cpu")


def written(*logprobs: float) -> Text:
    drawn = tuple(Drawn(Chance("a", logprob, b"a"), ()) for logprob in logprobs)
    return Text("a" * len(drawn), 1, len(drawn), "stop", None, drawn)


def test_a_token_in_four_has_a_perplexity_of_four() -> None:
    quarter = -math.log(4)
    assert perplexity_of_written([written(quarter, quarter)]) == pytest.approx(4)
    texts = [written(0.0), written(quarter, quarter, quarter)]
    assert perplexity_of_written(texts) == pytest.approx(4 ** (3 / 4))
    with pytest.raises(ValueError, match="no token"):
        perplexity_of_written([written()])


def test_reading_finds_the_perplexity_that_transformers_finds(tmp_path: Path) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, "language"))
    model, peer = Language(checkpoint, Placement(CPU)), peer_of(checkpoint)
    tokens = torch.randint(0, model.runtime.net.vocabulary, (2, 12), generator=torch.manual_seed(0))
    logits = peer(tokens).logits[:, :-1]
    surprise = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    ours = perplexity_of_read(model, tokens.tolist())
    assert ours == pytest.approx(float(surprise.exp()), rel=1e-4)
    with pytest.raises(ValueError, match="two tokens"):
        perplexity_of_read(model, [[1]])
