"""The voting protocol's own vectors: made with seeded randomness, read by every implementation.

``tests/vectors/voting/README.md`` says how the files are laid out. Writing them again must change
nothing: ``python scripts/voting_vectors.py --check`` and a test hold it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from clients.voting import (
    ballot,
    blind_signature,
    ciphertexts,
    decryption,
    dkg,
    roll,
    shuffle_proof,
)
from clients.voting.encoding import (
    encode_i4,
    encode_i8,
    encode_scalar,
    hash_to_scalar,
    tagged_hash,
)
from clients.voting.group import GENERATOR, Point, PointVector, decode_point_xy, generator_multiple
from clients.voting.hash_to_curve import commitment_base, commitment_generators, hash_to_curve
from clients.voting.manifest import encode_canonical
from clients.voting.randomness import draw_scalar, draw_scalars
from clients.voting.shuffle import prove_shuffle, shuffle
from clients.voting.tally import build_race_list, cleanse, compute_result_hash, count_race
from node.primitives.crypto import PrivateKey
from tests.support.voting import EID, SeededNonces, Trustees, encrypted_list, key_generation

FOLDER: Final = Path(__file__).resolve().parents[1] / "vectors" / "voting"

Case = dict[str, Any]


def hexed(value: bytes | int | Point | PointVector) -> str:
    """Return bytes, a scalar, a point (P33) or many points as hexadecimal."""
    match value:
        case bytes():
            return value.hex()
        case int():
            return encode_scalar(value).hex()
        case _:
            return value.encode().hex()


def all_hexed(values: Sequence[int] | Sequence[Point] | Sequence[bytes]) -> list[str]:
    """Return each value as hexadecimal."""
    return [hexed(value) for value in values]


def hashes() -> Case:
    """Return tagged hashes, scalar hashes and codes for people."""
    messages = [b"", b"abc", bytes(range(200))]
    return {
        "tagged": [
            {
                "tag": tag,
                "message": hexed(message),
                "hash": hexed(tagged_hash(tag, message)),
                "scalar": hexed(hash_to_scalar(tag, message)),
            }
            for tag in ("JMEV1/eid", "JMEV1/ballot-pok")
            for message in messages
        ],
        "codes": [
            {"bytes": hexed(data), "code": ballot.encode_crockford(data)}
            for data in (bytes(10), bytes([255] * 10), bytes(range(1, 11)))
        ],
    }


def points() -> Case:
    """Return points from hash to curve, and encodings that must be refused."""
    key = generator_multiple(77)
    x, y = key.encode_xy()[:32], key.encode_xy()[32:]
    flipped = x + (int.from_bytes(y, "big") ^ 1).to_bytes(32, "big")
    field = shuffle_field()
    return {
        "hash_to_curve": [
            {
                "label": label,
                "message": hexed(message),
                "point": hexed(hash_to_curve(label, message)),
            }
            for label in ("gen", "cand", "roll")
            for message in (b"", b"abc", bytes(40))
        ],
        "generators": [hexed(commitment_base()), *all_hexed(list(_rows(commitment_generators(6))))],
        "candidates": [
            {
                "eid": hexed(EID),
                "race": race,
                "candidate": candidate,
                "point": hexed(ballot.candidate_point(EID, race, candidate)),
            }
            for race, candidate in ((1, 0), (1, 1), (4, 50), (65_535, 1_000))
        ],
        "pointers": [
            {
                "eid": hexed(EID),
                "key": hexed(k.encode_xy()),
                "point": hexed(roll.roll_pointer(EID, k)),
            }
            for k in (key, GENERATOR)
        ],
        "encodings": [
            {"p33": hexed(k), "p64": hexed(k.encode_xy())} for k in (GENERATOR, key, -key)
        ],
        "not_p33": [
            "04" + hexed(x),
            "06" + hexed(x),
            "00" + hexed(x),
            "02" + hexed(field.to_bytes(32, "big")),
            "02" + hexed((5).to_bytes(32, "big")),
            hexed(key)[:-2],
            hexed(key) + "00",
        ],
        "not_p64": [
            hexed(flipped),
            "00" * 64,
            hexed((field + 1).to_bytes(32, "big") + y),
            hexed(key.encode_xy())[:-2],
            "04" + hexed(key.encode_xy()),
        ],
        "not_scalars": ["ff" * 32, hexed(x)[:-2], hexed(x) + "00"],
    }


def shuffle_field() -> int:
    """Return the prime of the coordinate field."""
    return 2**256 - 2**32 - 977


def _rows(vector: PointVector) -> Sequence[Point]:
    return [vector[at] for at in range(len(vector))]


def manifest_fields(trustees: Trustees, roll_trustees: Trustees) -> Case:
    """Return the fields of a small manifest over two key generations."""
    return {
        "version": 1,
        "chain_id": 31_337,
        "registry": "0x" + "11" * 20,
        "draft_id": "22" * 32,
        "is_mock": True,
        "title": "模擬投票 — “first”",
        "opens_at": 1_800_000_000,
        "closes_at": 1_800_086_400,
        "freezes_at": 1_800_090_000,
        "styles": [
            {"style": 7, "name": "whole town", "races": [1, 4]},
            {"style": 8, "name": "district", "races": [1]},
        ],
        "races": [
            {
                "race": race,
                "name": f"race {race}",
                "candidates": [
                    {"number": at, "name": f"候補 {at}"} for at in range(1, candidates + 1)
                ],
            }
            for race, candidates in ((1, 3), (4, 2))
        ],
        "threshold": trustees.run.threshold,
        "trustees": [
            {
                "municipality": f"municipality {at + 1}",
                "municipality_id": at + 1,
                "account": "0x" + f"b{at}" * 20,
                "node": hexed(each.node),
                "encryption_key": hexed(each.encryption),
                "ballot_share": hexed(trustees.share_keys[at]),
                "roll_share": hexed(roll_trustees.share_keys[at]),
                "url": f"https://{at + 1}.example",
            }
            for at, each in enumerate(trustees.run.trustees)
        ],
        "ballot_key": hexed(trustees.key),
        "roll_key": hexed(roll_trustees.key),
        "ballot_transcript": "33" * 32,
        "roll_transcript": "44" * 32,
        "registrars": [
            {
                "municipality": f"municipality {at}",
                "account": "0x" + f"a{at}" * 20,
                "receipt_key": hexed(generator_multiple(100 + at)),
                "attestor_key": hexed(generator_multiple(200)) if at == 1 else "",
            }
            for at in (1, 2, 3)
        ],
        "attestations": 2,
        "relays": [
            {
                "municipality": "municipality 2",
                "account": "0x" + "0a" * 20,
                "receipt_key": hexed(generator_multiple(300)),
                "url": "https://2.example",
            }
        ],
        "token_modulus": "c5" * 256,
        "limits": {
            "max_sequence": 9,
            "min_interval_s": 60,
            "max_rekey": 3,
            "mix_time_s": 3_600,
            "cast_blocks": 30,
        },
        "eligible": {"root": "55" * 32, "size": 12, "file_digest": "66" * 32},
        "mixers": [2, 1, 4, 3],
        "min_mixes": 3,
        "profile": "P",
    }


def manifests() -> Case:
    """Return a manifest with its id, and texts that are none."""
    fields = manifest_fields(key_generation(), key_generation(purpose=dkg.KeyPurpose.ROLL))
    text = encode_canonical(fields)
    windows = encode_canonical({**fields, "closes_at": fields["opens_at"]})
    extra = encode_canonical({**fields, "note": "x"})
    return {
        "valid": [{"manifest": hexed(text), "eid": hexed(tagged_hash("JMEV1/eid", text))}],
        "invalid": [
            {"why": "spaces", "manifest": hexed(json.dumps(fields).encode())},
            {"why": "closes before it opens", "manifest": hexed(windows)},
            {"why": "unknown field", "manifest": hexed(extra)},
            {"why": "truncated", "manifest": hexed(text[:-1])},
        ],
    }


def names() -> Case:
    """Return everything derived from a voter's seed, slot or key."""
    cases = []
    for seed in (bytes(16), bytes(range(16))):
        secret = roll.derive_ballot_key(seed, EID)
        key = generator_multiple(secret)
        digest = tagged_hash("JMEV1/ballot-sig", seed)
        commitment = tagged_hash("JMEV1/roll-cm", seed)
        cases.append(
            {
                "eid": hexed(EID),
                "seed": hexed(seed),
                "secret": hexed(secret),
                "key": hexed(key.encode_xy()),
                "vote_code": ballot.encode_crockford(roll.vote_code_bytes(EID, key)),
                "token_message": hexed(blind_signature.token_message(EID, key)),
                "withdraw_sequence": 3,
                "withdrawal": hexed(ballot.withdrawal_hash(EID, key, 3)),
                "commitment": hexed(commitment),
                "batch": 5,
                "time": 1_800_000_123,
                "roll_receipt": hexed(
                    tagged_hash(
                        "JMEV1/roll-receipt",
                        EID + commitment + encode_i4(5) + encode_i8(1_800_000_123),
                    )
                ),
                "ballot_hash": hexed(digest),
                "deadline": 4_321,
                "ballot_receipt": hexed(
                    tagged_hash("JMEV1/ballot-receipt", EID + digest + encode_i8(4_321))
                ),
            }
        )
    slot = roll.compute_slot(b"\x01" * 32, b"\x22" * 32, b"elector 7")
    return {
        "keys": cases,
        "slots": [
            {
                "slot_key": "01" * 32,
                "draft_id": "22" * 32,
                "elector": hexed(b"elector 7"),
                "slot": hexed(slot),
                "style": 7,
                "leaf": hexed(roll.compute_leaf(slot, 7)),
            }
        ],
    }


