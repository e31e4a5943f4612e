"""From two batches to example weights: the paper. Needs torch alone."""
