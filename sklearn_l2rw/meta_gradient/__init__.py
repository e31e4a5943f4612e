"""From two batches to example weights: the paper, in torch alone."""
