"""Mail: send an e-mail, now or later. A wire format over machinery/mail; the family's only door."""

from undercroft.database import Database
from undercroft.families.mail.guide import GUIDE
from undercroft.families.mail.http import operations
from undercroft.families.mail.http.emails import Emails
from undercroft.families.mail.http.reading import Door
from undercroft.families.mail.model import FAMILY, Sending
from undercroft.families.mail.outcomes import Outcomes
from undercroft.families.mail.rate import Rate
from undercroft.families.mail.refusing import refuse
from undercroft.machinery.deliveries.hooks import Hooks
from undercroft.machinery.family import Family
from undercroft.machinery.identity.entering import Enter
from undercroft.machinery.mail.actions import settled
from undercroft.machinery.mail.sending import Outgoing


def family(database: Database, enter: Enter, outgoing: Outgoing, sending: Sending) -> Family:
    """`enter`: the gate's; `outgoing`: what makes messages; `sending`: what the settings say."""
    door = Door(enter)
    emails = Emails(database, door, outgoing, sending, Outcomes(database), Rate(sending.rate))
    return Family(
        name=FAMILY,
        operations=operations(database, door, emails),
        refuse=refuse,
        # Whatever else is asked for below /systems is answered here too, with the header that its clients expect.
        prefixes=("systems/emails", "systems/suppressions", "systems"),
        hooks=Hooks(settled=settled),
        guide=GUIDE,
        headers=((b"x-gcore-version", b"0.99"),),
    )


__all__ = ["FAMILY", "Sending", "family"]
