"""Card certificates, revocation, statements and pseudonyms: who stands behind a key. Pure."""
