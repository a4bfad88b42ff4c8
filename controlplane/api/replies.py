"""Write a response."""

from aiohttp import web

from controlplane.contracts.base import StrictModel


def reply(model: StrictModel, status: int = 200, *, media_type: str = "application/json") -> web.Response:
    """Return ``model`` as JSON that no cache keeps."""
    body = model.__pydantic_serializer__.to_json(model, exclude_none=True)
    return web.Response(body=body, status=status, content_type=media_type, headers={"Cache-Control": "no-store"})
