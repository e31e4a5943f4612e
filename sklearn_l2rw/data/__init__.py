"""From what users hold to batches that know their rows, clean ones alike."""
