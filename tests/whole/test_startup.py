from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from whole_tool import ROOT

pytestmark = pytest.mark.process
HEAVY = ("paramiko", "fabric", "torch", "cryptography", "rich.table")
QUESTION = """
import contextlib, io, sys
from orchestrator.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main(sys.argv[1:])
print(len(said.getvalue()) > 100, *sorted(sys.modules))
"""


def modules_after(*words: str) -> set[str]:
    """Return the modules that one command has imported, after it said something."""
    asked = [sys.executable, "-c", QUESTION, *words]
    has_spoken, *modules = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert has_spoken == "True"
    return set(modules)


@pytest.mark.parametrize("words", [["--help"], ["provision", "--help"]])
def test_help_is_told_without_any_heavy_import(words: list[str]) -> None:
    assert modules_after(*words).isdisjoint(HEAVY)


def test_hosts_needs_neither_ssh_nor_torch(tmp_path: Path) -> None:
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("worker-[0-9] slots=4\n")
    assert modules_after("hosts", "-H", str(hostfile), "--json").isdisjoint({"paramiko", "fabric", "torch"})


def test_the_status_of_this_host_needs_nothing_but_the_standard_library() -> None:
    ours = {name for name in modules_after("status", "--local", "--help") if name.partition(".")[0] == "orchestrator"}
    assert ours == {
        "orchestrator",
        "orchestrator.agent",
        "orchestrator.agent.local_status",
        "orchestrator.cli",
        "orchestrator.cli.main",
    }
    assert modules_after("status", "--local", "--help").isdisjoint({"typer", "click", "yaml", "argparse", *HEAVY})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of dsdeploy itself."""
    folder = tmp_path_factory.mktemp("package")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", str(ROOT), "--no-deps", "-w", str(folder)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_recipes_and_all_sources_ship_inside_the_package_and_nothing_else(package: Path) -> None:
    shipped = set(zipfile.ZipFile(package).namelist())
    recipes = {f"orchestrator/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.yaml")}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "orchestrator").rglob("*.py")}
    assert "orchestrator/recipes/cpu-training.yaml" in recipes
    assert recipes | sources <= shipped
    assert not any(name.startswith(("tests/", "scripts/")) for name in shipped)


def test_an_installed_package_finds_its_recipes_far_from_any_checkout(package: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(package).extractall(tmp_path / "site")
    question = """
import sys; sys.path.insert(0, sys.argv[1])
from orchestrator.cli.main import main; main(["recipe", "list", "--json"])
"""
    asked = [sys.executable, "-c", question, str(tmp_path / "site")]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert f"{tmp_path}/site/orchestrator/recipes/cpu-training.yaml" in said
