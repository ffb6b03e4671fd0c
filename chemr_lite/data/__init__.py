"""Rows: read from files, published tables and public data sets, checked, and divided into splits."""

from chemr_lite.data.rows import Loaded, check_row, load
from chemr_lite.errors import DataError

__all__ = ["DataError", "Loaded", "check_row", "load"]
