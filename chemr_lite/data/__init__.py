"""Rows in: read from files, published tables and public data sets, checked, and kept apart by split."""

from chemr_lite.data.rows import Loaded, check_row, load

__all__ = ["Loaded", "check_row", "load"]