def key_generations() -> Case:
    """Return complete key generations with every proof of theirs, and a complaint."""
    return {"runs": [_key_run(4, 3, dkg.KeyPurpose.BALLOTS), _key_run(3, 2, dkg.KeyPurpose.ROLL)]}


def _key_run(count: int, threshold: int, purpose: dkg.KeyPurpose) -> Case:
    setup = key_generation(count, threshold, purpose)
    run, source = setup.run, SeededNonces(f"dkg vectors {count}")
    dealers, confirmations = [], []
    for dealer, (secret, reveal) in setup.dealings.items():
        shares = [
            dkg.encrypt_share(run, dealer, other, secret, source)
            for other in range(1, count + 1)
            if other != dealer
        ]
        dealers.append(
            {
                "commitments": all_hexed(reveal.commitments),
                "w": hexed(reveal.proof.w),
                "z": hexed(reveal.proof.z),
                "challenge": hexed(
                    dkg._pok_challenge(run.did, dealer, reveal.commitments, reveal.proof.w)
                ),
                "commit": hexed(dkg.compute_commitment(run, dealer, reveal)),
                "shares": [
                    {"e": hexed(share.ephemeral), "ciphertext": hexed(share.ciphertext)}
                    for share in shares
                ],
                "coefficients": all_hexed(secret.coefficients),
            }
        )
    for index, share in enumerate(setup.shares, 1):
        proof = dkg.confirm(run, index, share, setup.key, setup.share_keys, source)
        challenge = dkg._confirm_challenge(run.did, index, setup.key, setup.share_keys, proof.w)
        confirmations.append(
            {"w": hexed(proof.w), "z": hexed(proof.z), "challenge": hexed(challenge)}
        )
    return {
        "chain_id": run.chain_id,
        "registry": hexed(run.registry),
        "draft_id": hexed(run.draft_id),
        "purpose": hexed(purpose.value),
        "threshold": threshold,
        "trustees": [_encryption_key(setup, index, source) for index in range(1, count + 1)],
        "did": hexed(run.did),
        "dealers": dealers,
        "key": hexed(setup.key),
        "share_keys": all_hexed(setup.share_keys),
        "secret_shares": all_hexed(setup.shares),
        "confirmations": confirmations,
        "complaints": [
            _complaint(setup, is_share_right, source) for is_share_right in (True, False)
        ],
    }


