"""Worst-case time per million gas of every opcode class and precompile, and what limits follow.

Each case is a contract that loops over one kind of work with the dearest operands known, until its
gas is spent, in a block of its own: execution, receipts and state root are timed together, on a
state in memory, without garbage collection, which a node keeps off this path.
"""

import argparse
import gc
import time
from dataclasses import dataclass, replace
from typing import Final

from node.execution.profile import ExecutionProfile, Interpreter
from node.primitives.types import Address
from tests.bench.record import record
from tests.support.assembler import assemble
from tests.support.execution import (
    CHAIN_ID,
    CONTRACT,
    SENDER_KEY,
    PreAccount,
    build,
    make_transaction,
    make_view,
)

GAS_FIRST: Final = 250_000
GAS_NEXT: Final = 4_000_000
ENOUGH_S: Final = 0.25
PROFILE: Final = ExecutionProfile(
    chain_id=CHAIN_ID,
    block_gas_limit=GAS_NEXT,
    transaction_gas_cap=GAS_NEXT,
    refused_precompiles=(),
)
HUGE: Final = "0x" + "ff" * 31 + "fd"
ODD: Final = "0x" + "a7" * 32
CALLEE: Final = Address(b"\xdd" * 20)
CODE_SIZE: Final = 24_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One kind of work."""

    name: str
    """As printed."""
    body: str
    """Repeated until the gas is spent; leaves the stack as it found it."""
    setup: str = ""
    """Run once, before."""
    repeat: int = 50
    """How often the body stands between two jumps."""
    callee: bytes = b""
    """Code at ``CALLEE``."""
    data: bytes = b""
    """Call data."""
    gas_first: int = GAS_FIRST
    """Gas of the first try; more is tried while that takes too little time to tell."""


def arithmetic() -> list[Work]:
    """Return the pure stack opcodes, with operands of full width."""
    two = ["ADD", "MUL", "SUB", "DIV", "SDIV", "MOD", "SMOD", "SIGNEXTEND", "LT", "GT", "SLT"]
    two += ["SGT", "EQ", "AND", "OR", "XOR", "BYTE", "SHL", "SHR", "SAR"]
    works = [
        Work(name=op, body=f"DUP2 DUP2 {op} POP", setup=f"{ODD} {small_left(op)}") for op in two
    ]
    works += [
        Work(name=op, body=f"DUP3 DUP3 DUP3 {op} POP", setup=f"{HUGE} {ODD} {HUGE}")
        for op in ("ADDMOD", "MULMOD")
    ]
    works += [
        Work(name="EXP 32 bytes", body="DUP2 DUP2 EXP POP", setup=f"{HUGE} {HUGE}"),
        Work(name="EXP 1 byte", body="255 DUP2 EXP POP", setup=HUGE),
    ]
    works += [Work(name=op, body=f"DUP1 {op} POP", setup=ODD) for op in ("ISZERO", "NOT")]
    return works


def small_left(op: str) -> str:
    """Return the top operand that makes ``op`` do its longest work."""
    return {"SHL": "7", "SHR": "7", "SAR": "7", "BYTE": "7", "SIGNEXTEND": "7"}.get(op, HUGE)


def flow() -> list[Work]:
    """Return stack, jump and environment opcodes."""
    pushes = [Work(name="PUSH1 POP", body="1 POP"), Work(name="PUSH32 POP", body=f"{ODD} POP")]
    pushes += [
        Work(name="PUSH0 POP", body="PUSH0 POP"),
        Work(name="DUP16 POP", body="DUP16 POP", setup="1 " * 16),
        Work(name="SWAP16", body="SWAP16", setup="1 " * 17),
        Work(name="JUMPDEST", body="JUMPDEST", repeat=2_000),
        Work(name="JUMP", body="", repeat=1),
        Work(name="JUMPI not taken", body="0 0 JUMPI"),
        Work(name="PC POP", body="PC POP"),
        Work(name="GAS POP", body="GAS POP"),
        Work(name="MSIZE POP", body="MSIZE POP"),
    ]
    environment = ["ADDRESS", "ORIGIN", "CALLER", "CALLVALUE", "CALLDATASIZE", "CODESIZE"]
    environment += ["GASPRICE", "RETURNDATASIZE", "COINBASE", "TIMESTAMP", "NUMBER", "PREVRANDAO"]
    environment += ["GASLIMIT", "CHAINID", "SELFBALANCE", "BASEFEE"]
    pushes += [Work(name=f"{op} POP", body=f"{op} POP") for op in environment]
    pushes.append(Work(name="BLOCKHASH", body="5 BLOCKHASH POP"))
    pushes.append(Work(name="CALLDATALOAD", body="3 CALLDATALOAD POP", data=b"\xaa" * 64))
    return pushes


def memory() -> list[Work]:
    """Return memory opcodes, small and at the largest size the gas buys."""
    big = 32_768
    return [
        Work(name="MLOAD", body="0 MLOAD POP", setup=f"{ODD} 0 MSTORE"),
        Work(name="MSTORE", body="DUP1 0 MSTORE", setup=ODD),
        Work(name="MSTORE8", body="DUP1 0 MSTORE8", setup=ODD),
        Work(name="memory growth", body="DUP1 MSIZE MSTORE", setup=ODD),
        Work(name="KECCAK256 0", body="0 0 KECCAK256 POP"),
        Work(name="KECCAK256 136", body="136 0 KECCAK256 POP"),
        Work(name="KECCAK256 32 kB", body=f"{big} 0 KECCAK256 POP"),
        Work(name="CALLDATACOPY 32", body="32 0 0 CALLDATACOPY", data=b"\xaa" * 64),
        Work(name="CALLDATACOPY 32 kB", body=f"{big} 0 0 CALLDATACOPY", data=b"\xaa" * 64),
        Work(name="CODECOPY 32", body="32 0 0 CODECOPY"),
        Work(name="CODECOPY 32 kB", body=f"{big} 0 0 CODECOPY"),
        Work(
            name="RETURNDATACOPY 32 kB",
            body=f"{big} 0 0 RETURNDATACOPY",
            setup=f"0 0 {big} 0 4 GAS STATICCALL POP",
        ),
        Work(
            name="EXTCODECOPY warm 24 kB",
            body=f"{CODE_SIZE} 0 0 0x{CALLEE.hex()} EXTCODECOPY",
            callee=bytes(CODE_SIZE),
        ),
        Work(name="LOG0 0", body="0 0 LOG0"),
        Work(name="LOG4 32", body="1 2 3 4 32 0 LOG4"),
        Work(name="LOG0 4 kB", body="4096 0 LOG0"),
    ]


def state() -> list[Work]:
    """Return opcodes that reach the state, cold and warm."""
    counter = "DUP1 1 ADD SWAP1"
    return [
        Work(name="SLOAD warm", body="0 SLOAD POP"),
        Work(name="SLOAD cold", body=f"{counter} SLOAD POP", setup="0"),
        Work(name="SSTORE warm, same", body="0 0 SSTORE"),
        Work(name="SSTORE dirty", body="DUP1 0 SSTORE 1 ADD", setup="1"),
        Work(name="SSTORE new slots", body="DUP1 1 ADD SWAP1 DUP1 SSTORE", setup="1"),
        Work(name="BALANCE warm", body="ADDRESS BALANCE POP"),
        Work(name="BALANCE cold", body=f"{counter} BALANCE POP", setup="0xabcdef000000"),
        Work(name="EXTCODEHASH warm", body="ADDRESS EXTCODEHASH POP"),
        Work(name="EXTCODESIZE warm", body="ADDRESS EXTCODESIZE POP"),
        Work(
            name="transfer to new accounts",
            body=f"{counter} 0 0 0 0 1 SWAP5 GAS CALL POP",
            setup="0xabcdef000000",
        ),
    ]


def calls() -> list[Work]:
    """Return calls and creations."""
    callee = f"0x{CALLEE.hex()}"
    jump_to_end = assemble(f"{CODE_SIZE - 1} JUMP")
    pairs = (CODE_SIZE - 1 - len(jump_to_end)) // 2
    padding = b"\x5b" * (CODE_SIZE - 1 - len(jump_to_end) - 2 * pairs)
    run_of_pushes = jump_to_end + padding + b"\x60" * 2 * pairs + b"\x5b"
    return [
        Work(name="CALL empty account", body="0 0 0 0 0 0xabcdef GAS CALL POP"),
        Work(name="CALL code of 1 byte", body=f"0 0 0 0 0 {callee} GAS CALL POP", callee=b"\x00"),
        Work(
            name="CALL, jump over 24 kB of PUSH1",
            body=f"0 0 0 0 0 {callee} GAS CALL POP",
            callee=run_of_pushes,
        ),
        Work(
            name="CALL with 1 MB",
            body=f"0 0 1000000 0 0 {callee} GAS CALL POP",
            setup="1 999968 MSTORE",
            gas_first=GAS_NEXT,
            callee=b"\x00",
        ),
        Work(name="DELEGATECALL", body=f"0 0 0 0 {callee} GAS DELEGATECALL POP", callee=b"\x00"),
        Work(name="STATICCALL", body=f"0 0 0 0 {callee} GAS STATICCALL POP", callee=b"\x00"),
        Work(
            name="CALL with 32 kB",
            body=f"0 0 32768 0 0 {callee} GAS CALL POP",
            callee=b"\x00",
        ),
        Work(name="CALL that fails", body=f"0 0 0 0 0 {callee} 100 CALL POP", callee=b"\xfe"),
        Work(
            name="CALL that reverts",
            body=f"0 0 0 0 0 {callee} GAS CALL POP",
            callee=assemble("0 0 REVERT"),
        ),
        Work(name="recursion", body="0 0 0 0 0 ADDRESS GAS CALL POP", repeat=1),
        Work(name="CREATE empty", body="0 0 0 CREATE POP"),
        Work(name="CREATE 1 kB of zeros", body="1024 0 0 CREATE POP"),
        Work(
            name="CREATE 48 kB of JUMPDEST",
            body="49152 0 0 CREATE POP",
            setup=f"{CODE_SIZE} 0 0 {callee} EXTCODECOPY {CODE_SIZE} 0 DUP2 {callee} EXTCODECOPY",
            callee=b"\x5b" * CODE_SIZE,
        ),
        Work(
            name="CREATE 48 kB of PUSH0 POP",
            body="49152 0 0 CREATE POP",
            setup=f"{CODE_SIZE} 0 0 {callee} EXTCODECOPY {CODE_SIZE} 0 DUP2 {callee} EXTCODECOPY",
            callee=b"\x5f\x50" * (CODE_SIZE // 2),
        ),
        Work(name="CREATE2 48 kB", body="DUP1 49152 0 0 CREATE2 POP 1 ADD", setup="1"),
    ]


def precompiles() -> list[Work]:
    """Return every precompile with the input that takes longest for its gas."""
    works = [
        replace(
            _precompile("0x01 ecrecover", 1, 128, _ecrecover_input()),
            body="GAS 0 MSTORE 0 0 128 0 1 GAS STATICCALL POP",
        ),
        _precompile("0x02 sha256 empty", 2, 0),
        _precompile("0x02 sha256 32 kB", 2, 32_768),
        _precompile("0x03 ripemd160 empty", 3, 0),
        _precompile("0x03 ripemd160 32 kB", 3, 32_768),
        _precompile("0x04 identity empty", 4, 0),
        _precompile("0x04 identity 32 kB", 4, 32_768),
        _precompile("0x05 modexp empty", 5, 0),
        _precompile("0x06 bn128 add", 6, 128, _words(1, 2, 1, 2)),
        _precompile("0x07 bn128 mul", 7, 96, _words(1, 2, 2**256 - 3)),
        _precompile("0x08 bn128 pairing, no pair", 8, 0),
        _precompile("0x08 bn128 pairing, one pair", 8, 192, _words(*BN128_PAIR)),
        _precompile("0x09 blake2f, 0 rounds", 9, 213),
        _precompile("0x09 blake2f, 10,000 rounds", 9, 213, (10_000).to_bytes(4, "big")),
    ]
    sizes = [(8, 8), (32, 32), (64, 1), (128, 1), (256, 256), (512, 1), (1_024, 1), (1_024, 16)]
    return works + [_modexp(size, exponent_size) for size, exponent_size in sizes]


BN128_PAIR = (
    1,
    2,
    11559732032986387107991004021392285783925812861821192530917403151452391805634,
    10857046999023057135944570762232829481370756359578518086990519993285655852781,
    4082367875863433681332203403145435568316851327593401208105741076214120093531,
    8495653923123431417604973247489272438418190587263600148770280649306958101930,
)
"""The generators of both groups."""


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def _ecrecover_input() -> bytes:
    digest = b"\x11" * 32
    signature = SENDER_KEY.sign(digest)
    return digest + _words(27 + signature[64]) + signature[:64]


def _precompile(name: str, address: int, size: int, data: bytes = b"") -> Work:
    return Work(
        name=name,
        setup=f"{len(data)} 0 0 CALLDATACOPY",
        body=f"0 0 {size} 0 {address} GAS STATICCALL POP",
        data=data,
    )


def _modexp(size: int, exponent_size: int) -> Work:
    data = _words(size, exponent_size, size) + b"\xff" * (size + exponent_size) + b"\xfd" * size
    return _precompile(f"0x05 modexp {size} bytes, exponent {exponent_size}", 5, len(data), data)


def measure(work: Work, interpreter: Interpreter) -> float:
    """Return milliseconds per million gas of ``work``, the better of two runs."""
    setup = assemble(work.setup)
    loop = assemble("JUMPDEST") + assemble(work.body) * work.repeat + assemble(f"{len(setup)} JUMP")
    view = make_view(
        {
            CONTRACT: PreAccount(nonce=1, balance_wei=10**18, code=setup + loop),
            CALLEE: PreAccount(nonce=1, code=work.callee or b"\x00"),
        }
    )
    best = 0.0
    gas = work.gas_first
    gc.collect()
    gc.disable()
    for _ in range(3):
        transaction = make_transaction(data=work.data, gas_limit=gas)
        start = time.process_time()
        result = build(view, [transaction], profile=PROFILE, interpreter=interpreter).result
        spent = time.process_time() - start
        rate = spent * 1_000 / (result.gas_used / 1e6)
        best = min(best, rate) if best else rate
        if spent > ENOUGH_S:
            break
        gas = GAS_NEXT
    gc.enable()
    return round(best, 1)


def main() -> None:
    """Measure everything with both loops, print a table and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="measure only names with this; record nothing")
    only = parser.parse_args().only
    works = [*arithmetic(), *flow(), *memory(), *state(), *calls(), *precompiles()]
    figures: dict[str, object] = {}
    for interpreter in (Interpreter.LOOP, Interpreter.STOCK):
        found = {work.name: measure(work, interpreter) for work in works if only in work.name}
        ranked = dict(sorted(found.items(), key=lambda item: -item[1]))
        for name, figure in ranked.items():
            print(f"{interpreter:6} {figure:10.1f} ms/Mgas  {name}")
        figures[f"{interpreter}, ms per million gas"] = ranked
    if not only:
        record("execution_gas", figures)


if __name__ == "__main__":
    main()
