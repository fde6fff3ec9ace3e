"""What everyone who runs the service has: the state of each election, and its files."""
