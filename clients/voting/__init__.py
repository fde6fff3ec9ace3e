"""The voting protocol as pure functions: encode, encrypt, prove, mix, decrypt, count."""
