"""The client's build backend (PEP 517): it builds files that are elsewhere in the repository."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distributions.staging import build, stage_client

Settings = Mapping[str, Any] | None


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    return build("wheel", stage_client, wheel_directory)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    return build("sdist", stage_client, sdist_directory)
