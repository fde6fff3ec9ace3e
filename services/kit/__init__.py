"""What every town service stands on: HTTP, identity, database, events, audit, envelopes, jobs."""
