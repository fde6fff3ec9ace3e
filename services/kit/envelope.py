"""Envelope encryption: record key, person-purpose key, service key, master key.

Every record has a fresh key, kept beside it under the key of one person for one purpose, which is
kept under the service's key, which is kept under the master key of a file. Shredding a person's key
makes all of their records for that purpose unreadable at once, wherever they are copied to. What
remains is a tombstone without key and name; creation and shredding are audit entries that hold
only a commitment, so an auditor can follow both (``verify_shredding``) without learning whose.

A backup made before still holds the key, wrapped: rotating the service key and then the master key,
and destroying the old master file, closes those too.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.types import Hash32
from services.kit.audit import AuditEntry, record
from services.kit.commitments import commit, new_salt
from services.kit.events import to_milliseconds
from services.kit.master_keys import MasterKeys
from services.kit.tables import AUDIT_ENTRIES, PERSON_KEYS, SERVICE_KEYS

HEADER: Final = b"DE\x01\x01"
"""Mark, format 1, algorithm 1: AES-256-GCM."""

OVERHEAD: Final = len(HEADER) + 16 + 60 + 12 + 16
"""Bytes that sealing adds: header, key id, wrapped record key, nonce, tag."""

PLAINTEXT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest record."""

COMMITMENT_DOMAIN: Final = "jp.daicho.kit.person-key"
KEY_CREATED: Final = "key.created"
KEY_SHREDDED: Final = "key.shredded"


class Erased(InvalidInput):
    """The record's key was shredded; nobody can read it any more (410)."""

    code = "envelope.erased"


