"""What y means, and what the loss gets."""
