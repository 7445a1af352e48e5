"""`python -m tests.services.s3checked`: moto's server, which refuses a body that was not signed, as S3 does."""

import hashlib
import io
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main

MISMATCH = b"<Error><Code>XAmzContentSHA256Mismatch</Code><Message>The body is another.</Message></Error>"


class Checked:
    def __init__(self, really: Any) -> None:
        self._really = really

    def __call__(self, environ: dict[str, Any], answer: Any) -> Any:
        signed = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
        if len(signed) == 64 and environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            if hashlib.sha256(body).hexdigest() != signed:
                answer("400 Bad Request", [("content-type", "application/xml"), ("content-length", str(len(MISMATCH)))])
                return [MISMATCH]
        return self._really(environ, answer)


if __name__ == "__main__":
    really = DomainDispatcherApplication.__call__
    DomainDispatcherApplication.__call__ = lambda app, environ, answer: Checked(  # type: ignore[method-assign]
        lambda *given: really(app, *given)
    )(environ, answer)
    main()
