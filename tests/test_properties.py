"""Whatever happens to the bytes: nothing raises, nothing is believed that was not sent."""

import logging
import re
from typing import Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.dsmr import opening
from custom_components.dsmr.models import ELECTRICITY, Keys, ReadingKey, Telegram, Value
from custom_components.dsmr.versions import VERSIONS

from .clock import run
from .line import Line, Reading
from .meter import MODELS, SimulatedMeter

KEY: Final = bytes(range(16))
# One of each form of telegram: with tariffs and gas, Belgian, Swedish, and sealed.
METERS: Final = ("iskra-am550", "fluvius-t211", "aidon-6534", "sagemcom-t210d-r")
SEVERAL: Final = settings(max_examples=60, deadline=None)


def sent_by(model: str) -> tuple[list[bytes], list[bytes]]:
    """Return five telegrams of a meter as they are on the wire, and as they can be read."""
    version = VERSIONS[MODELS[model].version]
    sealed = SimulatedMeter(
        model,
        key=KEY if version.encrypted else None,
        authentication_key=version.authentication_key or b"",
    )
    readable = SimulatedMeter(model)
    return (
        [sealed.next_telegram() for _ in range(5)],
        [readable.next_telegram() for _ in range(5)],
    )


SENT: Final = {model: sent_by(model) for model in METERS}


def values(telegram: Telegram, sent: bytes) -> dict[ReadingKey, Value]:
    """Return the values of the lines that were sent, without what is derived from them."""
    return {
        key: reading.value
        for key, reading in telegram.readings.items()
        if f":{key.obis}(".encode() in sent
    }


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, float, float, bytes]:
    """Draw what happens to a stream, at places that are parts of its length."""
    place = st.floats(0, 1, exclude_max=True)
    kind = draw(st.sampled_from(["flip", "cut", "insert", "reorder", "repeat"]))
    alphabet = st.sampled_from([b"/", b"!", b"\r\n", b"\0", b"\xff", b"\xdb\x08", b"(", b"1-0:"])
    noise = draw(st.one_of(st.binary(max_size=40), st.lists(alphabet, max_size=9).map(b"".join)))
    return kind, draw(place), draw(place), noise


def edited(stream: bytes, edit: tuple[str, float, float, bytes]) -> bytes:
    """Return a stream to which something has happened."""
    kind, one, other, noise = edit
    start, end = sorted(int(place * len(stream)) for place in (one, other))
    match kind:
        case "flip":
            mask = (noise or b"\x01")[0] or 1
            return stream[:start] + bytes([stream[start] ^ mask]) + stream[start + 1 :]
        case "cut":
            return stream[:start] + stream[end:]
        case "insert":
            return stream[:start] + noise + stream[start:]
        case "reorder":
            return stream[end:] + stream[start:end] + stream[:start]
        case _:
            return stream[:end] + stream[start:]


@pytest.mark.parametrize("model", METERS)
def test_no_value_is_believed_that_was_not_sent_and_the_next_telegram_is_read(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    version = VERSIONS[MODELS[model].version]
    on_the_wire, readable = SENT[model]

    @SEVERAL
    @given(st.lists(edits(), min_size=1, max_size=6), st.integers(1, 2000))
    def test(damage: list[tuple[str, float, float, bytes]], piece: int) -> None:
        async def read() -> list[Telegram]:
            stream = b"".join(on_the_wire[:4])
            for edit in damage:
                stream = edited(stream, edit) or b"\0"
            # What ends a telegram may be what was damaged.
            stream += b"" if version.encrypted else b"\r\n"
            async with Reading(version.key, keys=Keys(KEY) if version.encrypted else None) as port:
                for start in range(0, len(stream), piece):
                    line.send(stream[start : start + piece])
                before = port.counters.telegrams
                line.send(on_the_wire[4])
                # What ends the one before it may be the first bytes of this one.
                assert port.counters.telegrams > before
                return port.telegrams()

        line = Line()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(opening, "create_serial_connection", line.open)
            telegrams = run(read())
        for telegram in telegrams:
            for key, value in values(telegram, readable[4]).items():
                assert value in [sent[key] for sent in known], key

    async def read_intact() -> list[Telegram]:
        async with Reading(version.key) as port:
            for telegram in readable:
                line.send(telegram)
            return port.telegrams()

    line = Line()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "create_serial_connection", line.open)
        intact = run(read_intact())
    known = [values(telegram, readable[4]) for telegram in intact]
    assert len(known) == len(readable)
    assert intact[0].readings[ReadingKey(ELECTRICITY, "1.7.0")].value is not None
    test()
    # Damage to five frames in a row looks like a wrong key, and nothing else is worth a warning.
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert all(re.search("can be read: the .* key does not fit", text) for text in said), said
    caplog.clear()
