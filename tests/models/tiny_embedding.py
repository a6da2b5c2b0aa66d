"""A tiny text encoder, built on the spot: a tokenizer of word pieces, and a BERT of random
weights."""

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import JsonValue
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from models.convert.sentence_transformers import MEAN, STEPS
from models.embedding.sentence_encoder import TOKENIZER
from models.language.tokenizer import tensor_of
from models.nets.bert import BertEncoder

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
KNOWN = ["the", "hen", "ant", "sea", "red", "##s", "##y", *"abcdefghijklmnopqrstuvwxyz,.!"]
NET: dict[str, JsonValue] = {
    "vocabulary": len(MARKS) + len(KNOWN),
    "dimensions": 24,
    "layers": 2,
    "heads": 3,
    "inner": 40,
    "positions": 48,
}
PROCESS: dict[str, JsonValue] = {"context": 40}
PARAMS: list[dict[str, object]] = [
    {"texts": ["the hen"]},
    {"texts": ["the red hens", "a sea", "an ant " * 5, "the hen"]},
    {"texts": ["the sea " * 12, "red, red, red!"]},
    {"texts": [f"the ant {'abcdefgh'[i % 8]} {'hen ' * (i % 13)}" for i in range(70)]},
]


def tokenizer() -> Tokenizer:
    """As BERT's are made, with few words."""
    vocab = {word: number for number, word in enumerate([*MARKS, *KNOWN])}
    raw = Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    raw.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS])
    return raw


class Reader(BertEncoder):
    """The weights of a checkpoint by their names, and its tokenizer."""

    def __init__(self, **net: Any) -> None:
        super().__init__(**net)
        self.register_buffer(TOKENIZER, tensor_of(tokenizer().to_str()))


def random_bert() -> Any:
    """A net of transformers with the measures of NET."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=NET["vocabulary"],
        hidden_size=NET["dimensions"],
        num_hidden_layers=NET["layers"],
        num_attention_heads=NET["heads"],
        intermediate_size=NET["inner"],
        max_position_embeddings=NET["positions"],
    )
    net: Any = BertModel(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return net


def saved_encoder(folder: Path) -> Path:
    """A folder as sentence-transformers saves a model."""
    random_bert().save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    steps = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(zip(STEPS, ("", "1_Pooling", "2_Normalize"), strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": NET["dimensions"], MEAN: True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40}))
    return folder