class SealBroken(InvalidInput):
    """A record that was changed, moved, or sealed for another place."""

    code = "envelope.broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose record, and for what."""

    tenant: str
    """Municipality."""
    person: str
    """Reference of the person inside this service."""
    purpose: str
    """Purpose the record may be used for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShredCheck:
    """One thing an auditor looks at."""

    name: str
    """What must hold."""
    is_met: bool
    """Whether it does."""
    expected: int
    """What was expected."""
    found: int
    """What was found."""


class Envelope:
    """Seals and opens records under the master keys of one service."""

    def __init__(self, masters: MasterKeys, *, actor: str) -> None:
        """Hold the master keys; ``actor`` is the service, as its audit entries name it."""
        self._masters = masters
        self._actor = actor

    async def seal(
        self, tx: AsyncConnection, owner: Owner, plaintext: bytes, *, context: str, now: datetime
    ) -> bytes:
        """Encrypt a record; the owner's key is made if there is none.

        Args:
            tx: The transaction that stores the record.
            owner: Whose it is.
            plaintext: The record.
            context: Where it stands, as ``readers.name:42``; it opens nowhere else.
            now: The present.

        Raises:
            InvalidInput: The record is too large.
        """
        if len(plaintext) > PLAINTEXT_BYTES_MAX:
            raise InvalidInput(f"record of {len(plaintext)} bytes; at most {PLAINTEXT_BYTES_MAX}")
        key_id, person_key = await self._take_person_key(tx, owner, now)
        record_key = secrets.token_bytes(32)
        head = HEADER + key_id
        place = _bind(head, owner.tenant, context)
        return (
            head + _encrypt(person_key, record_key, place) + _encrypt(record_key, plaintext, place)
        )

    async def open(self, tx: AsyncConnection, sealed: bytes, *, tenant: str, context: str) -> bytes:
        """Return a record.

        Raises:
            Erased: Its key was shredded.
            SealBroken: It was changed, moved, or sealed for another place.
        """
        if len(sealed) < OVERHEAD or not sealed.startswith(HEADER):
            raise SealBroken("record: not sealed by this kit")
        key_id = sealed[4:20]
        table = PERSON_KEYS
        query = select(table).where(table.c.tenant == tenant, table.c.id == key_id)
        row = (await tx.execute(query)).one_or_none()
        if row is None:
            raise SealBroken("record: sealed under a key this service never had")
        if row.wrapped is None:
            raise Erased("record: erased; its key was destroyed")
        person_key = await self._unwrap_person_key(tx, row)
        place = _bind(sealed[:20], tenant, context)
        record_key = _decrypt(person_key, sealed[20:80], place)
        return _decrypt(record_key, sealed[80:], place)

    async def shred(
        self,
        tx: AsyncConnection,
        *,
        tenant: str,
        person: str,
        purposes: Sequence[str] | None = None,
        now: datetime,
    ) -> tuple[Hash32, ...]:
        """Destroy a person's keys, for some purposes or all; return their commitments.

        Follow it with ``Database.scrub``, which removes what the file still holds of them.
        """
        table = PERSON_KEYS
        query = select(table.c.id, table.c.commitment).where(
            table.c.tenant == tenant, table.c.person == person
        )
        if purposes is not None:
            query = query.where(table.c.purpose.in_(purposes))
        gone = []
        for row in (await tx.execute(query.order_by(table.c.id))).all():
            await tx.execute(
                update(table)
                .where(table.c.tenant == tenant, table.c.id == row.id)
                .values(
                    person=None,
                    purpose=None,
                    service_key_id=None,
                    wrapped=None,
                    salt=None,
                    shredded_ms=to_milliseconds(now),
                )
            )
            commitment = Hash32(bytes(row.commitment))
            await self._note(tx, KEY_SHREDDED, tenant, commitment, now)
            gone.append(commitment)
        return tuple(gone)

    async def rotate_service_key(self, tx: AsyncConnection, *, tenant: str, now: datetime) -> int:
        """Wrap every living person's key anew under a new service key; return how many.

        The old service key is destroyed: what was wrapped under it elsewhere stays shut once the
        master key has been rotated too.
        """
        old = (
            await tx.execute(select(SERVICE_KEYS.c.id).where(SERVICE_KEYS.c.tenant == tenant))
        ).scalars()
        old_ids = list(old)
        new_id, new_key = await self._make_service_key(tx, tenant, now)
        table, count = PERSON_KEYS, 0
        query = select(table).where(table.c.tenant == tenant, table.c.wrapped.is_not(None))
        for row in (await tx.execute(query)).all():
            person_key = await self._unwrap_person_key(tx, row)
            wrapped = _encrypt(new_key, person_key, _bind(bytes(row.id), tenant, row.purpose))
            await tx.execute(
                update(table)
                .where(table.c.tenant == tenant, table.c.id == row.id)
                .values(service_key_id=new_id, wrapped=wrapped)
            )
            count += 1
        await tx.execute(
            delete(SERVICE_KEYS).where(
                SERVICE_KEYS.c.tenant == tenant, SERVICE_KEYS.c.id.in_(old_ids)
            )
        )
        return count

    async def rotate_master_key(self, tx: AsyncConnection) -> int:
        """Wrap every service key anew under the active master key; return how many.

        Afterwards the older keys can be taken out of the master file.
        """
        table, count = SERVICE_KEYS, 0
        active = self._masters.active_id
        for row in (await tx.execute(select(table).where(table.c.master_id != active))).all():
            key = self._unwrap_service_key(row)
            place = _bind(b"service", row.tenant, row.id)
            await tx.execute(
                update(table)
                .where(table.c.tenant == row.tenant, table.c.id == row.id)
                .values(master_id=active, wrapped=_encrypt(self._masters.active, key, place))
            )
            count += 1
        return count

    async def _take_person_key(
        self, tx: AsyncConnection, owner: Owner, now: datetime
    ) -> tuple[bytes, bytes]:
        table = PERSON_KEYS
        query = select(table).where(
            table.c.tenant == owner.tenant,
            table.c.person == owner.person,
            table.c.purpose == owner.purpose,
        )
        row = (await tx.execute(query)).one_or_none()
        if row is not None:
            return bytes(row.id), await self._unwrap_person_key(tx, row)
        service_id, service_key = await self._take_service_key(tx, owner.tenant, now)
        key_id, key, salt = secrets.token_bytes(16), secrets.token_bytes(32), new_salt()
        commitment = commit(domain=COMMITMENT_DOMAIN, version=1, salt=salt, payload=key_id)
        await tx.execute(
            insert(table).values(
                tenant=owner.tenant,
                id=key_id,
                commitment=commitment,
                person=owner.person,
                purpose=owner.purpose,
                service_key_id=service_id,
                wrapped=_encrypt(service_key, key, _bind(key_id, owner.tenant, owner.purpose)),
                salt=salt,
            )
        )
        await self._note(tx, KEY_CREATED, owner.tenant, commitment, now)
        return key_id, key

    async def _unwrap_person_key(self, tx: AsyncConnection, row: Any) -> bytes:
        table = SERVICE_KEYS
        query = select(table).where(table.c.tenant == row.tenant, table.c.id == row.service_key_id)
        service_key = self._unwrap_service_key((await tx.execute(query)).one())
        place = _bind(bytes(row.id), row.tenant, row.purpose)
        return _decrypt(service_key, bytes(row.wrapped), place)

    async def _take_service_key(
        self, tx: AsyncConnection, tenant: str, now: datetime
    ) -> tuple[str, bytes]:
        table = SERVICE_KEYS
        query = select(table).where(table.c.tenant == tenant).order_by(table.c.created_ms.desc())
        row = (await tx.execute(query.limit(1))).one_or_none()
        if row is None:
            return await self._make_service_key(tx, tenant, now)
        return row.id, self._unwrap_service_key(row)

    async def _make_service_key(
        self, tx: AsyncConnection, tenant: str, now: datetime
    ) -> tuple[str, bytes]:
        key_id, key = secrets.token_hex(8), secrets.token_bytes(32)
        place = _bind(b"service", tenant, key_id)
        await tx.execute(
            insert(SERVICE_KEYS).values(
                tenant=tenant,
                id=key_id,
                master_id=self._masters.active_id,
                wrapped=_encrypt(self._masters.active, key, place),
                created_ms=to_milliseconds(now),
            )
        )
        return key_id, key

    def _unwrap_service_key(self, row: Any) -> bytes:
        master = self._masters.find(row.master_id)
        if master is None:
            raise Misconfigured(
                f"master key {row.master_id} is not in the master file; add it until "
                "`rotate_master_key` has run"
            )
        return _decrypt(master, bytes(row.wrapped), _bind(b"service", row.tenant, row.id))

    async def _note(
        self, tx: AsyncConnection, action: str, tenant: str, commitment: Hash32, now: datetime
    ) -> None:
        entry = AuditEntry(
            tenant=tenant,
            time=now,
            actor=self._actor,
            role="service",
            purpose="key-management",
            action=action,
            subject="",
            after=commitment,
        )
        await record(tx, entry)


async def verify_shredding(tx: AsyncConnection, *, tenant: str) -> tuple[ShredCheck, ...]:
    """Check from commitments alone that what was to be erased is gone and nothing else is."""
    keys, entries = PERSON_KEYS, AUDIT_ENTRIES
    living: set[bytes] = set()
    tombstones: set[bytes] = set()
    leftovers = 0
    for row in await tx.execute(select(keys).where(keys.c.tenant == tenant)):
        is_gone = row.shredded_ms is not None
        (tombstones if is_gone else living).add(bytes(row.commitment))
        leftovers += is_gone and any(
            value is not None for value in (row.wrapped, row.person, row.purpose, row.salt)
        )
    told: dict[str, set[bytes]] = {KEY_CREATED: set(), KEY_SHREDDED: set()}
    query = select(entries.c.action, entries.c.after).where(
        entries.c.tenant == tenant, entries.c.action.in_(list(told))
    )
    for row in await tx.execute(query):
        told[row.action].add(bytes(row.after))
    created, shredded = told[KEY_CREATED], told[KEY_SHREDDED]
    return (
        _check("every key ever made is alive or a tombstone", created, living | tombstones),
        _check("every tombstone was announced, and nothing else", shredded, tombstones),
        _check("every living key was never announced as shredded", living, living - shredded),
        ShredCheck(
            name="no tombstone holds a key or a name",
            is_met=leftovers == 0,
            expected=0,
            found=leftovers,
        ),
    )


def _check(name: str, expected: set[bytes], found: set[bytes]) -> ShredCheck:
    return ShredCheck(name=name, is_met=expected == found, expected=len(expected), found=len(found))


def _bind(head: bytes, tenant: str, place: str) -> bytes:
    """Return what a ciphertext is tied to, each part with its length."""
    parts = (head, tenant.encode(), place.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _encrypt(key: bytes, plaintext: bytes, place: bytes) -> bytes:
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, place)


def _decrypt(key: bytes, sealed: bytes, place: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], place)
    except InvalidTag as error:
        raise SealBroken("record or key: changed, moved, or sealed for another place") from error
