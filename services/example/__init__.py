"""A noticeboard: the smallest service that uses all of the kit. Begin the next one from it."""