def _encryption_key(setup: Trustees, index: int, source: SeededNonces) -> Case:
    run, secret = setup.run, setup.encryption_secrets[index - 1]
    node = run.trustees[index - 1].node
    proof = dkg.prove_encryption_key(
        secret, chain_id=run.chain_id, registry=run.registry, node=node, source=source
    )
    key = run.trustees[index - 1].encryption
    challenge = dkg._ek_challenge(run.chain_id, run.registry, node, key, proof.w)
    return {
        "node": hexed(node),
        "encryption": hexed(key),
        "secret": hexed(secret),
        "w": hexed(proof.w),
        "z": hexed(proof.z),
        "challenge": hexed(challenge),
    }


def _complaint(setup: Trustees, is_share_right: bool, source: SeededNonces) -> Case:
    run, dealer, recipient = setup.run, 1, 2
    secret, reveal = setup.dealings[dealer]
    if not is_share_right:
        wrong = tuple((value + 1) % (2**200) for value in secret.coefficients)
        secret = dkg.DealerSecret(coefficients=wrong)
    share = dkg.encrypt_share(run, dealer, recipient, secret, source)
    complaint = dkg.complain(
        run, dealer, recipient, share, setup.encryption_secrets[recipient - 1], source
    )
    verdict = dkg.judge_complaint(run, dealer, recipient, share, complaint, reveal.commitments)
    challenge = dkg._complaint_challenge(
        run, dealer, recipient, share, complaint.shared, complaint.proof.t1, complaint.proof.t2
    )
    return {
        "dealer": dealer,
        "complainer": recipient,
        "e": hexed(share.ephemeral),
        "ciphertext": hexed(share.ciphertext),
        "s": hexed(complaint.shared),
        "t1": hexed(complaint.proof.t1),
        "t2": hexed(complaint.proof.t2),
        "z": hexed(complaint.proof.z),
        "challenge": hexed(challenge),
        "at_fault": verdict.value,
    }


