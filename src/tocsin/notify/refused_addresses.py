"""Whether a refusal is of the very address that a message went to, not of the channel that it went over. Pure.

A token that was revoked, or a password that is wrong, refuses everybody: that must not put anybody's phone out of use.
"""

import re
from typing import Final

from tocsin.notify.message import DeliveryFailed

_TWILIO: Final = re.compile(r"Twilio: (21211|21214|21217|21610|21614)\b")  # no such number, no mobile, STOP
_SAYS_SO: Final = {
    "sms": _TWILIO,
    "voice": _TWILIO,
    "email": re.compile(r"The mail server refused \S+: 55\d 5\.1\.(1|2|3|6|10)\b"),  # RFC 3463 3.2: no such mailbox
    "slack": re.compile(r"Slack: (is_archived|user_not_found|user_disabled)\b"),
}


def refuses_address(channel_kind: str, failure: DeliveryFailed) -> bool:
    """Whether that address is not to be tried again by anybody."""
    says_so = _SAYS_SO.get(channel_kind)
    if says_so is None:
        return failure.gone
    return failure.permanent and says_so.match(failure.detail) is not None
