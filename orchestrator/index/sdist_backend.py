"""Stands in for setuptools while pip fetches an sdist, so that no code of the sdist runs.

pip asks a build backend (PEP 517) for the metadata of every sdist that it downloads; for DeepSpeed that runs its
setup.py, which wants torch. The metadata is there already, in PKG-INFO. Laid out for pip as `setuptools/build_meta.py`.
"""

import shutil
import sys
from collections.abc import Mapping
from email.parser import BytesParser
from pathlib import Path

__legacy__ = sys.modules[__name__]
"""The backend's name for a source tree without pyproject.toml: `setuptools.build_meta:__legacy__`."""


def get_requires_for_build_wheel(_config_settings: Mapping[str, str] | None = None) -> list[str]:
    """Need nothing."""
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, _config_settings: Mapping[str, str] | None = None) -> str:
    """Write `NAME-VERSION.dist-info/METADATA` from the PKG-INFO of the current folder; return the folder's name."""
    with Path("PKG-INFO").open("rb") as file:
        headers = BytesParser().parse(file, headersonly=True)
    dist_info = Path(metadata_directory, f"{headers['Name']}-{headers['Version']}.dist-info")
    dist_info.mkdir()
    shutil.copyfile("PKG-INFO", dist_info / "METADATA")
    return dist_info.name
