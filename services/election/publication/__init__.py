"""Publication: the manifest before it is announced, and the page and record people read."""
