"""The bytes of tokens: put together, they are the text's, whatever the tokenizer."""

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from models.checkpoint.configs import LanguageTokenizer
from models.language.tokenizer import TENSOR, TextTokens, tensor_of
from tests.models.tiny_language import WORDS, tokenizer

TEXT = " the rain \ufffd 蓝\U0001f40b é\n"


def text_tokens_of(raw: Tokenizer) -> TextTokens:
    config = {**WORDS, "ends": [0]}
    return TextTokens(LanguageTokenizer.parse(config), {TENSOR: tensor_of(raw.to_str())})


def test_bytes_of_a_byte_level_tokenizer_are_the_texts() -> None:
    text_tokens = text_tokens_of(tokenizer())
    tokens = text_tokens.of_text(TEXT)
    assert b"".join(text_tokens.bytes_of(token) for token in tokens) == TEXT.encode()
    half = text_tokens.of_text("蓝")[0]
    assert (text_tokens.piece(half), text_tokens.bytes_of(half)) == ("\ufffd", "蓝".encode()[:1])


def test_bytes_of_a_tokenizer_with_a_fallback_are_the_texts() -> None:
    vocab = {"<unk>": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}, "▁": 257, "a": 258}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    raw.add_special_tokens([AddedToken("<unk>", special=True, normalized=False)])
    text_tokens = text_tokens_of(raw)
    tokens = text_tokens.of_text(TEXT)
    assert b"".join(text_tokens.bytes_of(token) for token in tokens) == TEXT.encode()


def test_a_special_token_adds_no_bytes_and_an_added_one_its_own() -> None:
    raw = tokenizer()
    raw.add_tokens([AddedToken("<think é>", normalized=False)])
    text_tokens = text_tokens_of(raw)
    assert text_tokens.bytes_of(2) == b""
    assert text_tokens.bytes_of(raw.token_to_id("<think é>")) == "<think é>".encode()
