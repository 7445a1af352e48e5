"""HTML as text, for those who read mail without it. Pure.

Not by the standard library's parser: a page made to hurt, 40,000 characters of `<a `, keeps that busy for 19 seconds
(measured). What is read here is read once, from front to back.
"""

import re
from html import unescape

_BLOCKS = {
    "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "tr", "blockquote", "pre", "section",
    "article", "header", "footer", "hr",
}  # fmt: skip
_UNSEEN = ("script", "style", "head", "title", "template")
_STARTS_LIKE_HTML = re.compile(
    r"\s*+(?:(?><!--.*?-->)\s*+)*+"
    r"<(?:!doctype\s+html|(?:html|head|body|div|p|h[1-6]|table|span|br|a|b|i|em|strong|ul|ol|center|font)\b)",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN = re.compile(r"<[^<>]*>|[^<]+|<")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_HREF = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


# Of a longer page the text tells the beginning: reading costs a second for a million tags, and others wait.
LONGEST_READ = 128 * 1_024
MOST_TAGS = 10_000


def is_html(text: str) -> bool:
    """Whether it starts like HTML."""
    return _STARTS_LIKE_HTML.match(text[:10_000]) is not None


def text_of(html: str) -> str:
    """What a reader of the page would see, and where its links lead."""
    if len(html) > LONGEST_READ or html.count("<") > MOST_TAGS:
        return text_of(_beginning(html[:LONGEST_READ])) + "…\n"
    html = _without(html, "<!--", "-->")
    for name in _UNSEEN:
        html = _without(html, f"<{name}", f"</{name}>")
    lines = (re.sub(r"[ \t\r\f\xa0]+", " ", line).strip() for line in "".join(_pieces(html)).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _beginning(html: str) -> str:
    """As far as so many tags go."""
    end = -1
    for _ in range(MOST_TAGS + 1):
        end = html.find("<", end + 1)
        if end < 0:
            return html
    return html[:end]


def _pieces(html: str) -> list[str]:
    pieces: list[str] = []
    link, begin = "", 0
    for token in _TOKEN.findall(html):
        tag = _TAG.match(token)
        if tag is None:
            pieces.append(unescape(token).replace("\n", " "))
            continue
        closing, name = tag[1], tag[2].lower()
        if name == "a" and not closing:
            link, begin = _target(token), len(pieces)
        elif name == "a":
            if link and link not in "".join(pieces[begin:]):
                pieces.append(f" ({link})")
            link = ""
        else:
            pieces.append(_break(name, closing))
    return pieces


def _target(tag: str) -> str:
    """Where a link leads, if one can go there from a text."""
    found = _HREF.search(tag)
    target = unescape(found[1] or found[2] or "").strip() if found else ""
    return target if target.startswith(("http://", "https://")) else ""


def _break(name: str, closing: str) -> str:
    if name in _BLOCKS:
        return "\n\n"
    return {"br": "\n", "li": "\n* ", "td": " ", "th": " "}.get(name, "") if not closing else ""


def _without(html: str, begin: str, end: str) -> str:
    """Without what stands between these, of whatever case; what is begun and not ended goes to the last letter."""
    kept, position = [], 0
    lowered = html.lower() if len(html.lower()) == len(html) else html
    while (start := lowered.find(begin, position)) >= 0:
        kept.append(html[position:start])
        stop = lowered.find(end, start + len(begin))
        position = len(html) if stop < 0 else stop + len(end)
    kept.append(html[position:])
    return "".join(kept)
