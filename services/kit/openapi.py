"""The OpenAPI 3.1 document of a service, derived from its operations and nothing else."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, JsonSchemaValue, models_json_schema

from node.primitives.errors import LedgerError
from services.kit.auth import Access, PermissionRefused, TokenMissing
from services.kit.operations import Operation, OperationSpec
from services.kit.problems import (
    MEDIA_TYPE,
    HandlerTimeout,
    InvalidRequest,
    MalformedRequest,
    Refusal,
    RequestTooLarge,
    RequestTooSlow,
    UnknownTenant,
    UnsupportedMediaType,
    status_of,
)

_References = Mapping[tuple[type[Any], JsonSchemaMode], JsonSchemaValue]

PATH_PARAMETER: Final = r"[A-Za-z0-9._~-]{1,128}"
"""What a parameter in a path may be."""

TENANT_HEADER: Final = "Daicho-Tenant"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
IDEMPOTENCY_KEY: Final = r"[A-Za-z0-9._~-]{8,128}"

_SCHEMES: Final[dict[Access, str]] = {
    Access.RESIDENT: "resident",
    Access.STAFF: "staff",
    Access.SERVICE: "service",
}

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457; never a personal value.",
    "required": ["type", "title", "status", "code", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "instance": {"type": "string", "format": "uri"},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "kind"],
                "properties": {"pointer": {"type": "string"}, "kind": {"type": "string"}},
            },
        },
    },
}

SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "resident": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "at+jwt",
        "description": "OpenID Connect access token bound to a device key; DPoP header with each.",
    },
    "staff": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "staff+jwt",
        "description": "Signed by the key that the municipality registered.",
    },
    "service": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "service+jwt",
        "description": "Signed by a partner service for one request.",
    },
}


def build_document(
    operations: Sequence[Operation], *, title: str, version: str, description: str = ""
) -> dict[str, Any]:
    """Return the OpenAPI document of ``operations``."""
    references, schemas = _component_schemas(operations)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for each in operations:
        paths[each.spec.path][each.spec.method.lower()] = _operation(each, references, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": dict(paths),
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM_SCHEMA},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _component_schemas(
    operations: Sequence[Operation],
) -> tuple[_References, dict[str, dict[str, Any]]]:
    """Return how to refer to each model as it is read or written, and the schemas by name."""
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for each in operations:
        for read in (each.spec.request, each.spec.query):
            if read is not None:
                models[read, "validation"] = None
        if each.spec.response is not None:
            models[each.spec.response, "serialization"] = None
    references, document = models_json_schema(
        list(models), ref_template="#/components/schemas/{model}"
    )
    return dict(references), document.get("$defs", {})


def _operation(
    each: Operation, references: _References, schemas: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    spec = each.spec
    document: dict[str, Any] = {
        "operationId": each.id,
        "summary": each.summary,
        "x-purpose": spec.policy.purpose,
        "x-personal-data": spec.is_personal,
        "parameters": list(_parameters(spec, references, schemas)),
        "responses": _responses(spec, references),
    }
    if Access.PUBLIC not in spec.policy.access:
        document["security"] = [{_SCHEMES[kind]: []} for kind in sorted(spec.policy.access)]
        document["x-proofing-level"] = spec.policy.proofing_level
        document["x-authentication-level"] = spec.policy.authentication_level
        document["x-delegation"] = spec.policy.delegation.value
        document["x-roles"] = sorted(spec.policy.roles)
    if spec.request is not None:
        schema = references[spec.request, "validation"]
        document["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return document


def _parameters(
    spec: OperationSpec, references: _References, schemas: Mapping[str, dict[str, Any]]
) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", spec.path):
        form = {"type": "string", "pattern": f"^{PATH_PARAMETER}$"}
        yield {"name": name, "in": "path", "required": True, "schema": form}
    if spec.query is not None:
        reference = references[spec.query, "validation"]["$ref"]
        schema = schemas[reference.rpartition("/")[2]]
        for name, form in schema.get("properties", {}).items():
            is_needed = name in schema.get("required", ())
            yield {"name": name, "in": "query", "required": is_needed, "schema": form}
    if spec.needs_idempotency_key:
        form = {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY}$"}
        yield {"name": IDEMPOTENCY_HEADER, "in": "header", "required": True, "schema": form}


def _responses(spec: OperationSpec, references: _References) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in sorted({spec.status, *spec.more_statuses}):
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if spec.response is not None and status != HTTPStatus.NO_CONTENT:
            schema = references[spec.response, "serialization"]
            responses[str(status)]["content"] = {"application/json": {"schema": schema}}
    for status in sorted(problem_statuses(spec)):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return responses


def problem_statuses(spec: OperationSpec) -> frozenset[int]:
    """Return every status with which an operation may answer a problem."""
    errors: list[type[LedgerError]] = [UnknownTenant, HandlerTimeout, MalformedRequest, Refusal]
    if Access.PUBLIC not in spec.policy.access:
        errors += [TokenMissing, PermissionRefused]
    if spec.request is not None:
        errors += [InvalidRequest, RequestTooLarge, RequestTooSlow, UnsupportedMediaType]
    if spec.query is not None:
        errors.append(InvalidRequest)
    statuses = {int(status_of(error)) for error in [*errors, *spec.refusals]}
    return frozenset(statuses | {int(HTTPStatus.INTERNAL_SERVER_ERROR)})
