"""HTML as text: what a reader would see, and never for long, whatever the page is made of."""

import time

import pytest

from undercroft.machinery.mail.plain import LONGEST_READ, is_html, text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>Ann</b>,</p><p>bye</p>", "Hello Ann,\n\nbye"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>one<li>two</ul>", "* one\n* two"),
        ("<a href='https://x.y/?a=1&amp;b=2'>there</a>", "there (https://x.y/?a=1&b=2)"),
        ('<a href="https://x.y">https://x.y</a>', "https://x.y"),
        ('<a href="javascript:alert(1)">no</a>', "no"),
        ("<head><title>t</title></head><style>p{}</style><script>x<y</script>seen", "seen"),
        ("<!-- not -->seen<!-- nor this", "seen"),
        ("5 &lt; 6 &amp;&nbsp;7", "5 < 6 & 7"),
        ("a < b", "a < b"),
    ],
)
def test_what_a_reader_would_see(html: str, text: str) -> None:
    assert text_of(html) == text + "\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hi</p>", True),
        (" <!doctype html><p>", True),
        ("<!-- a --><!-- b --><div>", True),
        ("Hi <b>there</b>", False),
        ("<ann@example.com> wrote", False),
        ("", False),
        ("<!---->" * 5_000, False),
    ],
)
def test_what_starts_like_html(text: str, expected: bool) -> None:
    assert is_html(text) is expected


@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "<", "</", "<a href='", "<script>", "<b>", "&#", "<a href=x>y</a>", "<?"]
)
def test_no_page_holds_others_up(piece: str) -> None:
    began = time.process_time()
    text_of((piece * 2**20)[: 2**20])
    assert time.process_time() - began < 2, f"{LONGEST_READ} characters are read, once"
