"""The HTTP front end; it never imports torch."""
