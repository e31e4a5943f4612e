"""What is said where data cannot be had."""

from __future__ import annotations


class DataError(Exception):
    """A data set is neither here nor to be fetched, or its files are not as they should be."""
