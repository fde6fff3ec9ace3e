"""A trustee's and mixer's work: keys, mixing, judging, decrypting, counting; all unattended."""
