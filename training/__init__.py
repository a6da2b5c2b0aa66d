"""How every checkpoint is made: data, losses, learners, one training loop, and a recipe each."""
