"""A tiny language model, built on the spot: a tokenizer of bytes, and a Llama of random weights."""

from pathlib import Path
from typing import Any, cast

import torch
from pydantic import JsonValue
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from models.language.tokenizer import tensor_of

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGED = ["th", "he", "in", "an", "er", "the", "Ġt", "Ġa"]
END = 2
LLAMA: dict[str, JsonValue] = {
    "model_type": "llama",
    "vocab_size": 272,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}
WORDS: dict[str, JsonValue] = {
    "chat_template": TEMPLATE,
    "ends": [END],
    "marks": {"bos_token": MARKS[1], "eos_token": MARKS[2]},
}


def tokenizer() -> Tokenizer:
    """Marks, then all bytes, then a few words: 3 + 256 + 8 tokens, as GPT-2's are made."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {word: number for number, word in enumerate([*MARKS, *letters, *MERGED])}
    merges = [("t", "h"), ("h", "e"), ("i", "n"), ("a", "n"), ("e", "r"), ("t", "he")]
    merges += [("Ġ", "t"), ("Ġ", "a")]
    raw = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS])
    return raw


def random_net() -> Any:
    """A Llama that writes letters, and not the same all along: other tokens are faint, and what
    its layers add to a token is not."""
    config = cast(dict[str, Any], dict(LLAMA))
    maker: Any = AutoModelForCausalLM  # it has no types
    net = maker.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
    vocab = sorted(tokenizer().get_vocab().items())  # it comes in another order in each process
    letters = [i for word, i in vocab if word.isascii() and i > END]
    with torch.no_grad():
        net.get_input_embeddings().weight[letters] = torch.randn(len(letters), 32) * 0.15
        for name, parameter in net.named_parameters():
            if "layers" in name and parameter.ndim > 1:
                parameter.mul_(8)
    return net


def saved_folder(folder: Path) -> Path:
    """A folder as transformers saves a model."""
    torch.manual_seed(0)
    random_net().save_pretrained(folder)
    names = {"bos_token": MARKS[1], "eos_token": MARKS[2], "unk_token": MARKS[0]}
    peer = PreTrainedTokenizerFast(tokenizer_object=tokenizer(), **names)
    peer.chat_template = TEMPLATE
    peer.save_pretrained(folder)
    return folder


class Writer(nn.Module):
    """The weights of a checkpoint by their names, and its tokenizer."""

    def __init__(self, **net: Any) -> None:
        super().__init__()
        built = random_net()
        tied = built.all_tied_weights_keys
        for name, child in built.named_children():
            if f"{name}.weight" not in tied:
                self.add_module(name, child)
        self.words = nn.Module()
        self.words.register_buffer("tokenizer", tensor_of(tokenizer().to_str()))


NET: dict[str, JsonValue] = {"config": LLAMA, "words": WORDS, "context": 1000}
PARAMS: list[dict[str, object]] = [
    {"prompt": "the hen", "max_tokens": 12, "title": "A Hen"},
    {"kind": "continuation", "text": "the ant in the tent", "max_tokens": 6, "temperature": 2.0},
    {"kind": "completion", "text": "an eel " * 20, "max_tokens": 9, "top_p": 0.5, "logprobs": 3},
    {"kind": "poem", "theme": "rain", "style": "ode", "max_tokens": 5, "min_p": 0.01},
    {
        "kind": "chat",
        "messages": [{"role": "user", "content": "Tell me of the sea."}],
        "max_tokens": 8,
        "top_k": 20,
        "repetition_penalty": 1.3,
        "stop": ["e", "zz"],
    },
    {"kind": "continuation", "text": "in the rain", "max_tokens": 7, "temperature": 0.0},
    {
        "kind": "completion",
        "text": "in the tent",
        "max_tokens": 9,
        "json_schema": {"type": "array", "items": {"enum": ["hen", "ant"]}, "minItems": 1},
    },
    {
        "kind": "completion",
        "text": "an ant in a tent",
        "max_tokens": 12,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.7,
        "logit_bias": {"7": -100, "20": 2},
    },
    {
        "kind": "completion",
        "text": "a hen in the rain",
        "max_tokens": 4,
        "logprobs": 1,
        "prompt_logprobs": True,
    },
]
