"""Forms as browsers send them, kept small."""

from urllib.parse import parse_qsl

from undercroft.base.refusals import invalid
from undercroft.machinery.operations import Request

_TYPE = "application/x-www-form-urlencoded"
LONGEST_FORM = 4_096


def read_form(request: Request) -> dict[str, str]:
    """Raises Refusal(INVALID, "form")."""
    content_type = request.header(b"content-type") or ""
    if content_type.partition(";")[0].strip().lower() != _TYPE or len(request.body) > LONGEST_FORM:
        raise invalid("form", "this is not a form of these pages; begin again at /")
    try:
        return dict(parse_qsl(request.body.decode("ascii"), max_num_fields=10, errors="strict"))
    except ValueError:
        raise invalid("form", "the form can't be read; begin again at /") from None


def read_id(text: str | None) -> int:
    """Raises Refusal(INVALID, "form") for what is no row's number."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise invalid("form", "this names nothing; begin again at /")
    return int(text)


def read_name(text: str | None) -> str:
    """ "" where there is none. Raises Refusal(INVALID, "form") for what no name holds, and PostgreSQL does not take."""
    if text and "\x00" in text:
        raise invalid("form", "this names nothing; begin again at /")
    return text or ""
