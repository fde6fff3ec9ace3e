"""What the hub turns down."""

from http import HTTPStatus

from clients.identity.report import Report
from services.kit.problems import Conflict, Fault, InvalidRequest, NotFound, Refusal


class StatementRefused(InvalidRequest):
    """A presented statement that the hub does not act on; the faults name the broken rules."""

    code = "hub.statement_refused"
    status = HTTPStatus.FORBIDDEN


def refuse_statement(*rules: str) -> StatementRefused:
    """Return the refusal of a statement that breaks ``rules``."""
    faults = tuple(Fault(pointer="/statement", kind=rule) for rule in dict.fromkeys(rules))
    return StatementRefused("statement: not acted on", faults=faults)


def refuse_by(report: Report) -> StatementRefused:
    """Return the refusal of a statement by what its verification found."""
    return refuse_statement(*report.broken_rules)


class NotEnrolled(NotFound):
    """The card is good and nobody here is known by it."""

    code = "hub.not_enrolled"


class OtherResident(Refusal):
    """The binding named is not this person's, or the person cannot be told to be the same."""

    code = "hub.other_resident"
    status = HTTPStatus.FORBIDDEN


class ResidentStopped(Refusal):
    """The person is suspended or removed; the counter helps."""

    code = "hub.resident_stopped"
    status = HTTPStatus.FORBIDDEN


class DeviceTaken(Conflict):
    """The address of the device was used before."""

    code = "hub.device_taken"


class TooManyDevices(Conflict):
    """The resident has as many devices as may be."""

    code = "hub.too_many_devices"


class TooManyChallenges(Refusal):
    """More statements are asked for than the hub keeps; come back soon."""

    code = "hub.too_many_challenges"
    status = HTTPStatus.TOO_MANY_REQUESTS


class BindingUnknown(NotFound):
    """The resident has no such binding."""

    code = "hub.binding_unknown"


class RequestRefused(Refusal):
    """A signed request that is too old, used before, or not signed by the key it names."""

    code = "hub.request_refused"
    status = HTTPStatus.FORBIDDEN


class DeviceInactive(Refusal):
    """The device may not act now."""

    code = "hub.device_inactive"
    status = HTTPStatus.FORBIDDEN


class UnknownService(Refusal):
    """The hub knows no such service, or not that purpose of it."""

    code = "hub.unknown_service"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class UnknownSector(NotFound):
    """The hub knows no such sector."""

    code = "hub.unknown_sector"


class AddressTaken(Conflict):
    """The address was registered before, or is a device's."""

    code = "hub.address_taken"


class UnknownPerson(NotFound):
    """Nobody is known by that name in the asking service's sector."""

    code = "hub.unknown_person"


class GrantUnknown(NotFound):
    """There is no such grant of or for this caller."""

    code = "hub.grant_unknown"


class GrantRefused(Refusal):
    """The caller holds no grant that covers this now."""

    code = "hub.grant_refused"
    status = HTTPStatus.FORBIDDEN


class CodeRefused(Refusal):
    """The code is wrong, used or too old."""

    code = "hub.code_refused"
    status = HTTPStatus.FORBIDDEN


class SamePerson(Conflict):
    """Two different persons are needed, and both are one."""

    code = "hub.same_person"
