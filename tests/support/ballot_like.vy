# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title A contract of the weight of a ballot, for measurements and differential tests
@notice One registrar's signature checked, four storage writes of which two are new slots, and one
    event with three topics. Stands on no chain.
"""

event Cast:
    election: indexed(uint256)
    nullifier: indexed(bytes32)
    ciphertext: Bytes[192]

registrar: public(address)
is_open: public(HashMap[uint256, bool])
used: public(HashMap[bytes32, bool])
receipts: public(HashMap[uint256, HashMap[uint256, bytes32]])
counts: public(HashMap[uint256, uint256])
tips: public(HashMap[uint256, bytes32])


@deploy
def __init__(registrar: address):
    self.registrar = registrar


@external
def open_election(election: uint256):
    assert not self.is_open[election], "ballot_like: already open"
    self.is_open[election] = True


@external
def cast(
    election: uint256,
    nullifier: bytes32,
    v: uint256,
    r: uint256,
    s: uint256,
    ciphertext: Bytes[192],
):
    assert self.is_open[election], "ballot_like: closed"
    assert not self.used[nullifier], "ballot_like: spent"
    digest: bytes32 = keccak256(abi_encode(election, nullifier))
    assert ecrecover(digest, v, r, s) == self.registrar, "ballot_like: not signed"
    self.used[nullifier] = True
    count: uint256 = self.counts[election]
    commitment: bytes32 = keccak256(ciphertext)
    self.receipts[election][count] = commitment
    self.counts[election] = count + 1
    self.tips[election] = keccak256(concat(self.tips[election], commitment))
    log Cast(election=election, nullifier=nullifier, ciphertext=ciphertext)
