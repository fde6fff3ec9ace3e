"""A My Number Card in software: its files, its answers, and its way into a reader."""
