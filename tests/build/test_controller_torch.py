"""The torch that the controller keeps for its own builds, fetched by a real pip from a folder of tiny wheels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pip
import pytest
from build_parts import PYTHON_TAG, make_order, make_tools
from wheel.wheelfile import WheelFile

from orchestrator.build.controller_torch import keep_torch
from orchestrator.build.order import BuildTools
from orchestrator.build.steps import Workshop
from orchestrator.build.target import find_target
from orchestrator.errors import BuildError
from orchestrator.index.pip_index import PipIndex
from orchestrator.remote.local import open_local

FULL = "2.13.0+cpu"


@dataclass(frozen=True)
class Controller:
    """A controller whose package index is a folder."""

    tools: BuildTools
    shop: Workshop
    index: Path

    def keep(self) -> Path:
        target = find_target(make_order(), self.shop.remote)
        return keep_torch(target, str(Path(pip.__file__).parent), make_order(python=None), self.tools, self.shop)

    def offer(self, name: str, *, version: str) -> None:
        """Put a torch on the index that is called `name` and says of itself that it is `version`."""
        with WheelFile(self.index / f"torch-{name}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("torch/version.py", f"__version__ = '{version}'\n")
            wheel.writestr(f"torch-{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {name}\n")
            wheel.writestr(f"torch-{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")

    @property
    def kept(self) -> list[str]:
        return [path.name for path in (self.tools.cache / "torch").iterdir()]


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "index").mkdir()
    session = open_local()
    tools = make_tools(tmp_path, remote=session, index=PipIndex(tmp_path / "packages", environ={}))
    shop = Workshop(remote=session, folder=str(tmp_path), logs=tools.logs)
    yield Controller(tools=tools, shop=shop, index=tmp_path / "index")
    session.close()


def test_torch_is_installed_once_and_then_taken_from_its_folder(controller: Controller) -> None:
    controller.offer(FULL, version=FULL)
    folder = controller.keep()
    assert (folder / "torch" / "version.py").read_text() == f"__version__ = '{FULL}'\n"
    (controller.index / f"torch-{FULL}-py3-none-any.whl").unlink()
    assert controller.keep() == folder


def test_an_index_that_leaves_the_local_part_out_will_do(controller: Controller) -> None:
    controller.offer("2.13.0", version=FULL)
    controller.keep()
    assert controller.kept == [f"{PYTHON_TAG}-{FULL}"]


def test_another_build_of_the_same_torch_is_refused_and_not_kept(controller: Controller) -> None:
    controller.offer("2.13.0", version="2.13.0+cu130")
    with pytest.raises(BuildError, match=r"has torch 2\.13\.0\+cu130, not 2\.13\.0\+cpu"):
        controller.keep()
    assert controller.kept == []


def test_an_index_without_torch_is_told_in_pips_words(controller: Controller) -> None:
    with pytest.raises(BuildError, match=r"ERROR: .*torch==2\.13\.0"):
        controller.keep()
    assert controller.kept == []
