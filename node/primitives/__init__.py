"""The ledger's words: types, codecs, hashes, blocks. Pure."""
