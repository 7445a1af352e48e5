"""A real S3 server on a loopback port: moto's, which checks signatures, conditions and multipart uploads as S3 does.

That a body is the one that was signed `s3checked` looks at.

It takes no key with a line end, which S3 does.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.services.ports import free_port
from tests.services.waiting import wait_until

REGION = "us-east-1"
_HERE = Path(__file__).parents[2]
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
# So many requests are believed unseen: those that make the first user. From then on each signature is checked.
UNCHECKED = 3


class S3Server:
    """`start` makes the one user, `remove` ends it all; what it holds is in memory and in `folder`.

    `believing`: it checks no signature, for tests that bend requests on the way.

    `url`, `key` and `secret` are what a client is told, `REGION` its region, path-style its addresses.
    """

    def __init__(self, *, believing: bool = False) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = self.secret = ""
        self.folder = Path(tempfile.mkdtemp(prefix="undercroft-s3-"))
        self.log = self.folder / "log"
        self._unchecked = 10**9 if believing else UNCHECKED
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"bucket-{number}" for number in itertools.count(1))

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when it answers, and knows `key` and `secret`."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.services.s3checked", "-H", "127.0.0.1", "-p", str(self.port)],
                cwd=self.folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(_HERE),
                    "TMPDIR": str(self.folder),
                    "INITIAL_NO_AUTH_ACTION_COUNT": str(self._unchecked),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which then end it
            )
        wait_until(self._answers, "the S3 server to answer", seconds=30)
        self._make_user()

    def client(self, service: str = "s3") -> Any:
        """boto3's client: another's look at what is there."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.key or "nobody",
            aws_secret_access_key=self.secret or "nothing",
            config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"max_attempts": 1}),
        )

    def create_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = next(self._names)
        self.client().create_bucket(Bucket=name)
        return name

    def remove(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
        shutil.rmtree(self.folder)

    def _make_user(self) -> None:
        iam = self.client("iam")
        iam.create_user(UserName="undercroft")
        made = iam.create_access_key(UserName="undercroft")["AccessKey"]
        iam.put_user_policy(UserName="undercroft", PolicyName="all", PolicyDocument=ALLOW)
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]

    def _answers(self) -> bool:
        if not self.running:
            raise RuntimeError(f"the S3 server ended while starting:\n{self.log.read_text()[-2000:]}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(f"{self.url}/moto-api/", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
