"""What a worker asks of a model when it loads it; training asks the same (models/proof.py)."""

from models.proof import Determinism, Proof, prove

__all__ = ["Determinism", "Proof", "prove"]
