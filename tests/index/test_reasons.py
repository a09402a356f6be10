"""Why pip failed, out of what it really printed (captured from pip 23.1 and 26.3)."""

from __future__ import annotations

import pytest

from orchestrator.index.reasons import error_of

NOTHING_FOUND = [
    "WARNING: Location 'file:///srv/simple/hjson/' is ignored: it is neither a file nor a directory.",
    "ERROR: Could not find a version that satisfies the requirement hjson (from versions: none)",
    "ERROR: No matching distribution found for hjson",
]


def told(lines: list[str]) -> str:
    return error_of(lines, wanted="wheel for cp311", hint="build one").message


def test_a_package_without_a_fitting_file_is_named() -> None:
    error = error_of(NOTHING_FOUND, wanted="wheel for cp311", hint="build one")
    assert error.message == (
        "the package index has no wheel for cp311 of hjson: pip says "
        "'Could not find a version that satisfies the requirement hjson (from versions: none)'"
    )
    assert error.hint == "build one"


def test_of_many_versions_the_newest_are_told_and_yanked_ones_are_not() -> None:
    lines = [
        "ERROR: Ignored the following yanked versions: 0.3.11",
        "ERROR: Ignored the following versions that require a different python version: 9.1 Requires-Python >=3.9",
        "ERROR: Could not find a version that satisfies the requirement a==9 (from versions: 0.1, 0.3, 0.6, 0.8)",
        "ERROR: No matching distribution found for a==9",
    ]
    assert told(lines).endswith("a==9 (from versions: …, 0.3, 0.6, 0.8)'")


def test_no_network_is_told_by_its_cause() -> None:
    refused = (
        "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
        "broken by 'NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=9): Failed to establish a new "
        "connection: [Errno 111] Connection refused\")': /simple/hjson/"
    )
    assert told([refused, *NOTHING_FOUND]) == (
        "the package index could not be reached: Failed to establish a new connection: [Errno 111] Connection refused"
    )


def test_older_pip_says_the_same_in_other_words() -> None:
    refused = (
        "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
        "broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at 0x7f0b5e7c0d10>: "
        "Failed to establish a new connection: [Errno 111] Connection refused')': /simple/hjson/"
    )
    assert told([refused, *NOTHING_FOUND]) == (
        "the package index could not be reached: Failed to establish a new connection: [Errno 111] Connection refused"
    )


def test_a_name_that_does_not_resolve_is_told() -> None:
    unknown = (
        "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
        "broken by 'NameResolutionError(\"HTTPSConnection(host='index.invalid', port=443): Failed to resolve "
        "'index.invalid' ([Errno -2] Name or service not known)\")': /simple/hjson/"
    )
    assert told([unknown, *NOTHING_FOUND]).endswith(
        "Failed to resolve 'index.invalid' ([Errno -2] Name or service not known)"
    )


def test_a_timeout_is_told() -> None:
    slow = (
        "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
        "broken by 'ReadTimeoutError(\"HTTPSConnectionPool(host='index.invalid', port=443): Read timed out. "
        "(read timeout=15)\")': /simple/hjson/"
    )
    assert told([slow, *NOTHING_FOUND]).endswith("could not be reached: Read timed out. (read timeout=15)")


@pytest.mark.parametrize("where", ["", " (from file:///tmp/x-y/installed/packaging-23.1-py3-none-any.whl)"])
def test_a_conflict_with_the_host_is_told_in_the_hosts_terms(where: str) -> None:
    lines = [
        "ERROR: Cannot install packaging>=24 because these package versions have conflicting dependencies.",
        "",
        "The conflict is caused by:",
        "    The user requested packaging>=24",
        "    app 1.0 depends on packaging>=25",
        f"    The user requested (constraint) packaging{where}",
        "",
        "To fix this you could try to:",
        "ERROR: ResolutionImpossible: for help visit …",
    ]
    assert error_of(lines, wanted="", hint="", installed={"packaging": "23.1"}).message == (
        "the host's packages do not allow it: DeepSpeed or its build needs packaging>=24; "
        "app 1.0 depends on packaging>=25; the host has packaging 23.1"
    )


def test_a_missing_torch_is_told_as_such() -> None:
    lines = [
        "ERROR: Cannot install torch because these package versions have conflicting dependencies.",
        "The conflict is caused by:",
        "    The user requested torch",
        "    The user requested (constraint) torch<0",
    ]
    assert told(lines) == "torch is needed and the host has none"


def test_a_wrong_hash_is_pips_own_words() -> None:
    line = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package"
    assert told(["Collecting hjson", line]) == f"pip failed: {line.removeprefix('ERROR: ')}"


def test_without_an_error_line_the_last_line_is_told() -> None:
    assert told(["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'pip'", ""]) == (
        "pip failed: ModuleNotFoundError: No module named 'pip'"
    )
    assert told([]) == "pip failed: it said nothing"
