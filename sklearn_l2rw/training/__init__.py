"""skorch's seams, from `fit` to the weighted step."""
