"""Benchmarks of sklearn_l2rw; run as ``python -m benchmarks.NAME`` from the root."""
