"""The tokenizer that a GGUF file describes, where it is of GPT-2's kind: pairs of bytes.

Such a file names how texts are split before pairs are merged (`tokenizer.ggml.pre`), and does not
spell it out. The names here are llama.cpp's; each stands for what the source's `tokenizer.json`
has. A name that is not known is refused: texts that are split otherwise have other tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from models.checkpoint.header import CheckpointError

CONTROL, USER_DEFINED = 3, 4  # types of tokens: special ones, and other added ones
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
LLAMA3 = rf"{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{SIGNS}|{SPACES}"
QWEN2 = rf"{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{SIGNS}|{SPACES}"
QWEN35 = (
    rf"{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{SPACES}"
)
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CAPITALS = r"[^\r\n\p{L}\p{N}]?"
SLASHES = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
TEKKEN = rf"{CAPITALS}{UPPER}*{LOWER}+|{CAPITALS}{UPPER}+{LOWER}*|\p{{N}}|{SLASHES}|{SPACES}"
GPT4O = (
    rf"{CAPITALS}{UPPER}*{LOWER}+{ENDINGS}?|{CAPITALS}{UPPER}+{LOWER}*{ENDINGS}?"
    rf"|\p{{N}}{{1,3}}|{SLASHES}|{SPACES}"
)
DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
DEEPSEEK_CODER = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}")
DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")


@dataclass(frozen=True)
class Splitting:
    """How texts are split before pairs are merged: by these patterns, one after another."""

    patterns: tuple[str, ...]
    whole_words: bool = False  # a word that is a token is one, whatever the merges make of it
    adds_bos: bool = False  # if the file does not say


SPLITTINGS: tuple[tuple[Splitting, tuple[str, ...]], ...] = (
    (
        Splitting((GPT2,)),
        ("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "mellum"),
    ),
    (
        Splitting((r"\p{N}", GPT2)),
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
    ),
    (
        Splitting((LLAMA3,), whole_words=True, adds_bos=True),
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
    ),
    (Splitting((LLAMA3,)), ("dbrx", "smaug-bpe", "glm4", "chatglm-bpe")),
    (
        Splitting((QWEN2,)),
        ("qwen2", "deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan"),
    ),
    (Splitting((QWEN35,)), ("qwen35",)),
    (Splitting((TEKKEN,), whole_words=True, adds_bos=True), ("tekken",)),
    (Splitting((GPT4O,)), ("gpt-4o", "llama4", "kanana2")),
    (Splitting(DEEPSEEK3), ("deepseek-v3", "hunyuan-dense")),
    (Splitting(DEEPSEEK_CODER), ("deepseek-coder",)),
    (Splitting(DEFAULT), ("default",)),
)
KNOWN = {name: splitting for splitting, names in SPLITTINGS for name in names}
UNSAID = "Its file does not say how texts are split: they are split in llama.cpp's default way. "
"""What a card says of a file without `tokenizer.ggml.pre`."""


def splitting_of(metadata: Mapping[str, Any]) -> Splitting:
    """How the file's texts are split. Raises CheckpointError for a name that is not known."""
    name = metadata.get("tokenizer.ggml.pre", "default")
    if name not in KNOWN:
        known = ", ".join(sorted(KNOWN))
        message = f"texts are split by its tokenizer in a way that is not known here: {name!r}"
        raise CheckpointError(f"{message} (tokenizer.ggml.pre); known are {known}")
    return KNOWN[name]


def gpt2_tokenizer(metadata: Mapping[str, Any], splitting: Splitting) -> Tokenizer:
    """The tokenizer. Raises CheckpointError where the file lacks its tokens."""
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise CheckpointError("it has no tokens (tokenizer.ggml.tokens)")
    vocab: dict[str, int] = {}
    for number, token in enumerate(tokens):
        vocab.setdefault(token, number)
    model = models.BPE(
        vocab=vocab,
        merges=_merges(metadata.get("tokenizer.ggml.merges", []), vocab),
        ignore_merges=splitting.whole_words,
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _pre_tokenizer(splitting.patterns)
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata.get("tokenizer.ggml.token_type", [])
    added = [(token, kind) for token, kind in zip(tokens, types, strict=False)]
    tokenizer.add_special_tokens(
        [AddedToken(t, normalized=False, special=True) for t, kind in added if kind == CONTROL]
    )
    tokenizer.add_tokens(
        [AddedToken(t, normalized=False) for t, kind in added if kind == USER_DEFINED]
    )
    return tokenizer


def _merges(lines: Sequence[str], vocab: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs that are merged; none of what is no token, which can't be written."""
    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    return [p for p in pairs if p[0] in vocab and p[1] in vocab and p[0] + p[1] in vocab]


def _pre_tokenizer(patterns: Sequence[str]) -> Any:
    """Steps as `tokenizer.json` has them: GPT-2's own splitting comes with its bytes."""
    steps: list[Any] = []
    for pattern in patterns:
        if pattern == r"\p{N}":
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        elif pattern != GPT2 or pattern != patterns[-1]:
            steps.append(pre_tokenizers.Split(Regex(pattern), behavior="isolated"))
    own = patterns[-1] == GPT2
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=own))
    return steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
