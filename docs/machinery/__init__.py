"""What makes the site of its sources, and holds it to them."""
