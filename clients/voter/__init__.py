"""The voter's side of an election: enrol, choose, check or send, follow, prove."""
