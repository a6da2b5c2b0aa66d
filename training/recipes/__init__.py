"""One file per checkpoint, named as the checkpoint with underscores; each defines RECIPE."""
