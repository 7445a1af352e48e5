"""What is stored of a mail is made before the transaction; of a large one in a thread."""

import base64
import threading

import pytest

from tests.machinery.mail.making import mail
from undercroft.machinery.mail import content
from undercroft.machinery.mail.content import LARGE, content_at_the_edge, content_of
from undercroft.machinery.mail.model import AttachmentIn, Mail

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(("size", "apart"), [(100, False), (LARGE + 1, True)])
async def test_a_large_one_is_made_in_a_thread(monkeypatch: pytest.MonkeyPatch, size: int, apart: bool) -> None:
    made = mail(attachments=[AttachmentIn("a.bin", base64.b64encode(b"x" * size).decode())])
    threads: list[int] = []

    def watched(given: Mail) -> content.Content:
        threads.append(threading.get_ident())
        return content_of(given)

    monkeypatch.setattr(content, "content_of", watched)
    assert await content_at_the_edge(made) == content_of(made)
    assert (threads != [threading.get_ident()]) is apart


def test_equal_mails_have_equal_digests_and_others_have_not() -> None:
    assert content_of(mail()).digest == content_of(mail()).digest
    assert content_of(mail()).digest != content_of(mail(subject="Another")).digest
