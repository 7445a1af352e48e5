"""Files in an object store that speaks S3: every node serves all of them, and none needs a disk for them."""

import asyncio
from collections.abc import Awaitable
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")
# No call takes longer than this (s): who asked for a file would have given up.
LONGEST_CALL = 30.0


class Bucket(NamedTuple):
    """`folder`: what names in the bucket begin with. Without `key` the machine's own role or environment is used."""

    name: str
    folder: str
    endpoint: str
    region: str
    key: str
    secret: str


class BucketFiles:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._opened: Any = None

    async def keep(self, name: str, content: bytes, kind: str) -> None:
        await self._asked(self._operator().write(name, content, content_type=kind))

    async def read(self, name: str, start: int, length: int) -> bytes:
        read: bytes = await self._asked(self._operator().read(name, offset=start, size=length))
        return read

    async def remove(self, name: str) -> None:
        await self._asked(self._operator().delete(name))

    def _operator(self) -> Any:
        """Made when it is first needed: loading the library takes longer than many a command."""
        if self._opened is None:
            import opendal
            from opendal.layers import RetryLayer

            bucket = self._bucket
            given = {"bucket": bucket.name, "root": f"/{bucket.folder}", "region": bucket.region}
            given |= {"endpoint": bucket.endpoint} if bucket.endpoint else {}
            if bucket.key:
                given |= {"access_key_id": bucket.key, "secret_access_key": bucket.secret}
                given |= {"disable_config_load": "true", "disable_ec2_metadata": "true"}
            self._opened = opendal.AsyncOperator("s3", **given).layer(RetryLayer(max_times=2, min_delay=0.2))
        return self._opened

    async def _asked(self, call: Awaitable[R]) -> R:
        """What the library and the store say, as errors of files."""
        from opendal import exceptions

        try:
            async with asyncio.timeout(LONGEST_CALL):
                return await call
        except exceptions.NotFound:
            raise FileNotFoundError("the object store has no such file") from None
        except TimeoutError:
            raise OSError("the object store did not answer") from None
        except Exception as error:  # its errors have no common ground but this
            if type(error).__module__.startswith("opendal"):
                raise OSError(f"the object store refused: {type(error).__name__}") from None
            raise
