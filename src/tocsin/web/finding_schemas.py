"""What views and similar tickets look like over HTTP."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from tocsin.tickets.similar import Why
from tocsin.tickets.views import ASCENDING, View
from tocsin.web.schemas import In, Out, QueryText

Sort = Literal["opened", "updated", "priority"]
Order = Literal["asc", "desc"]


class ViewIn(In):
    q: QueryText = Field(
        ..., description="In the filter language.", examples=["status:OPEN priority:<=P2 assignee:none"]
    )
    sort: Sort = Field("opened", description="`opened`, `updated` or `priority`.")
    order: Order | None = Field(
        None, description="Without it P1 comes first of `priority`, and the newest of the others."
    )
    shared: bool = Field(False, description="Everybody may use and change it; else it is there for you alone.")

    def view(self, name: str) -> View:
        order = self.order or ("asc" if self.sort in ASCENDING else "desc")
        return View(name, self.q, self.sort, order == "desc", self.shared)


class ViewOut(Out):
    name: str
    q: str
    sort: Sort
    order: Order
    shared: bool
    owner: str = Field(description="Who made it.")
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class ViewPageOut(Out):
    items: list[ViewOut]
    next: str | None


class SimilarReasonOut(Out):
    kind: Why = Field(description="What they have in common: fingerprint, template, rule, service or words.")
    detail: str = Field(description="Which one; of words those that are the rarest elsewhere.")


class SimilarOut(Out):
    ticket_id: int
    title: str
    status: str
    priority: str
    service: str | None
    team: str | None
    assignee: str | None
    opened_at: datetime
    resolved_at: datetime | None
    resolution_code: str | None
    resolution_note: str | None
    time_to_resolve_s: float | None
    resolved_by: str | None = Field(description="Who moved it to RESOLVED.")
    score: float = Field(description="From 0 to 1.")
    reasons: list[SimilarReasonOut]


class SimilarPageOut(Out):
    items: list[SimilarOut]
