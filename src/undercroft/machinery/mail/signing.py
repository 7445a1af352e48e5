"""DKIM (RFC 6376): a signature by which receivers see that a message is its domain's, and unchanged."""

import binascii

import dkim  # type: ignore[import-untyped]

from undercroft.machinery.mail.sending import Sign

# All that a reader sees of who wrote to whom about what; each is named once more than it is there, so that no second
# one can be put on top (RFC 6376, 8.15).
_SIGNED = (b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type",
           b"list-unsubscribe", b"list-unsubscribe-post")  # fmt: skip
_OVERSIGNED = (b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to")


def signer(selector: str, domain: str, key: str) -> Sign:
    """`key`: an RSA key in PEM. Raises ValueError with what is wrong with it."""
    private = key.strip().encode("ascii", "replace") + b"\n"

    def sign(message: bytes) -> bytes:
        there = {line.partition(b":")[0].lower() for line in message.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        names = [name for name in _SIGNED if name in there]
        signature: bytes = dkim.sign(
            message,
            selector.encode(),
            domain.encode(),
            private,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[*names, *_OVERSIGNED],
        )
        return signature + message

    try:
        sign(b"From: a@" + domain.encode() + b"\r\n\r\n\r\n")
    except (dkim.DKIMException, ValueError, binascii.Error, IndexError, KeyError) as error:
        raise ValueError(
            f"is no RSA key in PEM ({type(error).__name__}): make one with `openssl genrsa 2048`"
        ) from None
    return sign
