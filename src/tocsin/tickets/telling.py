"""The entries of a ticket's timeline in words. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

MAX_NAMED: Final = 10


def told(kind: str, data: Mapping[str, Any]) -> str:
    """An event of a timeline in words; a kind this program does not know is named as it is."""
    words = {
        "TicketOpened": lambda: f"opened at {data['priority']}" + _by_alert(data),
        "AlertJoined": lambda: f"alert {data['alert_id']} joined" + _because(data),
        "TicketCauseSuspected": lambda: (
            f"probably caused by ticket {data['cause_ticket_id']}: {data['cause_service']} began to fail shortly after"
        ),
        "TicketEffectSuspected": lambda: (
            f"probably the cause of ticket {data['effect_ticket_id']}: {data['effect_service']} depends on it"
        ),
        "TicketMoved": lambda: f"{data['before']} → {data['after']}" + _resolution(data),
        "TicketAnswered": lambda: f"answered by {data['way']}: {data['answer']}",
        "TicketCommented": lambda: f"comment {data['comment_id']}",
        "TicketCommentEdited": lambda: f"comment {data['comment_id']} edited",
        "TicketCommentDeleted": lambda: f"comment {data['comment_id']} deleted",
        "TicketMerged": lambda: f"merged into ticket {data['into_id']}",
        "TicketUnmerged": lambda: f"merge into ticket {data['into_id']} undone, {data['after']} again",
        "TicketAbsorbed": lambda: f"ticket {data['other_id']} merged into this one, with {data['alerts']} alerts",
        "TicketParted": lambda: f"merge of ticket {data['other_id']} undone",
        "TicketSplit": lambda: f"{_alerts(data['alert_ids'])} split off to ticket {data['new_id']}{_reason_of(data)}",
        "TicketSplitOff": lambda: f"split off ticket {data['from_id']}, {_alerts(data['alert_ids'])}{_reason_of(data)}",
        "TicketPostmortemSaved": lambda: f"postmortem written, version {data['version']}",
        "TicketPostmortemDropped": lambda: f"postmortem taken back to its draft, version {data['version']}",
        "TicketNoted": lambda: f"noted{_by(data)}: {data['text']}",
        "TicketImported": lambda: f"imported from {data['source']} as {data['external_id']}",
        "StormBegan": lambda: _storm(data),
        "StormEnded": lambda: f"the storm is over{_let_go(data)}",
        "TicketLinked": lambda: f"{data['link'].replace('_', ' ')} ticket {data['other_id']}",
        "TicketUnlinked": lambda: f"no longer {data['link'].replace('_', ' ')} ticket {data['other_id']}",
        "TicketReopened": lambda: f"reopened, {data['before']} → {data['after']}{_by_alert(data)}: {data['reason']}",
        "TicketEdited": lambda: "; ".join(_edit(name, data) for name in data["after"]),
        "TicketPrioritised": lambda: f"priority {data['before']} → {data['after']}",
        "TicketHeld": lambda: f"on hold until {data['until'] or 'it is resumed'}: {data['reason']}",
        "TicketResumed": lambda: f"on hold no longer{_reason_of(data)}",
        "SlaAssigned": lambda: _assigned(data),
        "SlaAtRisk": lambda: f"the clock to {data['clock']} is at risk, due {data['due_at']}",
        "SlaBreached": lambda: f"the clock to {data['clock']} ran out, due {data['due_at']}",
        "change": lambda: f"{data['service']}: {data['summary']}{_what_of(data)}",
        **_words_of_paging(data),
    }
    try:
        return words[kind]()
    except KeyError:
        return kind


def _alerts(ids: Sequence[int]) -> str:
    names = ", ".join(map(str, ids[:10])) + (", ..." if len(ids) > 10 else "")
    return f"alert{'' if len(ids) == 1 else 's'} {names}"


def _words_of_paging(data: Mapping[str, Any]) -> dict[str, Callable[[], str]]:
    """What routes and escalations did."""
    return {
        "TicketHandedBack": lambda: f"handed back, {data['after']} again: {data['reason']}",
        "TicketRouted": lambda: f"{data['about']}: routes {', '.join(data['routes'])}",
        "RoutingFailed": lambda: f"{data['part']} failed: {data['error']}",
        "EscalationBegan": lambda: f"escalation policy {data['policy']} began: {data['why']}",
        "EscalationStepTaken": lambda: f"{_place(data)}: {_reached(data)}",
        "NobodyOnCall": lambda: f"{_place(data)}: nobody is there of {', '.join(data['wanted'])}",
        "EscalationPaused": lambda: f"{data['policy']} stands still: {data['why']}",
        "EscalationResumed": lambda: f"{data['policy']} goes on: {data['why']}",
        "EscalationRestarted": lambda: f"{data['policy']} begins round {data['round']}: {data['why']}",
        "EscalationStopped": lambda: f"{data['policy']} calls nobody any more: {data['why']}",
        "EscalationSpent": lambda: f"{data['policy']}: every step was taken, nobody answered",
        "EscalationEnded": lambda: f"{data['policy']} is over: {data['why']}",
        "PersonPaged": lambda: f"{data['person']} is called: {data['why']}",
        "ChannelPaged": lambda: f"channel {data['channel']} is called: {data['why']}",
        "PersonUnreachable": lambda: f"{data['reason']}; {data['fallback']} is tried",
    }


def _place(data: Mapping[str, Any]) -> str:
    return f"step {data['step']} of escalation policy {data['policy']}, round {data['round']}"


def _reached(data: Mapping[str, Any]) -> str:
    named = [*data["people"], *(f"channel {channel}" for channel in data["channels"])]
    return (", ".join(named) or "nobody") + (" (fallback)" if data["fallback"] else "")


def _storm(data: Mapping[str, Any]) -> str:
    of = "in all" if data["scope"] == "all" else f"of {data['scope'].removeprefix('service:')}"
    within = f"{data['tickets']} tickets {of} would have opened within {data['within_s'] // 60} min"
    return f"a storm began: {within}, the limit is {data['limit']}"


def _let_go(data: Mapping[str, Any]) -> str:
    """Which alerts have a ticket of their own from now on; all of them, if they are few."""
    released = data["released"]
    if not released:
        return ", nothing of it fires"
    if len(released) == 1:
        return f"; alert {released[0]} still fires and has a ticket of its own"
    few = len(released) <= MAX_NAMED
    names = f"alerts {', '.join(map(str, released))}" if few else f"{len(released)} alerts"
    return f"; {names} still fire and have tickets of their own"


def _by(data: Mapping[str, Any]) -> str:
    return f" by {data['by']}" if data.get("by") else ""


def _what_of(data: Mapping[str, Any]) -> str:
    return (f" ({data['ref']})" if data["ref"] else "") + (f" by {data['author']}" if data["author"] else "")


def _resolution(data: Mapping[str, Any]) -> str:
    said = [data.get("resolution_code"), data.get("resolution_note")]
    return f" ({': '.join(filter(None, said))})" if any(said) else ""


def _reason_of(data: Mapping[str, Any]) -> str:
    return f": {data['reason']}" if data.get("reason") else ""


def _assigned(data: Mapping[str, Any]) -> str:
    why = {"priority": " because of its priority", "recalculated": ", reckoned anew"}.get(data["why"], "")
    if data["policy"] is None:
        return f"no SLA policy any more{why}{_reason_of(data)}"
    return f"SLA policy {data['policy']} (version {data['policy_version']}){why}{_reason_of(data)}"


def _by_alert(data: Mapping[str, Any]) -> str:
    return f" by alert {data['alert_id']}" if data.get("alert_id") else ""


def _because(data: Mapping[str, Any]) -> str:
    if not data.get("caused_by_alert_id"):
        return ""
    steps = f" ({' → '.join(data['way'])})" if data["way"] else ""
    return f", caused by alert {data['caused_by_alert_id']} of {data['caused_by_service']}{steps}"


def _edit(name: str, data: Mapping[str, Any]) -> str:
    if name == "description":
        return "description changed"
    before, after = data["before"][name], data["after"][name]
    if name == "tags":
        return f"tags → {', '.join(after) or 'none'}"
    return f"{name} {before or 'nobody'} → {after or 'nobody'}" if name == "assignee" else f"{name} → {after}"
