"""A folder of sentence-transformers to a checkpoint that gives its vectors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.convert.importers import import_sentence_transformer
from models.embedding.sentence_encoder import SentenceEncoder
from models.engine.batching import Placement
from tests.models.embedding.test_sentence_encoder import encoded
from tests.models.tiny_embedding import random_bert, saved_encoder, tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved_encoder(tmp_path / "tiny-encoder")


def test_a_folder_becomes_a_checkpoint_that_gives_its_vectors(folder: Path, tmp_path: Path) -> None:
    path = import_sentence_transformer(folder, tmp_path, "tiny", {"title": "Tiny"})
    checkpoint = load(path)
    assert (checkpoint.header.family, checkpoint.header.title) == ("embedding", "Tiny")
    assert (checkpoint.header.process, checkpoint.header.net["dimensions"]) == ({"context": 40}, 24)
    family = SentenceEncoder(checkpoint, Placement(torch.device("cpu")))
    net, peer = random_bert(), tokenizer()
    texts = ["the hen", "Hens, ants and the sea!", "red " * 30]
    with torch.no_grad():
        for text, vector in zip(texts, encoded(family, *texts), strict=True):
            states = net(torch.tensor([peer.encode(text).ids])).last_hidden_state[0]
            mean = states.mean(0)
            torch.testing.assert_close(vector, mean / mean.norm(), atol=1e-5, rtol=0)
    with pytest.raises(CheckpointError, match="there already"):
        import_sentence_transformer(folder, tmp_path, "tiny", {})


def changed(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("file", "fields", "why"),
    [
        ("config.json", {"model_type": "mpnet"}, "its model_type must be bert, not mpnet"),
        ("config.json", {"hidden_act": "relu"}, "its hidden_act must be gelu, not relu"),
        ("config.json", {"hidden_size": 23}, "23 dimensions can't be split among 3 heads"),
        ("config.json", {"num_hidden_layers": 3}, "lacks encoder.layer.2"),
        ("config.json", {"num_hidden_layers": 1}, "unknown tensor encoder.layer.1"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True},
            "its pooling must be pooling_mode_mean_tokens, not pooling_mode_cls_token",
        ),
        ("sentence_bert_config.json", {"max_seq_length": 50}, "its net has 48 positions"),
        ("sentence_bert_config.json", {"max_seq_length": "a"}, "how long a text"),
    ],
)
def test_what_makes_vectors_in_another_way_is_refused(
    folder: Path, tmp_path: Path, file: str, fields: dict[str, Any], why: str
) -> None:
    changed(folder / file, **fields)
    with pytest.raises(CheckpointError, match=why):
        import_sentence_transformer(folder, tmp_path, "x", {})
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("file", ["config.json", "modules.json", "tokenizer.json"])
def test_a_file_that_is_missing_or_broken_is_named(folder: Path, tmp_path: Path, file: str) -> None:
    (folder / file).write_bytes(b"\xff{")
    why = "tokenizer can't be made" if file == "tokenizer.json" else f"{file} can't be read"
    with pytest.raises(CheckpointError, match=why):
        import_sentence_transformer(folder, tmp_path, "x", {})
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=f"tiny-encoder has no {file}"):
        import_sentence_transformer(folder, tmp_path, "x", {})


def test_steps_that_are_others_are_named(folder: Path, tmp_path: Path) -> None:
    steps = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(steps[:2]))
    why = "its steps must be Transformer, Pooling, Normalize, not Transformer, Pooling"
    with pytest.raises(CheckpointError, match=why):
        import_sentence_transformer(folder, tmp_path, "x", {})


@pytest.mark.parametrize("fault", ["cut", "missing"])
def test_weights_that_are_cut_short_or_missing_are_refused(
    folder: Path, tmp_path: Path, fault: str
) -> None:
    file = folder / "model.safetensors"
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:-10])
        why = "model.safetensors can't be read"
    else:
        weights = load_file(file)
        del weights["embeddings.word_embeddings.weight"]
        save_file(weights, file)
        why = "lacks embeddings.word_embeddings.weight"
    with pytest.raises(CheckpointError, match=why):
        import_sentence_transformer(folder, tmp_path, "x", {})
