"""From results in files to tables, figures and verdicts on what is claimed of them."""