def roll_entries() -> Case:
    """Return sealed roll entries with their proofs."""
    source = SeededNonces("roll vectors")
    cases = []
    for at in range(2):
        key, roll_secret = generator_multiple(draw_scalar(source)), draw_scalar(source)
        entry = roll.build_entry(
            eid=EID,
            slot=source.draw(32),
            style=7 + at,
            version=1 + at,
            nonce=source.draw(32),
            key=key,
            roll_key=generator_multiple(roll_secret),
            source=source,
        )
        salt = source.draw(32)
        cases.append(
            {
                "ballot_key": hexed(key.encode_xy()),
                "roll_secret": hexed(roll_secret),
                "entry": hexed(entry.encode()),
                "challenge": hexed(roll._challenge(entry)),
                "digest": hexed(entry.digest),
                "card_text": entry.card_text.decode(),
                "salt": hexed(salt),
                "commitment": hexed(roll.compute_commitment(entry.digest, salt)),
            }
        )
    return {"entries": cases}


def ballots() -> Case:
    """Return signed ballots with everything that went into them."""
    source = SeededNonces("ballot vectors")
    election_secret = draw_scalar(source)
    cases = []
    for at, choices in enumerate([[(1, 0)], [(1, 3), (4, 1)], [(1, 2), (4, 0), (9, 50)]]):
        secret = roll.derive_ballot_key(source.draw(16), EID)
        key = PrivateKey(encode_scalar(secret))
        nonces_seed = f"ballot vector {at}"
        core, openings = ballot.build_core(
            eid=EID,
            style=7 + at,
            key=decode_point_xy(key.public_key[1:]),
            sequence=1 + at,
            choices=choices,
            election_key=generator_multiple(election_secret),
            source=SeededNonces(nonces_seed),
        )
        signed = ballot.sign_core(core, key)
        cases.append(
            {
                "eid": hexed(EID),
                "style": core.style,
                "sequence": core.sequence,
                "secret": hexed(secret),
                "election_key": hexed(generator_multiple(election_secret)),
                "choices": [
                    {
                        "race": opening.race,
                        "candidate": opening.candidate,
                        "r": hexed(opening.randomness),
                        "w": hexed(opening.nonce),
                        "challenge": hexed(ballot._challenge(core, choice)),
                    }
                    for opening, choice in zip(openings, core.choices, strict=True)
                ],
                "core": hexed(core.encode()),
                "hash": hexed(signed.hash),
                "tracking_code": ballot.tracking_code(signed.hash),
                "signature": hexed(
                    bytes(signed.signature[:64]) + bytes([27 + signed.signature[64]])
                ),
            }
        )
    return {"ballots": cases}


