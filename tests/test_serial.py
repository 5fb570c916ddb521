"""Over a serial line: a pseudo-terminal and the real serialx."""

from pathlib import Path
import termios

from homeassistant.core import HomeAssistant
import pytest
from serialx import Parity

from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.versions import VERSIONS, SerialSettings

from .parts import SerialLine, edited, set_up, state_of, telegram_of, until

AM550 = edited(telegram_of("iskra-am550"), o1_0_1_8_1="(002104.718*kWh)", o0_0_96_14_0="(0001)")


async def test_a_meter_is_read_over_a_serial_line(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    # A few bytes at a time, as they come from a cable.
    async with serial_line.sending(AM550, piece=61):
        await state_of(hass, "sensor.power_consumption_low", "2104.718")


async def test_a_telegram_that_was_half_sent_before_start_is_left_out(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 2.2})
    me382 = telegram_of("iskra-me382")
    halves = me382[200:] + edited(me382, o1_0_1_8_1="(04321.000*kWh)")
    async with serial_line.sending(halves):
        await state_of(hass, "sensor.power_consumption_low", "4321.0")


@pytest.mark.logs("No telegrams from .*ttyUSB0: .*disconnected")
@pytest.mark.logs("Telegrams come from .*ttyUSB0 again")
async def test_a_cable_pulled_out_and_put_back_is_read_again(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.power_tariff", "low")
    serial_line.unplug()
    await state_of(hass, "sensor.power_tariff", "unavailable")
    serial_line.plug_in()
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.power_tariff", "low")


@pytest.mark.logs("No telegrams from .*usb-meter: .*disconnected")
@pytest.mark.logs("Telegrams come from .*usb-meter again")
async def test_an_adapter_that_comes_back_under_another_name_is_read_by_its_id(
    hass: HomeAssistant, serial_line: SerialLine, tmp_path: Path
) -> None:
    by_id = tmp_path / "usb-meter"
    by_id.symlink_to(serial_line.device)
    await set_up(hass, {"port": str(by_id), "dsmr_version": 5})
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.power_tariff", "low")
    serial_line.unplug()
    by_id.unlink()
    await state_of(hass, "sensor.power_tariff", "unavailable")
    # Meanwhile another adapter has got its name.
    another = SerialLine(serial_line.device)
    serial_line.device = tmp_path / "ttyUSB7"
    serial_line.plug_in()
    by_id.symlink_to(serial_line.device)
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.power_tariff", "low")
    another.unplug()


@pytest.mark.logs("No telegrams from .*ttyUSB0: .*No such file")
@pytest.mark.logs("Telegrams come from .*ttyUSB0 again")
async def test_a_cable_that_is_not_there_at_start_is_read_when_it_comes(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    serial_line.unplug()
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: bool(reader.counters.last_cause))
    serial_line.plug_in()
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.power_tariff", "low")


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_line_is_set_as_the_version_says(
    hass: HomeAssistant, serial_line: SerialLine, version: str
) -> None:
    key = {"encryption_key": "00" * 16} if VERSIONS[version].encrypted else {}
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": version, **key})
    await serial_line.opened()
    input_flags, _, _, _, speed, _, _ = serial_line.settings()
    assert speed == (termios.B9600 if version in ("2.2", "3") else termios.B115200)
    # A pseudo-terminal has no parity bits to set. That the kernel does not look at them is what
    # lets 7E1 read a meter that sends 8N1.
    assert not input_flags & (termios.INPCK | termios.ISTRIP | termios.PARMRK)


def _sent(character: int, serial: SerialSettings) -> list[int]:
    """Return the bits of a character on the line after the start bit (UART, LSB first)."""
    bits = [character >> i & 1 for i in range(serial.byte_size)]
    if serial.parity is Parity.EVEN:
        bits.append(sum(bits) % 2)
    return [*bits, 1]


def _received(bits: list[int], serial: SerialSettings) -> int:
    """Return the character that a receiver makes of bits, without looking at the parity."""
    return sum(bit << i for i, bit in enumerate(bits[: serial.byte_size]))


@pytest.mark.parametrize("meter", [VERSIONS["5"].serial, VERSIONS["4"].serial])
def test_version_4_reads_meters_that_send_8n1_and_meters_that_send_7e1(
    meter: SerialSettings,
) -> None:
    telegram = telegram_of("landisgyr-e350")
    ours = VERSIONS["4"].serial
    assert bytes(_received(_sent(character, meter), ours) for character in telegram) == telegram


async def test_two_home_assistants_do_not_share_a_line(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    await serial_line.opened()
    assert serial_line.is_locked()
    await hass.data[YAML_PORTS]["yaml"].stop()
    assert not serial_line.is_locked()
