"""Officials' commands: from the draft of an election to its published record."""
