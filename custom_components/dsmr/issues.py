"""What can a person do where no telegrams come, and when is it done?"""

import asyncio
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .dispatcher import DSMR
from .models import Cause
from .reader import Reader

PATIENCE: Final = 300.0
"""Seconds without a telegram after which it will not pass by itself."""


class PortIssue:
    """The repair issue of one P1 port: there once no telegrams come for long, gone when they do."""

    def __init__(self, hass: HomeAssistant, port_id: str, reader: Reader, dsmr: DSMR) -> None:
        """Prepare to look after a port; `begin` does it.

        Args:
            hass: in whose registry the issue is.
            port_id: what the port is known by.
            reader: who knows why no telegrams come.
            dsmr: who tells when they stop and begin to come.
        """
        self._hass = hass
        self._id = f"no_telegrams_{port_id}"
        self._reader = reader
        self._dsmr = dsmr
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._said: Cause | None = None

    @callback
    def begin(self) -> None:
        """Listen to the dispatcher."""
        self._dsmr.listen_loss(self._lost)
        self._dsmr.listen_contents(self.end)

    @callback
    def end(self, _: Any = None) -> None:
        """Take the issue away."""
        self.rest()
        self._said = None
        ir.async_delete_issue(self._hass, DOMAIN, self._id)

    @callback
    def rest(self) -> None:
        """Wait no longer; an issue that is there stays."""
        self._is_late = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @callback
    def _lost(self, _: None) -> None:
        # As long as no telegrams come the port is opened again and again, and so lost.
        cause = self._reader.cause
        if self._said is Cause.HELD and cause is not Cause.HELD:
            # A person has ended that; what there is now may pass by itself.
            self.end()
        if cause is not None and (cause is Cause.HELD or self._is_late):
            self._say(cause)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._late)

    @callback
    def _late(self) -> None:
        self._is_late = True
        self._lost(None)

    def _say(self, cause: Cause) -> None:
        reader, looks_like = self._reader, self._reader.stream.looks_like
        self._said = cause
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._id,
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=str(cause),
            translation_placeholders={
                "port": reader.connection.name,
                "version": looks_like.label if looks_like else "",
                "holder": reader.opener.holder,
            },
        )
