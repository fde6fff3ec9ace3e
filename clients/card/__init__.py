"""A resident's My Number Card: reader, commands, codes, certificates, signatures, attributes."""
