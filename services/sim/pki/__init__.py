"""A test public-key infrastructure with the profiles of the My Number Card."""
