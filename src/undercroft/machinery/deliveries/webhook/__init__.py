"""The webhook transport: HTTP requests to receivers, to addresses that may be called."""

from undercroft.machinery.deliveries.webhook.address import WebhookAddress, address_in, address_json
from undercroft.machinery.deliveries.webhook.request import METHODS, check_headers, check_url, header_safe
from undercroft.machinery.deliveries.webhook.transport import WebhookTransport, meaning

__all__ = [
    "METHODS",
    "WebhookAddress",
    "WebhookTransport",
    "address_in",
    "address_json",
    "check_headers",
    "check_url",
    "header_safe",
    "meaning",
]
