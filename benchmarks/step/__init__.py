"""Time and memory of a step and of a fit: the parts of `benchmarks.bench_step`."""
