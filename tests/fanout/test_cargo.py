from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import TransferError
from orchestrator.fanout.cargo import Cargo, sort_freight
from orchestrator.planning.fanout import ChunkSizes
from orchestrator.ports import Parcel

SIZES = ChunkSizes(chunk_bytes=10, group_chunks=2)


def make_parcel(path: Path, content: bytes) -> Parcel:
    path.write_bytes(content)
    return Parcel(
        source=path,
        path=f"cache:wheels/{path.name}",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )


def listed(*chunks: bytes) -> bytes:
    return b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)


def test_group_digests_are_digests_of_the_chunks_digests(tmp_path: Path) -> None:
    cargo = Cargo([make_parcel(tmp_path / "a", b"0123456789ABCDEFGHIJxyz")], SIZES)
    (file,) = cargo.parameters["files"]
    groups = [listed(b"0123456789", b"ABCDEFGHIJ"), listed(b"xyz")]
    assert file["digests"] == [hashlib.sha256(group).hexdigest() for group in groups]
    assert (file["size"], file["path"]) == (23, "cache:wheels/a")
    assert (cargo.parameters["chunk_bytes"], cargo.parameters["group_chunks"]) == (10, 2)


def test_the_stream_brings_each_groups_list_before_its_first_chunk(tmp_path: Path) -> None:
    cargo = Cargo([make_parcel(tmp_path / "a", b"0123456789ABCDEFGHIJxyz")], SIZES)
    first, last = listed(b"0123456789", b"ABCDEFGHIJ"), listed(b"xyz")
    assert list(cargo.stream([(0, 3)])) == [b"L" + first, b"C0123456789", b"CABCDEFGHIJ", b"L" + last, b"Cxyz"]
    assert list(cargo.stream([(1, 2)])) == [b"L" + first, b"CABCDEFGHIJ"]
    assert list(cargo.stream([(0, 1), (2, 3)])) == [b"L" + first, b"C0123456789", b"L" + last, b"Cxyz"]
    assert list(cargo.stream([])) == []


def test_chunks_are_numbered_over_all_files_and_never_cross_them(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path / name, content) for name, content in [("a", b"a" * 12), ("b", b""), ("c", b"ccc")]]
    cargo = Cargo(parcels, SIZES)
    assert [len(file["digests"]) for file in cargo.parameters["files"]] == [1, 0, 1]
    assert list(cargo.stream([(1, 3)])) == [b"L" + listed(b"a" * 10, b"aa"), b"Caa", b"L" + listed(b"ccc"), b"Cccc"]


def test_a_file_that_is_not_what_its_digest_says_is_not_sent(tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path / "a", b"good")
    parcel.source.write_bytes(b"evil")
    with pytest.raises(TransferError, match="has sha256"):
        Cargo([parcel], SIZES)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path / "a", b"good")
    parcel.source.unlink()
    with pytest.raises(TransferError, match="cannot be read: No such file"):
        Cargo([parcel], SIZES)


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(1, 7), st.data())
def test_any_ranges_of_any_file_arrive_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk_bytes: int, group_chunks: int, data: st.DataObject
) -> None:
    parcel = make_parcel(tmp_path_factory.mktemp("cargo") / "file", content)
    cargo = Cargo([parcel], ChunkSizes(chunk_bytes=chunk_bytes, group_chunks=group_chunks))
    count = -(-len(content) // chunk_bytes)
    first = data.draw(st.integers(0, count))
    end = data.draw(st.integers(first, count))
    units = list(cargo.stream([(first, end)]))
    assert b"".join(unit[1:] for unit in units if unit[:1] == b"C") == content[first * chunk_bytes : end * chunk_bytes]
    assert len([unit for unit in units if unit[:1] == b"C"]) == end - first
    groups = {number // group_chunks for number in range(first, end)}
    assert len([unit for unit in units if unit[:1] == b"L"]) == len(groups)


def test_files_for_the_same_hosts_travel_together(tmp_path: Path) -> None:
    wheel, other, pip = (make_parcel(tmp_path / name, name.encode()) for name in ("wheel", "other", "pip"))
    freights = sort_freight({"a": [wheel, pip], "b": [wheel, pip], "c": [other, pip]})
    assert [(freight.hosts, freight.parcels) for freight in freights] == [
        (("a", "b"), (wheel,)),
        (("a", "b", "c"), (pip,)),
        (("c",), (other,)),
    ]
    assert freights[0].size_bytes == 5
