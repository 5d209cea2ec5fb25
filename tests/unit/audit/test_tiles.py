"""Paths of tiles: one spelling each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.tiles import Tile, parse_tile


@given(st.integers(-1, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_a_path_is_read_as_it_is_written(level, number, width):
    tile = Tile(level, number, width)
    assert parse_tile(tile.path()) == tile


def test_the_example_of_the_specification():
    assert Tile(0, 1234067, 256).path() == "0/x001/x234/067"


@given(st.text(alphabet="0123456789x/.pentris-", max_size=24))
def test_no_other_spelling_is_read(path):
    tile = parse_tile(path)
    assert tile is None or tile.path() == path


@pytest.mark.parametrize("path", ["0/٠٠٠", "entries", "", "0/000\n", "0/000.p/0x1"])
def test_noise_is_none(path):
    assert parse_tile(path) is None
