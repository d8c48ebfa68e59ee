"""DER is read strictly: one encoding for each value, and bytes from others never raise another exception."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrity.sealing import der
from integrity.sums import Malformed

_YEAR_1950, _YEAR_2100 = datetime.fromisoformat("1950-01-01"), datetime.fromisoformat("2100-01-01")


@given(st.integers(-(2**500), 2**500))
@example(127)
@example(128)
@example(-128)
@example(-129)
@example(0)
def test_an_integer_comes_back(value: int) -> None:
    assert der.read_integer(der.read(der.integer(value), "un entero")) == value


@given(st.lists(st.integers(0, 2**128), max_size=2), st.integers(0, 2), st.integers(0, 39))
def test_an_object_identifier_comes_back(arcs: list[int], first: int, second: int) -> None:
    dotted = ".".join(map(str, [first, second, *arcs]))
    assert der.read_oid(der.read(der.oid(dotted), "un identificador")) == dotted


@given(st.datetimes(_YEAR_1950, _YEAR_2100))
def test_a_time_comes_back_to_the_second(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    assert der.read_time(der.read(der.time(at), "una hora")) == at.replace(microsecond=0)


@given(st.binary(max_size=70_000))
def test_content_of_any_length_comes_back(content: bytes) -> None:
    assert der.read(der.element(der.OCTETS, content), "bytes").content == content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04\x02a",
        b"\x04\x01ab",
        b"\x04\x81\x01a",
        b"\x04\x82\x00\x81" + b"a" * 0x81,
        b"\x30\x80\x00\x00",
        b"\x04\x85\x00\x00\x00\x00\x01a",
        b"\x1f\x81\x01\x00",
    ],
    ids=[
        "nothing",
        "cut",
        "short",
        "trailing",
        "long-form",
        "padded-length",
        "indefinite",
        "length-of-length",
        "high-tag",
    ],
)
def test_a_second_way_to_write_the_same_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        der.read(data, "algo")


@pytest.mark.parametrize("content", [b"", b"\0\x01", b"\xff\x80", b"\x01" * 65])
def test_an_integer_that_is_not_the_shortest_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        der.read_integer(der.read(der.element(der.INTEGER, content), "un entero"))


@pytest.mark.parametrize("content", [b"", b"\x80\x01", b"\x2a\x80\x01", b"\x2a\x86"])
def test_an_identifier_that_is_padded_or_cut_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        der.read_oid(der.read(der.element(der.OID, content), "un identificador"))


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (der.UTC_TIME, b"2406022000Z"),
        (der.UTC_TIME, b"240602200000-0600"),
        (der.UTC_TIME, b"241302200000Z"),
        (der.GENERALIZED_TIME, b"20240602200000.10Z"),
        (der.GENERALIZED_TIME, b"20240602200000"),
        (der.OCTETS, b"240602200000Z"),
    ],
)
def test_a_time_in_another_form_is_refused(tag: int, text: bytes) -> None:
    with pytest.raises(Malformed):
        der.read_time(der.read(der.element(tag, text), "una hora"))


@given(st.binary(max_size=40))
def test_bytes_of_anybody_are_read_or_malformed(data: bytes) -> None:
    try:
        element = der.read(data, "algo")
    except Malformed:
        return
    assert element.raw == data
    for reader in (der.read_integer, der.read_oid, der.read_time):
        try:
            reader(element)
        except Malformed:
            continue
