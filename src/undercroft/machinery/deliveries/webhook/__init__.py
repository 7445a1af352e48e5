"""The webhook transport: HTTP requests to receivers, to addresses that may be called."""

from undercroft.machinery.deliveries.webhook.request import METHODS, check_headers, check_url, header_safe
from undercroft.machinery.deliveries.webhook.transport import WebhookTransport

__all__ = ["METHODS", "WebhookTransport", "check_headers", "check_url", "header_safe"]
