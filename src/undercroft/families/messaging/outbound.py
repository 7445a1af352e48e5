"""What is posted for one message. Pure. (contract §7.4)"""

from typing import Any, NamedTuple

import msgspec

from undercroft.families.messaging.model import AUDIO, Message, MessageSet, Subscription

PREPEND = "prepend_next_delivery"
OPT_OUT = "{{opt_out_url}}"
"""Where it stands in a text, the receiver's own link is put."""

_encode = msgspec.json.encode
# Without an address it begins so, and whoever sends it looks the address up.
NO_ADDRESS_YET = '{"to_addr":"",'


class Content(NamedTuple):
    """A message with its file's URL, None where it has none."""

    message: Message
    file_url: str | None


def outbound(
    subscription: Subscription,
    messageset: MessageSet,
    content: Content,
    address: str,
    prepend: Any,
    opt_out_url: str | None,
    *,
    resend: bool,
) -> str:
    """The JSON."""
    body: dict[str, Any] = {
        "to_addr": address,
        "to_identity": subscription.identity,
        "delivered": "false",
        "resend": "true" if resend else "false",
        "metadata": _metadata(messageset, content, prepend),
    }
    if messageset.channel:
        body["channel"] = messageset.channel
    if messageset.content_type != AUDIO:
        text = content.message.text_content or ""
        if opt_out_url is not None:
            text = text.replace(OPT_OUT, opt_out_url)
        body["content"] = f"{prepend}\n{text}" if prepend else text
    return _encode(body).decode()


def _metadata(messageset: MessageSet, content: Content, prepend: Any) -> Any:
    message, file_url = content
    if file_url is None:
        return msgspec.Raw(message.metadata.encode())
    metadata = msgspec.json.decode(message.metadata)
    if not isinstance(metadata, dict):  # any JSON is accepted there; only an object has room for a URL
        metadata = {"metadata": metadata}
    if messageset.content_type == AUDIO:
        metadata["voice_speech_url"] = [prepend, file_url] if prepend else [file_url]
    else:
        metadata["image_url"] = file_url
    return metadata


def prepended(metadata: str | None) -> Any:
    """What is to be said before the next message; None for nothing."""
    if metadata is None or PREPEND not in metadata:
        return None
    read = msgspec.json.decode(metadata)
    return (read.get(PREPEND) or None) if isinstance(read, dict) else None


def without_prepended(metadata: str | None) -> str | None:
    """It has been said: the key stays, and holds nothing. (contract §7.4)"""
    if metadata is None or PREPEND not in metadata:
        return metadata
    read = msgspec.json.decode(metadata)
    if isinstance(read, dict) and PREPEND in read:
        read[PREPEND] = None
        return _encode(read).decode()
    return metadata
