"""The queries about names that this stage adds: channels and templates."""

from typing import Final

from sqlalchemy import select

from tocsin.notify.model import channels
from tocsin.notify.template_model import templates
from tocsin.oncall import reference_store
from tocsin.oncall.reference_store import Names
from tocsin.oncall.references import Referred

NAMES: Final[Names] = {
    **reference_store.NAMES,
    Referred.CHANNEL: select(channels.c.name),
    Referred.TEMPLATE: select(templates.c.name),
}
