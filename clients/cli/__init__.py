"""Commands for residents; attached to `daicho` by name."""
