"""Processes that hold models and run them."""
