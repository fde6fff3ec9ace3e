# pragma version 0.4.3
# pragma evm-version shanghai
"""
@title Recorder
@notice Reads everything a contract can read of its surroundings and keeps it, so that two
        executors that differ in anything end with different state roots. For tests only.
"""

event Recorded:
    kind: indexed(uint256)
    word: bytes32


kept: public(HashMap[uint256, bytes32])
many: public(uint256[40])
child: public(address)


@deploy
@payable
def __init__():
    log Recorded(kind=0, word=convert(msg.value, bytes32))


@external
def keep_hash(height: uint256):
    self.kept[height] = blockhash(height)
    log Recorded(kind=1, word=self.kept[height])


@external
def keep_context():
    self.kept[1000] = convert(block.coinbase, bytes32)
    self.kept[1001] = convert(block.timestamp, bytes32)
    self.kept[1002] = convert(block.number, bytes32)
    self.kept[1003] = convert(block.gaslimit, bytes32)
    self.kept[1004] = convert(block.basefee, bytes32)
    self.kept[1005] = convert(chain.id, bytes32)
    self.kept[1006] = block.prevrandao
    self.kept[1007] = convert(msg.gas, bytes32)
    self.kept[1008] = convert(tx.gasprice, bytes32)
    self.kept[1009] = convert(tx.origin, bytes32)
    self.kept[1010] = convert(self.balance, bytes32)
    self.kept[1011] = msg.sender.codehash
    self.kept[1012] = convert(len(slice(msg.data, 0, 4)), bytes32)


@external
def keep_digests(data: Bytes[1024]):
    self.kept[2000] = keccak256(data)
    self.kept[2001] = sha256(data)
    self.kept[2002] = convert(
        ecrecover(keccak256(data), 27, 1, 2), bytes32
    )
    modexp: Bytes[32] = raw_call(
        0x0000000000000000000000000000000000000005,
        concat(
            convert(0, bytes32),
            convert(1, bytes32),
            convert(1, bytes32),
            0x00,
            0x05,
        ),
        max_outsize=32,
    )
    self.kept[2003] = keccak256(modexp)


@external
def fill():
    for at: uint256 in range(40):
        self.many[at] = at + 1


@external
def clear():
    for at: uint256 in range(40):
        self.many[at] = 0


@external
def spawn(salt: bytes32):
    self.child = create_minimal_proxy_to(self, salt=salt)
    log Recorded(kind=3, word=convert(self.child, bytes32))


@external
@payable
def pass_on(to: address):
    send(to, msg.value // 2)


@external
def fail_after_writing():
    self.kept[3000] = convert(1, bytes32)
    log Recorded(kind=4, word=empty(bytes32))
    raise "recorder: as asked"


@external
def burn_all_gas():
    for at: uint256 in range(100000000):
        self.kept[4000] = keccak256(self.kept[4000])
