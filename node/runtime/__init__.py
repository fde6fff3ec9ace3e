"""Shell one: tasks, clock, sockets, signals, logs and metrics around the pure core."""
