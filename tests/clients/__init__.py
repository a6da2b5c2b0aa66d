"""Stock clients, each installed from its registry, over a running service.

`make test-clients` runs them. A client that its registry does not give is skipped, with the reason.
"""
