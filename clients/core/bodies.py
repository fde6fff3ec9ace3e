"""Bodies of answers, read no further than they may be long."""

from typing import Final

import aiohttp

_CHUNK_SIZE: Final = 64 * 1024


async def read_bounded(response: aiohttp.ClientResponse, size_max: int) -> bytes | None:
    """Return the body of an answer, None when it is longer than ``size_max`` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_SIZE):
        body += chunk
        if len(body) > size_max:
            return None
    return bytes(body)
