"""Where a user's files are."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config.settings import make_settings

HOME = Path("/home/ml")


def test_without_variables_folders_are_in_the_home_and_the_hostfile_is_deepspeeds() -> None:
    settings = make_settings({}, HOME)
    assert settings.cache_folder == HOME / ".cache/dsdeploy"
    assert settings.data_folder == HOME / ".local/share/dsdeploy"
    assert settings.state_folder == HOME / ".local/state/dsdeploy"
    assert settings.recipes_folder == HOME / ".config/dsdeploy/recipes"
    assert settings.hostfile == Path("/job/hostfile")


def test_the_xdg_variables_are_followed() -> None:
    environ = {"XDG_CACHE_HOME": "/c", "XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/e"}
    settings = make_settings(environ, HOME)
    assert settings.cache_folder == Path("/c/dsdeploy")
    assert settings.data_folder == Path("/d/dsdeploy")
    assert settings.state_folder == Path("/s/dsdeploy")
    assert settings.recipes_folder == Path("/e/dsdeploy/recipes")


def test_empty_and_relative_xdg_folders_are_ignored() -> None:
    assert make_settings({"XDG_CACHE_HOME": "", "XDG_DATA_HOME": "x"}, HOME) == make_settings({}, HOME)


def test_the_variable_names_the_hostfile_unless_it_is_empty() -> None:
    assert make_settings({"DSDEPLOY_HOSTFILE": "my/hosts"}, HOME).hostfile == Path("my/hosts")
    assert make_settings({"DSDEPLOY_HOSTFILE": ""}, HOME).hostfile == Path("/job/hostfile")
