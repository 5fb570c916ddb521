"""Every fault that there is, as a function each: it begins, and returns when all is well again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
import errno
from math import exp, log
from random import Random
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant

from tests.clock import now, settled
from tests.meter import SimulatedMeter

from .port import Port

LONGEST: Final = 3600.0
"""Seconds that a fault may be on."""
PROMPT: Final = 1.0
"""Seconds within which a reload, a removal or a stop returns."""
_OTHER_VERSION: Final = SimulatedMeter("iskra-mt382").next_telegram()

MISTAKEN: Final = "32.7.0"
"""The line of which the sensor fails: one that changes with each telegram."""

_NOISE: Final = (bytes(range(256)), b"/", b"!", b"/!\r\n(0)", b"\xff\0", b"\xdb\x08")

type Fault = Callable[[HomeAssistant, Port], Coroutine[Any, Any, None]]


def _seconds(port: Port) -> float:
    """Draw how long a fault is on: as often between 0.1 and 1 s as between 6 and 60 min."""
    return exp(port.rng.uniform(log(0.1), log(LONGEST)))


def _refusing(number: int, words: str, *, gone: bool) -> Fault:
    """Return the fault that a port is lost and can't be opened for a while."""

    async def refuse(_: HomeAssistant, port: Port) -> None:
        port.line.refusal = lambda: OSError(number, words)
        if gone:
            port.line.lose(OSError(errno.EIO, "device disconnected"))
        else:
            port.line.lose()
        await asyncio.sleep(_seconds(port))
        port.line.refusal = None

    return refuse


async def _dropped(_: HomeAssistant, port: Port) -> None:
    """The connection is dropped in the middle of a telegram."""
    telegram = port.meter.next_telegram()
    port.line.send(telegram[: port.rng.randrange(len(telegram) // 2)])
    port.line.lose()


async def _flapping(hass: HomeAssistant, port: Port) -> None:
    """The connection is dropped again and again."""
    for _ in range(port.rng.randrange(2, 20)):
        await _dropped(hass, port)
        await asyncio.sleep(port.rng.uniform(0, 5))


async def _half_open(_: HomeAssistant, port: Port) -> None:
    """The peer is gone without a word, and there at once for who comes anew."""
    port.line.deafen()
    port.line.opened.clear()
    await port.line.opened.wait()


async def _route_dropped(_: HomeAssistant, port: Port) -> None:
    """No packet comes through, either way."""
    port.line.deafen()
    port.line.answers = False
    await asyncio.sleep(_seconds(port))
    port.line.answers = True
    # A connection that was open before comes back to life, if it was not left.
    for transport in port.line.transports:
        transport.deaf = False


async def _silent(_: HomeAssistant, port: Port) -> None:
    """The meter says nothing."""
    port.silent = True
    await asyncio.sleep(_seconds(port))
    port.silent = False


async def _noisy(_: HomeAssistant, port: Port) -> None:
    """Bytes come that are no telegram, with and without what begins and ends one."""
    alphabet = port.rng.choice(_NOISE)
    port.silent = True
    end = now() + _seconds(port)
    while now() < end:
        port.line.send(bytes(port.rng.choices(alphabet, k=port.rng.randrange(1, 12_000))))
        await asyncio.sleep(port.rng.uniform(0.2, 2))
    port.silent = False


async def _damaged(_: HomeAssistant, port: Port) -> None:
    """Bytes of telegrams are changed, lost and added on the way."""
    port.damage = lambda telegram: damaged(telegram, port.rng)
    await asyncio.sleep(_seconds(port))
    port.damage = None


def damaged(telegram: bytes, rng: Random) -> bytes:
    """Return a telegram as a bad line makes it: at one place at least it is another."""
    found = bytearray(telegram)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 50))):
        at = rng.randrange(len(found) or 1)
        to = min(len(found), at + rng.choice((1, 1, 2, 8, 500)))
        match rng.randrange(5):
            case 0:
                found[at:to] = bytes(byte ^ 1 << rng.randrange(8) for byte in found[at:to])
            case 1:
                del found[at:to]
            case 2:
                found[at:at] = rng.randbytes(to - at)
            case 3:
                found[at:to] = found[at:to] * 2
            case 4:
                found[at:to] = found[at:to][::-1]
    return bytes(found)


async def _another_version(_: HomeAssistant, port: Port) -> None:
    """A meter of another version is there, or at another speed."""
    port.damage = port.rng.choice(
        (lambda _: _OTHER_VERSION, lambda telegram: bytes(byte ^ 0xA5 for byte in telegram))
    )
    await asyncio.sleep(_seconds(port))
    port.damage = None


