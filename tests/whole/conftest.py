"""What the whole tool is tested with: a controller of the tests' own, hosts, and one wheel that was really built."""

from __future__ import annotations

import pytest
from whole_tool import Controller


@pytest.fixture
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    """A user whose store is empty."""
    return Controller(folder=tmp_path_factory.mktemp("controller"))
