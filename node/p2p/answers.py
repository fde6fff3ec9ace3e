"""What a peer is answered from our ledger, and whether its own answers fit what we asked.

Spec: SYNC-SERVE.
"""

from collections.abc import Sequence
from typing import Final

from node.p2p import frames
from node.p2p.frames import Request, Response
from node.p2p.source import LedgerSource
from node.p2p.wire import MEBIBYTE

RESPONSE_SIZE_SOFT: Final = 4 * MEBIBYTE
"""A response of several items stops before it is longer than this."""


async def answer_request(request: Request, source: LedgerSource) -> Response:
    """Load what was asked for; an empty answer when we do not hold it.

    Spec: SYNC-SERVE.
    """
    match request:
        case frames.BlockRequest():
            blocks = await source.load_blocks(request.start, request.count)
            return frames.BlockResponse(id=request.id, blocks=_cut(blocks, request.count))
        case frames.HeaderRequest():
            headers = await source.load_headers(request.start, request.count)
            return frames.HeaderResponse(id=request.id, headers=_cut(headers, request.count))
        case frames.ManifestRequest():
            manifest = await source.load_manifest(request.height)
            return frames.ManifestResponse(id=request.id, manifest=manifest)
        case frames.ChunkRequest():
            chunk = await source.load_chunk(request.height, request.index)
            return frames.ChunkResponse(id=request.id, chunk=chunk)


def answer_nothing(request: Request) -> Response:
    """Return the answer of a node that does not hold what was asked for."""
    match request:
        case frames.BlockRequest():
            return frames.BlockResponse(id=request.id, blocks=())
        case frames.HeaderRequest():
            return frames.HeaderResponse(id=request.id, headers=())
        case frames.ManifestRequest():
            return frames.ManifestResponse(id=request.id, manifest=b"")
        case frames.ChunkRequest():
            return frames.ChunkResponse(id=request.id, chunk=b"")


def is_answer(request: Request, response: Response) -> bool:
    """Tell whether a response is of the kind and length its request asked for."""
    match request, response:
        case frames.BlockRequest(), frames.BlockResponse():
            return len(response.blocks) <= request.count
        case frames.HeaderRequest(), frames.HeaderResponse():
            return len(response.headers) <= request.count
        case frames.ManifestRequest(), frames.ManifestResponse():
            return True
        case frames.ChunkRequest(), frames.ChunkResponse():
            return True
        case _:
            return False


def _cut(items: Sequence[bytes], count: int) -> tuple[bytes, ...]:
    """Keep as many items as were asked for and fit; always the first."""
    kept: list[bytes] = []
    size = 0
    for item in items[:count]:
        size += len(item)
        if kept and size > RESPONSE_SIZE_SOFT:
            break
        kept.append(item)
    return tuple(kept)
