"""BALLOT-H2C, BALLOT-POK, MIX-VERIFY, DEC-SHARE, TALLY-CLEANSE: the auditor gives the vectors.

The auditor's equations share only the group with those that wrote the vectors.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clients.auditor.election import ballots, counting, curve, entries, keys, lists, mixes, shares
from clients.auditor.election.transcripts import EID, InvalidRecord, TaggedHash
from clients.voting.group import Point, PointVector, decode_point, decode_vector, generator_multiple
from node.primitives.errors import InvalidInput
from tests.support.voting_vectors import load


def point(text: str) -> Point:
    return decode_point(bytes.fromhex(text))


def scalar(text: str) -> int:
    return int(text, 16)


def hexed(value: int) -> str:
    return f"{value:064x}"


def test_tagged_hashes() -> None:
    for case in load("hashes")["tagged"]:
        tag = TaggedHash(case["tag"].removeprefix("JMEV1/"))
        assert tag.digest(bytes.fromhex(case["message"])).hex() == case["hash"]
        assert hexed(tag.scalar(bytes.fromhex(case["message"]))) == case["scalar"]


def test_points() -> None:
    given = load("points")
    for case in given["hash_to_curve"]:
        found = curve.hash_to_curve(case["label"], bytes.fromhex(case["message"]))
        assert found.encode().hex() == case["point"]
    with ThreadPoolExecutor(1) as executor:
        generators = curve.compute_generators(6, executor)
        for case in given["pointers"]:
            eid, key = bytes.fromhex(case["eid"]), bytes.fromhex(case["key"])
            assert curve.compute_pointers(eid, [key], executor)[0].hex() == case["point"]
    found = [curve.chain_base(), *(generators[at] for at in range(6))]
    assert [each.encode().hex() for each in found] == given["generators"]
    for case in given["candidates"]:
        eid = bytes.fromhex(case["eid"])
        found_point = curve.candidate_point(eid, case["race"], case["candidate"])
        assert found_point.encode().hex() == case["point"]


def test_manifest_id() -> None:
    for case in load("manifest")["valid"]:
        assert EID.digest(bytes.fromhex(case["manifest"])).hex() == case["eid"]


def generation(run: Any) -> keys.Generation:
    return keys.Generation(
        chain_id=run["chain_id"],
        registry=bytes.fromhex(run["registry"]),
        draft_id=bytes.fromhex(run["draft_id"]),
        purpose=bytes.fromhex(run["purpose"]),
        threshold=run["threshold"],
        trustees=tuple(
            (point(each["node"]), point(each["encryption"])) for each in run["trustees"]
        ),
    )


def dealings_of(run: Any) -> list[keys.Dealing]:
    return [
        keys.Dealing(
            commit=bytes.fromhex(each["commit"]),
            points=tuple(map(point, each["commitments"])),
            proof=keys.Knowledge(w=point(each["w"]), z=scalar(each["z"])),
        )
        for each in run["dealers"]
    ]


@pytest.mark.parametrize("run", load("dkg")["runs"], ids=lambda run: run["purpose"])
def test_key_generations(run: Any) -> None:
    given, dealings = generation(run), dealings_of(run)
    assert given.did.hex() == run["did"]
    for at, (each, dealing) in enumerate(zip(run["dealers"], dealings, strict=True), 1):
        assert hexed(keys.dealing_challenge(given.did, at, dealing)) == each["challenge"]
        assert keys.find_dealing_fault(given, at, dealing) is None
        assert keys.find_dealing_fault(given, at % len(dealings) + 1, dealing) is not None
    key, share_keys = keys.derive(dealings, len(dealings))
    assert key.encode().hex() == run["key"]
    assert [each.encode().hex() for each in share_keys] == run["share_keys"]
    for at, each in enumerate(run["confirmations"], 1):
        proof = keys.Knowledge(w=point(each["w"]), z=scalar(each["z"]))
        c = keys.confirmation_challenge(given.did, at, key, share_keys, proof.w)
        assert hexed(c) == each["challenge"]
        assert proof.holds(share_keys[at - 1], c)
        assert not proof.holds(key, c)
    for (node, encryption), each in zip(given.trustees, run["trustees"], strict=True):
        proof = keys.Knowledge(w=point(each["w"]), z=scalar(each["z"]))
        c = keys.encryption_key_challenge(given.chain_id, given.registry, node, encryption, proof.w)
        assert hexed(c) == each["challenge"]
        assert proof.holds(encryption, c)
    for each in run["complaints"]:
        dispute = keys.Dispute(
            dealer=each["dealer"],
            complainer=each["complainer"],
            e=point(each["e"]),
            ciphertext=bytes.fromhex(each["ciphertext"]),
            s=point(each["s"]),
            t1=point(each["t1"]),
            t2=point(each["t2"]),
            z=scalar(each["z"]),
        )
        assert hexed(keys.dispute_challenge(given, dispute)) == each["challenge"]
        is_dealer = keys.is_dealer_at_fault(given, dispute, dealings[each["dealer"] - 1])
        assert is_dealer == (each["at_fault"] == "dealer")


def test_roll_entries() -> None:
    for case in load("roll")["entries"]:
        data = bytes.fromhex(case["entry"])
        entry = entries.parse_entry(data)
        assert entry.is_proven()
        assert hexed(entry.c) == case["challenge"]
        assert entry.digest.hex() == case["digest"]
        assert entry.card_text.decode() == case["card_text"]
        salt = bytes.fromhex(case["salt"])
        assert entries.commitment_of(entry.digest, salt).hex() == case["commitment"]
        moved = entries.parse_entry(data[:70] + bytes([data[70] ^ 1]) + data[71:])
        assert not moved.is_proven()
        with pytest.raises(InvalidRecord):
            entries.parse_entry(data + b"\x00")


def test_ballots() -> None:
    parsed = []
    for case in load("ballot")["ballots"]:
        core = bytes.fromhex(case["core"])
        ballot = ballots.parse_core(core)
        parsed.append(ballot)
        assert ballot.digest.hex() == case["hash"]
        assert [hexed(choice.c) for choice in ballot.choices] == [
            choice["challenge"] for choice in case["choices"]
        ]
        assert ballots.is_signed_by(ballot.key, ballot.digest, bytes.fromhex(case["signature"]))
        other = generator_multiple(5).encode_xy()
        assert not ballots.is_signed_by(other, ballot.digest, bytes.fromhex(case["signature"]))
        assert ballots.find_wrong_proofs(ballot) == []
        later = ballots.parse_core(core[:106] + bytes([core[106] ^ 1]) + core[107:])
        assert ballots.find_wrong_proofs(later) == [choice["race"] for choice in case["choices"]]
        assert not ballots.are_proofs_right([*parsed, later], os.urandom)
    assert ballots.are_proofs_right(parsed, os.urandom)


def mix_of(case: Any) -> tuple[mixes.Mix, bytes, PointVector]:
    context = lists.Context(
        eid=bytes.fromhex(case["eid"]),
        kind=case["kind"].encode(),
        number=case["list"],
        round=case["round"],
    )
    mix = mixes.Mix(
        context=context,
        key=point(case["keys"][0]),
        before=lists.CipherRows(bytes.fromhex(case["inputs"])),
        after=lists.CipherRows(bytes.fromhex(case["outputs"])),
    )
    generators = decode_vector(bytes.fromhex("".join(load("points")["generators"][1:])))
    return mix, bytes.fromhex(case["proof"]), generators


NARROW = [case for case in load("shuffle")["shuffles"] if case["width"] == 1]


@pytest.mark.parametrize("case", NARROW, ids=lambda case: f"{case['rows']} rows")
def test_shuffles(case: Any) -> None:
    mix, proof, generators = mix_of(case)
    assert mix.context.encode().hex() == case["context"]
    assert mix.before.digest(mix.context).hex() == case["inputs_digest"]
    check = mixes.MixCheck(mix, proof, generators)
    assert [hexed(u) for u in check.u] == case["weights"]
    assert hexed(int(check.c)) == case["challenge"]
    assert check.is_valid(os.urandom)
    assert check.faults() == []


@pytest.mark.parametrize("at", range(33 * 5 + 31, 33 * 5 + 32 * 4, 32))
def test_a_response_changed_by_one_is_named(at: int) -> None:
    mix, proof, generators = mix_of(NARROW[-1])
    bent = mixes.MixCheck(mix, proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :], generators)
    names = [["1"], ["2"], ["3"], ["4a", "4b"]]
    assert not bent.is_valid(os.urandom)
    assert bent.faults() == names[(at - 33 * 5) // 32]


@pytest.mark.parametrize("cut", [-1, 1])
def test_a_proof_of_another_length_is_refused(cut: int) -> None:
    mix, proof, generators = mix_of(NARROW[-1])
    data = proof[:cut] if cut < 0 else proof + bytes(cut)
    with pytest.raises(InvalidRecord):
        mixes.MixCheck(mix, data, generators)


def test_decryption() -> None:
    (case,) = load("decryption")["decryptions"]
    context = lists.Context(
        eid=bytes.fromhex(case["eid"]), kind=case["kind"].encode(), number=case["list"]
    )
    rows = lists.CipherRows(bytes.fromhex(case["rows"]))
    valid = {}
    for each in case["shares"]:
        claim = shares.ShareClaim(
            context=context,
            rows=rows,
            trustee=each["trustee"],
            share_key=point(each["share_key"]),
        )
        data, proof = (
            bytes.fromhex(each["shares"]),
            bytes.fromhex(each["t1"] + each["t2"] + each["z"]),
        )
        valid[each["trustee"]] = shares.check_share(claim, data, proof)
        swapped = data[33:66] + data[:33] + data[66:]
        with pytest.raises(InvalidInput):
            shares.check_share(claim, swapped, proof)
    for chosen in ((1, 2, 3), (2, 3, 4)):
        messages = shares.combine(rows, {at: valid[at] for at in chosen})
        assert [message and message.hex() for message in messages] == case["messages"]
    two = shares.combine(rows, {at: valid[at] for at in (1, 2)})
    assert [message and message.hex() for message in two] != case["messages"]
    with pytest.raises(InvalidRecord):
        shares.compute_coefficients([0, 1])
    with pytest.raises(InvalidRecord):
        shares.compute_coefficients([2, 2])


def mark_of(core: bytes) -> ballots.Mark:
    ballot = ballots.parse_core(core)
    return ballots.Mark(
        key=ballot.key, style=ballot.style, sequence=ballot.sequence, start=0, size=len(core)
    )


def test_tally() -> None:
    given = load("tally")
    for case in given["cleansings"]:
        cores = [bytes.fromhex(core) for core in case["accepted"]]
        accepted = [mark_of(core) for core in cores]
        opened = {
            int(style): [bytes.fromhex(message) for message in messages]
            for style, messages in case["roll"].items()
        }
        withdrawn = {bytes.fromhex(key) for key in case["withdrawn"]}
        with ThreadPoolExecutor(1) as executor:
            found = counting.cleanse(cores[0][1:33], accepted, withdrawn, opened, executor)
        assert [accepted.index(ballot) for ballot in found.kept] == case["kept"]
        reasons = [each["reason"] for each in case["removed"]]
        assert found.superseded == reasons.count("superseded")
        assert found.withdrawn == reasons.count("withdrawn")
        assert found.off_roll == reasons.count("not_on_roll")
        assert {str(style): n for style, n in found.unmatched.items()} == case["unmatched"]
        assert {str(style): n for style, n in found.repeated.items()} == case["duplicates"]
        kept = [cores[at] for at in case["kept"]]
        listed, copies = counting.list_races([*kept, kept[0]], [1, 4])
        assert copies == len(ballots.parse_core(kept[0]).choices)
        listed, copies = counting.list_races(kept, [1, 4])
        assert copies == 0
        for race, data in case["lists"].items():
            assert listed[int(race)].data.hex() == data
    for case in given["results"]:
        eid, messages = bytes.fromhex(case["eid"]), map(bytes.fromhex, case["messages"])
        count = counting.count_messages(eid, case["race"], case["candidates"], list(messages))
        assert list(count.votes) == case["counts"]
        assert count.invalid == case["invalid"]
        assert counting.result_digest(eid, case["race"], count).hex() == case["result_hash"]
