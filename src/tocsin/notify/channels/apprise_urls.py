"""Which URLs of apprise are taken: services asked over HTTP, and nothing that reads what lies elsewhere. Pure."""

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

# Their hosts are fixed in the library: a URL holds tokens and names only.
FIXED: Final = frozenset(
    {"46elks", "atalk", "brevo", "bulksms", "bulkvs", "burstsms", "chanify", "clickatell", "clicksend", "cm",
     "d7sms", "dapnet", "dingtalk", "discord", "elks", "feishu", "firehydrant", "flock", "freemobile", "gchat",
     "groupme", "guilded", "gupshup", "httpsms", "ifttt", "ilert", "incidentio", "join", "kavenegar", "kook",
     "kudosity", "kumulos", "lark", "line", "mailersend", "mailgun", "mobilemessage", "mobilemsg", "msg91",
     "msgbird", "nexmo", "notifiarr", "notifyapp", "notifyre", "octopush", "onesignal", "opsgenie", "pagerduty",
     "pagertree", "pbul", "plivo", "postmark", "pover", "prowl", "psafer", "psafers", "push", "pushed",
     "pushme", "pushward", "pushy", "resend", "revolt", "schan", "sendgrid", "sendpulse", "serwersms", "ses",
     "seven", "signalgrid", "signl4", "simplepush", "slack", "smsc", "smtp2go", "sns", "sparkpost", "spike",
     "splunk", "spugpush", "spush", "squadcast", "stackfield", "telnyx", "tgram", "threema", "twilio", "twist",
     "viber", "victorops", "voipms", "vonage", "webex", "wecombot", "whatsapp", "wpush", "wxpusher", "wxteams",
     "zalo", "zoom"}
)  # fmt: skip
# They ask the host that the URL names, which is checked, and no other; with an s over TLS.
_NAMED: Final = (
    "apprise", "bark", "enigma2", "evolution", "form", "goalert", "gorush", "gotify", "hassio", "humhub",
     "jellyfin", "json", "kodi", "misskey", "mmost", "ncloud", "nctalk", "ntfy", "opsimate", "parsep", "pjet",
     "rocket", "signal", "smseagle", "synology", "toot", "workflow", "xbmc", "xml",
)  # fmt: skip
HOSTED: Final = frozenset(one + tls for one in _NAMED for tls in ("", "s"))
TAKEN: Final = FIXED | HOSTED
# What a service would read a file or another address for, or be led elsewhere by.
_REFUSED: Final = frozenset(
    {"attach", "attach-as", "attachment", "blossom", "callback", "callbackurl", "cert", "config", "discovery",
     "endpoint", "file", "file_url", "filename", "gateway", "host", "include", "key", "keyfile", "path", "pgp",
     "pgpkey", "pgpprv", "pgppub", "redirect", "relay", "server", "smtp", "subfile", "template", "url_prefix",
     "wkd"}
)  # fmt: skip
_PARTS: Final = re.compile(r"[?&;#]")
_ELSEWHERE: Final = ("/", "\\", "~", ".", "file:")
_MOST_ENCODED: Final = 5


def fault(url: str) -> str | None:
    """Why a URL is not taken, before the library has seen it; None when it may be."""
    if not url.isprintable() or " " in url:
        return "holds a blank or a control character"
    scheme, found, rest = url.partition("://")
    if not found or not scheme:
        return "is no URL that apprise knows; see its list of services"
    # https:// is how some services write their own addresses: whose it is only the library can say.
    if scheme.lower() not in TAKEN | {"https"}:
        return f"{scheme[:40].lower()}:// is not taken: only services asked over HTTP at a host that can be checked"
    _, *parts = _PARTS.split(rest)
    return next((wrong for part in parts if (wrong := _part_fault(part)) is not None), None)


def _part_fault(part: str) -> str | None:
    """Of one `name=value`. The library decodes more than once."""
    name, _, value = part.partition("=")
    name = _decoded(name).strip().lower().lstrip("+-: ")
    if name in _REFUSED:
        return f"{name}= is not taken: it may lead to a file or to another address"
    text = _decoded(value).strip()
    if "://" in text or text.lower().startswith(_ELSEWHERE):
        return f"{name[:40]}= is not taken with an address or the name of a file"
    return None


def _decoded(text: str) -> str:
    for _ in range(_MOST_ENCODED):
        text = unquote(unquote_plus(text))
    return text
