"""Scores: single answers judged, the figures of a table, the benchmarks' own metrics, and baselines."""
