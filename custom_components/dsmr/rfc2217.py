"""How does a serial port server take its settings from here (RFC 2217)?"""

import errno
from typing import Any, override

from serialx import BaseSerialTransport, SerialException
from serialx.platforms.serial_rfc2217 import RFC2217SerialTransport
from serialx.platforms.serial_rfc2217.types import (
    Rfc2217Command,
    SetLinestateMaskCmd,
    SetModemstateMaskCmd,
)

from .addresses import scheme_of


class _Transport(RFC2217SerialTransport):
    """RFC 2217, also where the server does not acknowledge all commands.

    serialx asks to be notified of changes of modem and line state and waits for an acknowledgement.
    ser2net (4.3.11) takes the two commands, begins to notify, and acknowledges neither. Nobody here
    wants to know the states.
    """

    @override
    async def _connect(self, **settings: Any) -> None:
        try:
            await super()._connect(**settings)
        except TimeoutError as error:
            if self._tcp_transport is None:
                raise
            raise SerialException("the server does not speak RFC 2217") from error
        except OSError as error:
            # What serialx makes of a server that hangs up.
            if error.errno != errno.EIO:
                raise
            raise _hung_up() from error

    @override
    async def _send_and_wait(self, cmd: Rfc2217Command) -> Rfc2217Command:
        if isinstance(cmd, (SetModemstateMaskCmd, SetLinestateMaskCmd)):
            self._send_command(cmd)
            return cmd
        return await super()._send_and_wait(cmd)

    @override
    def _send_command(self, cmd: Any, responses: Any = None) -> Any:
        # A server that has another client hangs up at once. Who writes on is warned by asyncio.
        if self._tcp_transport is None or self._tcp_transport.is_closing():
            raise _hung_up()
        return super()._send_command(cmd, responses)


def _hung_up() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "the other side closed the connection")


def transport_of(url: str) -> type[BaseSerialTransport] | None:
    """Return with what serialx is to open a port, or None for what it takes by itself."""
    return _Transport if scheme_of(url) == "rfc2217" else None
