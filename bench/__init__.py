"""Every claim of speed, beside its peer in the same run. `python -m bench` runs all."""
