"""The bytes that each token of a tokenizer stands for: a token may hold half a letter."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")  # how tokenizers with a byte fallback write a byte
PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
OTHERS = tuple(byte for byte in range(256) if byte not in PRINTABLE)
BYTES = {chr(byte): byte for byte in PRINTABLE} | {
    chr(256 + number): byte for number, byte in enumerate(OTHERS)
}
"""GPT-2's alphabet: the letter that a byte-level tokenizer writes for each byte."""


class TokenBytes:
    """Reads the bytes of a token off its name, by the kind of decoder that the tokenizer has."""

    def __init__(self, spec: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        """`spec` is the tokenizer's JSON."""
        kinds = {step.get("type") for step in _steps(spec.get("decoder"))}
        self._byte_level, self._byte_fallback = "ByteLevel" in kinds, "ByteFallback" in kinds
        self._added = {int(token["id"]) for token in spec["added_tokens"]}
        self._tokenizer = tokenizer

    def bytes_of(self, token: int, text: str) -> bytes:
        """The bytes of a token that reads as `text` between others."""
        own = self.own_bytes(token)
        return text.encode() if own is None else own

    def own_bytes(self, token: int) -> bytes | None:
        """The bytes that a token's name spells; None where only its text tells them."""
        name = self._tokenizer.id_to_token(token)
        if name is None or token in self._added:
            return None
        if self._byte_fallback and (byte := _BYTE.fullmatch(name)):
            return bytes([int(byte[1], 16)])
        if self._byte_level and all(letter in BYTES for letter in name):
            return bytes(BYTES[letter] for letter in name)
        return None


def _steps(decoder: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(decoder, Mapping):
        yield decoder
        for step in decoder.get("decoders", ()):
            yield from _steps(step)
