"""The networks: those of the paper's experiments, and some of other kinds."""
