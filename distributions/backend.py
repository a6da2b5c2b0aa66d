"""The service's build backend (PEP 517): wheels are staged, editable installs are setuptools'.

An editable install has the repository's own names: `app`, `models`, `training` and `workers`.
"""

from collections.abc import Mapping
from typing import Any

from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    prepare_metadata_for_build_editable,
)

from distributions.staging import build, prepare_metadata, stage_service

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, Any] | None


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    return prepare_metadata(stage_service, metadata_directory)


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    return build("wheel", stage_service, wheel_directory)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    return build("sdist", stage_service, sdist_directory)
