"""Data of the benchmarks: where it comes from, how it is made worse, how it is split."""
