"""Rows: read from files, published tables and public data sets, checked, and divided into splits."""

from chemr_lite.data.rows import Loaded, check_row, load

__all__ = ["Loaded", "check_row", "load"]