def shuffles() -> Case:
    """Return complete shuffles, one and two ciphertexts wide."""
    return {"shuffles": [_shuffle(1, 1), _shuffle(5, 1), _shuffle(3, 2)]}


def _shuffle(count: int, width: int) -> Case:
    source = SeededNonces(f"shuffle vectors {count} {width}")
    secrets = draw_scalars(source, width)
    keys = tuple(map(generator_multiple, secrets))
    inputs, _ = encrypted_list(keys, count, source)
    outputs, secret = shuffle(inputs, keys, source)
    context = ciphertexts.ListContext(
        eid=EID, kind=ciphertexts.ListKind.BALLOTS, list_id=4, round=2
    )
    statement = shuffle_proof.ShuffleStatement(
        context=context, keys=keys, inputs=inputs, outputs=outputs
    )
    proof = prove_shuffle(statement, secret, source)
    seed = shuffle_proof.compute_seed(statement, proof.commitments)
    announcement = (proof.t1, proof.t2, proof.t3, proof.t4, proof.t_hat)
    return {
        "eid": hexed(EID),
        "kind": "B",
        "list": 4,
        "round": 2,
        "width": width,
        "rows": count,
        "keys": all_hexed(keys),
        "context": hexed(context.encode()),
        "inputs": hexed(inputs.encode()),
        "outputs": hexed(outputs.encode()),
        "inputs_digest": hexed(ciphertexts.compute_list_digest(context, inputs)),
        "outputs_digest": hexed(ciphertexts.compute_list_digest(context, outputs)),
        "seed": hexed(seed),
        "weights": all_hexed(shuffle_proof.compute_weights(seed, count)),
        "challenge": hexed(shuffle_proof.compute_challenge(seed, proof.links, announcement)),
        "proof": hexed(proof.encode()),
        "order": list(secret.order),
        "randomness": [all_hexed(drawn) for drawn in secret.randomness],
    }


def decryptions() -> Case:
    """Return a list with every trustee's share of it and the messages."""
    setup = key_generation()
    source = SeededNonces("decryption vectors")
    rows, plain = encrypted_list((setup.key,), 3, source)
    context = ciphertexts.ListContext(
        eid=EID, kind=ciphertexts.ListKind.BALLOTS, list_id=1, round=0
    )
    shares, vectors = [], {}
    for index, secret in enumerate(setup.shares, 1):
        statement = decryption.DecryptionStatement(
            context=context,
            rows=rows,
            column=0,
            trustee=index,
            share_key=setup.share_keys[index - 1],
        )
        share = decryption.build_share(statement, secret, source)
        transcript = decryption._Transcript(statement, share.shares)
        base, image = transcript.weigh(rows.columns[0].a), transcript.weigh(share.shares)
        vectors[index] = share.shares
        shares.append(
            {
                "trustee": index,
                "share_key": hexed(statement.share_key),
                "shares": hexed(share.shares),
                "weights": [f"{weight:032x}" for weight in transcript.weights],
                "base": hexed(base),
                "image": hexed(image),
                "challenge": hexed(transcript.hash(base, image, share.proof.t1, share.proof.t2)),
                "t1": hexed(share.proof.t1),
                "t2": hexed(share.proof.t2),
                "z": hexed(share.proof.z),
            }
        )
    messages = decryption.combine_shares(rows, 0, vectors, setup.run.threshold)
    assert messages == list(_rows(plain[0]))
    return {
        "decryptions": [
            {
                "eid": hexed(EID),
                "kind": "B",
                "list": 1,
                "threshold": setup.run.threshold,
                "rows": hexed(rows.encode()),
                "shares": shares,
                "messages": all_hexed(messages),
            }
        ]
    }