async def _busy(_: HomeAssistant, port: Port) -> None:
    """Home Assistant was busy, and what came meanwhile comes at once."""
    telegrams = [port.meter.next_telegram() for _ in range(port.rng.randrange(2, 100))]
    for telegram in telegrams:
        port.record.sends(telegram)
    port.send_intact(telegrams)


async def _mistake_in_opening(_: HomeAssistant, port: Port) -> None:
    """Opening the port raises what nobody has foreseen."""
    port.line.refusal = lambda: ZeroDivisionError("a mistake in opening")
    port.line.lose()
    await asyncio.sleep(_seconds(port))
    port.line.refusal = None


async def _mistake_in_decoding(_: HomeAssistant, port: Port) -> None:
    """Reading a telegram raises what nobody has foreseen."""
    port.decoding_fails = True
    await asyncio.sleep(_seconds(port))
    port.decoding_fails = False


async def _mistake_in_an_entity(_: HomeAssistant, port: Port) -> None:
    """Showing a value raises what nobody has foreseen."""
    port.showing_fails, port.mistaken = True, MISTAKEN
    await asyncio.sleep(_seconds(port))
    port.showing_fails = False
    # What it did not show it is told again with the next telegram.
    await asyncio.sleep(port.record.window)
    port.mistaken = ""


async def _prompt(port: Port, what: str, doing: Awaitable[object]) -> None:
    """Do something, and see that it takes no time."""
    before = now()
    await doing
    if now() - before > PROMPT:
        port.record.says(f"{what} took {now() - before:.1f} s")


def _at_any_moment(during: Mapping[str, Fault], what: Fault) -> Fault:
    """Return a change of the entry that comes while another fault is on, or none."""

    async def change(hass: HomeAssistant, port: Port) -> None:
        fault = port.rng.choice([None, *during.values()])
        async with asyncio.TaskGroup() as tasks:
            if fault:
                tasks.create_task(fault(hass, port))
            await asyncio.sleep(port.rng.uniform(0, 5))
            await what(hass, port)

    return change


async def _reload(hass: HomeAssistant, port: Port) -> None:
    """The entry is loaded anew."""
    port.is_anew()
    await _prompt(port, "a reload", hass.config_entries.async_reload(port.entry.entry_id))
    port.is_anew()


async def _option(hass: HomeAssistant, port: Port) -> None:
    """An option is changed, and the entry loaded anew."""
    hass.config_entries.async_update_entry(
        port.entry, options={**port.entry.options, "swap_tariffs": port.rng.random() < 0.5}
    )
    await _reload(hass, port)


async def _disabled(hass: HomeAssistant, port: Port) -> None:
    """The entry is switched off, and on again."""
    entries, id_ = hass.config_entries, port.entry.entry_id
    port.is_anew()
    off = entries.async_set_disabled_by(id_, ConfigEntryDisabler.USER)
    await _prompt(port, "switching off", off)
    await settled()
    if port.line.transports:
        port.record.says("the port is open though the entry is switched off")
    await asyncio.sleep(port.rng.uniform(0, 60))
    port.is_anew()
    await _prompt(port, "switching on", entries.async_set_disabled_by(id_, None))


_OF_THE_LINE: Final[Mapping[str, Fault]] = {
    "refused": _refusing(errno.ECONNREFUSED, "refused", gone=False),
    "unplugged": _refusing(errno.ENOENT, "no such file", gone=True),
    "another program has it": _refusing(errno.EBUSY, "busy", gone=False),
    "no permission": _refusing(errno.EACCES, "denied", gone=True),
    "dropped": _dropped,
    "dropped again and again": _flapping,
    "half open": _half_open,
    "route dropped": _route_dropped,
    "silent": _silent,
    "noise": _noisy,
    "damaged telegrams": _damaged,
    "another version": _another_version,
    "mistake in opening": _mistake_in_opening,
}
FAULTS: Final[Mapping[str, Fault]] = {
    **_OF_THE_LINE,
    "Home Assistant busy": _busy,
    "mistake in decoding": _mistake_in_decoding,
    "mistake in an entity": _mistake_in_an_entity,
    "reload": _at_any_moment(_OF_THE_LINE, _reload),
    "option changed": _at_any_moment(_OF_THE_LINE, _option),
    "switched off and on": _at_any_moment(_OF_THE_LINE, _disabled),
}
"""By what a person calls them: all that may happen on a port."""
