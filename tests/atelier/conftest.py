"""What the tests of the command share."""

from importlib.metadata import PackageNotFoundError, distribution

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs_package"):
        (name,) = marker.args
        try:
            distribution(name)
        except PackageNotFoundError:
            pytest.skip(f"pip install --no-deps {name}")