def tallies() -> Case:
    """Return accepted ballots with what is kept, removed, listed and counted."""
    source = SeededNonces("tally vectors")
    election_key = generator_multiple(draw_scalar(source))
    keys = [PrivateKey(encode_scalar(draw_scalar(source))) for _ in range(5)]
    voters = [decode_point_xy(key.public_key[1:]) for key in keys]
    plan = [(0, 7, 1), (1, 8, 1), (0, 7, 2), (2, 7, 1), (3, 8, 1), (4, 7, 1)]
    accepted = [
        ballot.build_core(
            eid=EID,
            style=style,
            key=voters[voter],
            sequence=sequence,
            choices=[(1, voter % 3), (4, 1)] if style == 7 else [(1, voter % 3)],
            election_key=election_key,
            source=source,
        )[0]
        for voter, style, sequence in plan
    ]
    pointer = [roll.roll_pointer(EID, key) for key in voters]
    # Voter 3 is enrolled twice, voter 4 under another style, and one pointer is nobody's.
    opened = {7: [pointer[2], pointer[0], generator_multiple(9)], 8: [pointer[3], pointer[1]]}
    opened[8] += [pointer[3], pointer[4]]
    cleansing = cleanse(accepted, {voters[2]}, opened)
    reasons = {"superseded": "SUPERSEDED", "withdrawn": "WITHDRAWN", "not_on_roll": "NOT_ON_ROLL"}
    named = {value: name for name, value in reasons.items()}
    messages = [ballot.candidate_point(EID, 1, at) for at in (0, 2, 2, 3)]
    messages.append(ballot.candidate_point(EID, 4, 1))
    result = count_race(EID, 1, 3, messages)
    return {
        "cleansings": [
            {
                "accepted": [hexed(core.encode()) for core in accepted],
                "withdrawn": [hexed(voters[2].encode_xy())],
                "roll": {str(style): all_hexed(points) for style, points in opened.items()},
                "kept": [accepted.index(core) for core in cleansing.kept],
                "removed": [
                    {"ballot": accepted.index(core), "reason": named[reason.name]}
                    for core, reason in cleansing.removed
                ],
                "unmatched": {str(s): n for s, n in cleansing.unmatched_pointers.items()},
                "duplicates": {str(s): n for s, n in cleansing.duplicate_pointers.items()},
                "lists": {
                    str(race): hexed(build_race_list(cleansing.kept, race).encode())
                    for race in (1, 4)
                    if any(c.race == race for core in cleansing.kept for c in core.choices)
                },
            }
        ],
        "results": [
            {
                "eid": hexed(EID),
                "race": 1,
                "candidates": 3,
                "messages": all_hexed(messages),
                "counts": list(result.counts),
                "invalid": result.invalid,
                "result_hash": hexed(compute_result_hash(EID, result)),
            }
        ],
    }


FILES: Final[dict[str, Callable[[], Case]]] = {
    "hashes": hashes,
    "points": points,
    "manifest": manifests,
    "names": names,
    "dkg": key_generations,
    "roll": roll_entries,
    "ballot": ballots,
    "shuffle": shuffles,
    "decryption": decryptions,
    "tally": tallies,
}


def render(name: str) -> str:
    """Return the text of one file."""
    note = "see README.md; made by scripts/voting_vectors.py"
    return json.dumps({"format": note, **FILES[name]()}, indent=1, ensure_ascii=False) + "\n"


def load(name: str) -> Any:
    """Return one file as committed."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
