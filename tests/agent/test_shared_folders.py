from __future__ import annotations

import pytest

from orchestrator.agent.shared_folder import network_id

LOCAL = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def mounted(point: str, kind: str, source: str, root: str = "/") -> str:
    return f"{LOCAL}60 22 0:50 {root} {point} rw,relatime shared:9 - {kind} {source} rw,vers=4.2\n"


def test_a_local_folder_is_nobody_elses() -> None:
    assert network_id("/opt/venv/lib", 7, LOCAL) is None
    assert network_id("/opt/venv/lib", 7, "") is None


@pytest.mark.parametrize(
    ("point", "source", "root"),
    [("/home", "nas:/export", "/"), ("/home/ml", "nas:/export/ml", "/"), ("/home/ml", "nas:/export", "/ml")],
)
def test_an_nfs_folder_is_named_alike_however_it_is_mounted(point: str, source: str, root: str) -> None:
    assert network_id("/home/ml/venv/lib", 7, mounted(point, "nfs4", source, root)) == "nas:/export/ml/venv/lib"


@pytest.mark.parametrize(
    ("kind", "source", "name"),
    [
        ("nfs", "10.0.0.1:/export", "10.0.0.1:/export/venv"),
        ("lustre", "10.0.0.1@tcp:10.0.0.2@tcp:/scratch", "10.0.0.1@tcp:10.0.0.2@tcp:/scratch/venv"),
        ("ceph", "admin@9c1f.fs=/", "admin@9c1f.fs=/venv"),
        ("cifs", "//server/share", "//server/share/venv"),
        ("fuse.sshfs", "ml@nas:/export", "ml@nas:/export/venv"),
        ("gpfs", "gpfs0", "gpfs:gpfs0/venv#7"),
        ("beegfs", "beegfs_nodev", "beegfs:beegfs_nodev/venv#7"),
        ("fuse.fuse-overlayfs", "fuse-overlayfs", None),
        ("9p", "hostshare", None),
        ("tmpfs", "a:b", None),
    ],
)
def test_what_a_source_proves(kind: str, source: str, name: str | None) -> None:
    assert network_id("/data/venv", 7, mounted("/data", kind, source)) == name


def test_the_innermost_mount_counts_and_of_two_at_one_place_the_last() -> None:
    inside = mounted("/data", "nfs", "nas:/export") + "61 60 8:2 / /data/venv rw - ext4 /dev/sdb1 rw\n"
    assert network_id("/data/venv/lib", 7, inside) is None
    hidden = mounted("/data", "nfs", "old:/export") + "61 22 0:51 / /data rw - nfs new:/export rw\n"
    assert network_id("/data/venv", 7, hidden) == "new:/export/venv"


def test_neighbours_with_a_longer_name_are_not_inside_and_blanks_are_read() -> None:
    assert network_id("/data2/venv", 7, mounted("/data", "nfs", "nas:/export")) is None
    assert network_id("/my data/venv", 7, mounted("/my\\040data", "nfs", "nas:/export")) == "nas:/export/venv"
