"""The daicho command: parse, call, print."""
