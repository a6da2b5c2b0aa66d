"""The generative families; nothing here knows of HTTP, Redis or RQ."""
