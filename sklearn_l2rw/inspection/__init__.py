"""What a fitted estimator tells about its rows and its training, by its public attributes."""
