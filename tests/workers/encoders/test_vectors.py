"""Vectors in files: the same numbers in either format."""

import io
import json

import numpy as np
import torch

from models.artifacts import Vectors
from workers.encoders.encode import encode
from workers.encoders.types import Facts

FACTS = Facts("tiny", "ab" * 32, {"texts": ["a", "b"]}, 7)
VECTORS = Vectors(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)), 6)


def test_an_array_has_the_very_numbers() -> None:
    (file,) = encode(VECTORS, "npy", FACTS)
    assert (file.content_type, file.role, file.prompt_tokens) == ("application/x-npy", "vectors", 6)
    array = np.load(io.BytesIO(file.data), allow_pickle=False)
    assert array.dtype == np.dtype("<f4")
    assert torch.equal(torch.from_numpy(array), VECTORS.values)


def test_json_has_the_very_numbers_and_what_made_them() -> None:
    (file,) = encode(VECTORS, "json", FACTS)
    assert (file.content_type, file.role) == ("application/json", "vectors")
    content = json.loads(file.data)
    assert torch.equal(torch.tensor(content["vectors"], dtype=torch.float32), VECTORS.values)
    assert content["atelier"]["params"] == {"texts": ["a", "b"]}
