"""What the tests of fan-outs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated import make_parcel

from orchestrator.ports import Parcel


@pytest.fixture(scope="session")
def parcel(tmp_path_factory: pytest.TempPathFactory) -> Parcel:
    folder: Path = tmp_path_factory.mktemp("parcel")
    return make_parcel(folder)
