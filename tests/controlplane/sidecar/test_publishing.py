"""The bundle is handed to OPA alone, and only when it changed."""

from pathlib import Path

import aiohttp

from controlplane.sidecar.publishing import RESOURCE, BundlePublisher


async def test_the_holder_of_the_token_gets_the_file_and_nobody_else(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    bundle.write_bytes(b"first")
    publisher = BundlePublisher(bundle)
    url = f"{await publisher.start()}/{RESOURCE}"
    held = {"Authorization": f"Bearer {publisher.token}"}
    try:
        async with aiohttp.ClientSession() as session:
            for headers in ({}, {"Authorization": "Bearer guessed"}, {"Authorization": "Bearer ü"}):
                async with session.get(url, headers=headers) as response:
                    assert response.status == 401
            async with session.get(url, headers=held) as response:
                assert await response.read() == b"first"
                etag = response.headers["ETag"]
            async with session.get(url, headers={**held, "If-None-Match": etag}) as response:
                assert response.status == 304
            bundle.write_bytes(b"second")
            async with session.get(url, headers={**held, "If-None-Match": etag}) as response:
                assert await response.read() == b"second"
            bundle.unlink()
            async with session.get(url, headers=held) as response:
                assert response.status == 404
            async with session.get(url.replace(RESOURCE, "opa-token"), headers=held) as response:
                assert response.status == 404
    finally:
        await publisher.stop()
        await publisher.stop()
