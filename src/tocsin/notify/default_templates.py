"""What messages say unless somebody writes it otherwise: what, where, how bad, since when, and what to do. Pure.

Links to act on are not in the text: each channel has them as buttons, or adds them where it has none.
"""

from collections.abc import Mapping
from typing import Final

from tocsin.notify.message import Kind

_WHAT: Final = "{{ ticket.priority }} {{ ticket.headline|line(150) }}"
_TITLES: Final[Mapping[Kind, str]] = {
    Kind.OPENED: _WHAT,
    Kind.PAGE: _WHAT,
    Kind.REOPENED: f"Again: {_WHAT}",
    Kind.ACKNOWLEDGED: f"Taken by {{{{ ticket.assignee|default(by)|default('somebody') }}}}: {_WHAT}",
    Kind.UPDATED: f"{_WHAT}",
    Kind.RESOLVED: f"Resolved: {_WHAT}",
    Kind.CLOSED: f"Closed: {_WHAT}",
    Kind.SLA: f"{{{{ 'SLA breached' if sla.state == 'breached' else 'SLA at risk' }}}}: {_WHAT}",
    Kind.NOTICE: "Tocsin: {{ facts.title|default('a notice')|line(150) }}",
    Kind.CODE: "Tocsin: your code is {{ facts.code }}",
    Kind.TEST: "Tocsin: a test",
}

_OPENING: Final = (
    "{% if kind == 'reopened' %}It is back, after it was resolved.\n{% endif %}"
    "{% if kind == 'page' and person %}{{ person }}, you are called"
    "{% if why.step %} (step {{ why.step }}){% endif %}.\n\n{% endif %}"
    "{% if record.message %}{{ record.message|truncate(600) }}\n\n"
    "{% elif ticket.description %}{{ ticket.description|truncate(600) }}\n\n{% endif %}"
)
_STANDING: Final = (
    "{% if ticket.service %}Where: {{ ticket.service }}{% if service.tier %} (tier {{ service.tier }}){% endif %}"
    "{% if ticket.team or service.team %}, team {{ ticket.team|default(service.team) }}{% endif %}\n\n{% endif %}"
    "How bad: {{ ticket.priority }}{% if record.level %}, {{ record.level }}{% endif %}"
    "{% if records %}, {{ records|number }} {{ 'record' if records == 1 else 'records' }}{% endif %}"
    "{% if alerts > 1 %} in {{ alerts }} alerts{% endif %}\n\n"
    "Since: {{ ticket.since|time(zone, 'day') }}, {{ ticket.age_s|duration }} ago"
    "{% if ticket.reopen_count %}, reopened {{ ticket.reopen_count }} x{% endif %}\n\n"
    "{% if sla.due_at %}SLA: {{ sla.clock }} by {{ sla.due_at|time(zone, 'day') }}, "
    "{{ sla.remaining_s|duration }} {{ 'over' if sla.remaining_s < 0 else 'left' }}\n{% endif %}"
)
_TO_DO: Final = (
    "{% if runbook_url %}Runbook: {{ runbook_url }}\n{% endif %}"
    "What to do: {% if links.acknowledge %}acknowledge it, so that nobody else is called.\n"
    "{% else %}take it up: tocsin ack {{ ticket.id }}\n{% endif %}"
)
_REFERENCE: Final = "Ticket {{ ticket.id }}\n"
_RECORDS: Final = (
    "{% if records %}{{ records|number }} {{ 'record' if records == 1 else 'records' }} in all.\n{% endif %}"
)
_CALL: Final = f"{_OPENING}{_STANDING}{_TO_DO}"
_TEXTS: Final[Mapping[Kind, str]] = {
    Kind.OPENED: _CALL,
    Kind.PAGE: _CALL,
    Kind.REOPENED: _CALL,
    Kind.ACKNOWLEDGED: "{{ ticket.assignee|default(by)|default('Somebody') }} has it"
    "{% if way %} (by {{ way }}){% endif %}, {{ ticket.age_s|duration }} after it began.\n" + _REFERENCE,
    Kind.UPDATED: "{% if bundled > 1 %}{{ bundled }} updates in one message.\n{% endif %}"
    "{% for change in changes %}{{ change.at|time(zone) }} {{ change.by }}: {{ change.what|truncate(300) }}\n"
    "{% endfor %}Now {{ ticket.status }}, {{ ticket.priority }}"
    "{% if ticket.assignee %}, {{ ticket.assignee }}{% endif %}.\n" + _REFERENCE,
    Kind.RESOLVED: "Resolved{% if by %} by {{ by }}{% endif %} after {{ ticket.age_s|duration }}"
    "{% if ticket.resolution_code %} ({{ ticket.resolution_code }}){% endif %}.\n"
    "{% if ticket.resolution_note %}{{ ticket.resolution_note|truncate(600) }}\n{% endif %}" + _RECORDS + _REFERENCE,
    Kind.CLOSED: "Closed{% if by %} by {{ by }}{% endif %}.\n" + _REFERENCE,
    Kind.SLA: "{% if sla.state == 'breached' %}Its time is over.\n{% else %}Its time runs out.\n{% endif %}"
    + _STANDING + _TO_DO,
    Kind.NOTICE: "{{ facts.text|default(facts.title)|default('')|truncate(2000) }}\n",
    Kind.CODE: "{{ facts.code }} is your code. It proves that this way reaches you; nobody at Tocsin asks for it.\n",
    Kind.TEST: "This is a test{% if by %}, asked for by {{ by }}{% endif %}. Nothing is wrong; messages arrive here.\n",
}  # fmt: skip

_FACTS: Final = """\
<table style="border-collapse:collapse">
{% for fact in fact_list %}<tr><td style="padding:2px 12px 2px 0;color:#555">{{ fact.name }}</td>\
<td style="padding:2px 0">{{ fact.value }}</td></tr>
{% endfor %}</table>
"""
_BUTTONS: Final = """\
<p>{% for action in action_list %}<a href="{{ action.url }}" style="display:inline-block;margin:0 8px 8px 0;\
padding:10px 16px;border:1px solid #1a4f8b;border-radius:4px;color:#1a4f8b;text-decoration:none">{{ action.label }}</a>
{% endfor %}</p>
"""
_HTML: Final = f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{{{ said.title }}}}</title></head>
<body style="font-family:sans-serif;font-size:16px;line-height:1.4">
<h1 style="font-size:20px">{{{{ said.title }}}}</h1>
<pre style="white-space:pre-wrap;font-family:inherit">{{{{ said.text }}}}</pre>
{_FACTS}{{% if action_list %}}{_BUTTONS}{{% endif %}}</body></html>
"""

TITLES: Final = _TITLES
TEXTS: Final = _TEXTS
HTML: Final = _HTML  # `said.title` and `said.text` are what the other two made
