"""A resident's device at the identity hub: what it asks, and what it signs only after looking."""
