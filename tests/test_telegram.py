"""What a telegram says, and what is not believed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
import re
from typing import override
from zoneinfo import ZoneInfo

from dsmr_parser.parsers import ValueParser
import pytest

from custom_components.dsmr.checksum import PROVEN, ChecksumError, crc16
from custom_components.dsmr.framing import Framer
from custom_components.dsmr.lines import LONGEST_ODD
from custom_components.dsmr.models import (
    ELECTRICITY,
    Counters,
    MBusType,
    OddLine,
    ReadingKey,
    Telegram,
)
from custom_components.dsmr.obis import AVERAGE_PEAK, FLOW, MBUS_READING, MONTH_END, PEAKS
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .meter import MODELS, SimulatedMeter, wire
from .parts import edited, telegram_of

AM550 = telegram_of("iskra-am550")
ME382 = telegram_of("iskra-me382")
UNREADABLE = pytest.mark.logs("The meter's line .* can't be read")
ZONE = ZoneInfo("Europe/Amsterdam")


class Meter:
    """A meter whose telegrams are decoded as they come, one a second."""

    def __init__(self, version: str = "5", interval: float = 1, zone: ZoneInfo = ZONE) -> None:
        self.counters = Counters()
        self.interval = interval
        self._decoder = Decoder(VERSIONS[version], zone, self.counters)
        self._now = 1000.0

    def says(self, telegram: bytes) -> Telegram:
        self._now += self.interval
        (frame,) = Framer().feed(telegram)
        return self._decoder.decode(frame, self._now)

    def shows(self, telegram: bytes, obis: str = "1.8.1") -> object:
        reading = self.says(telegram).readings.get(ReadingKey(ELECTRICITY, obis))
        return reading.value if reading else None

    def gas(self, read: str, volume: str) -> object:
        """Return what is shown of a gas meter, by a telegram with a reading of some time."""
        readings = self.says(edited(AM550, o0_1_24_2_1=f"(261112{read}W)({volume}*m3)")).readings
        return next(r.value for key, r in readings.items() if key.obis == MBUS_READING)


def counting(energy: str) -> bytes:
    return edited(AM550, o1_0_1_8_1=f"({energy}*kWh)")


def test_a_checksum_is_that_of_the_standards_polynomial() -> None:
    # The check value of CRC-16/ARC in the catalogue of parametrised CRC algorithms.
    assert crc16(b"123456789") == 0xBB3D


def test_a_checksum_is_the_one_that_is_made_byte_by_byte() -> None:
    rng = Random(1)
    for length in (*range(1200), 16_384, 65_536):
        sent = rng.randbytes(length)
        assert crc16(sent) == wire.crc16(sent)


@pytest.mark.parametrize("model", MODELS)
def test_a_telegram_of_which_only_what_changed_is_read_says_what_all_of_it_says(model: str) -> None:
    simulated = SimulatedMeter(model)
    meter = Meter(simulated.version)
    before: Telegram | None = None
    for _ in range(20):
        frame = simulated.next_telegram()
        telegram, alone = meter.says(frame), Meter(simulated.version).says(frame)
        # The flow follows from two telegrams, and the others from one.
        assert telegram.readings.keys() == alone.readings.keys() == telegram.contents.keys
        for key, reading in alone.readings.items():
            assert telegram.readings[key] == reading or key.obis == FLOW
        if telegram.earlier is not None:
            assert before is not None
            assert telegram.earlier is before.readings
            assert telegram.contents is before.contents
            for key in telegram.readings.keys() - telegram.changed:
                assert telegram.readings[key] is before.readings[key]
        before = telegram
    assert before is not None


@pytest.mark.parametrize(
    ("line", "other"),
    [
        pytest.param("1-0:1.8.2", "1-0:1.8.3", id="another reference"),
        pytest.param("0-1:24.1.0(003)", "0-1:24.1.0(007)", id="another kind of meter"),
        pytest.param("0-1:96.1.0(47", "0-1:96.1.0(48", id="another meter"),
        pytest.param("1-0:32.7.0", "1-0:31.7.0", id="a line twice"),
        pytest.param("ISK5", "ISK6", id="another header"),
    ],
)
def test_a_telegram_with_other_lines_as_long_says_what_it_says(line: str, other: str) -> None:
    body = AM550.replace(line.encode(), other.encode()).rpartition(b"!")[0]
    changed = body + b"!%04X\r\n" % crc16(body + b"!")
    assert changed != AM550
    meter = Meter()
    for telegram in (AM550, changed, AM550, AM550, changed):
        said, alone = meter.says(telegram), Meter().says(telegram)
        assert (said.header, said.readings) == (alone.header, alone.readings)
        assert said.contents == alone.contents


@pytest.mark.parametrize(
    ("zone", "begins"), [("Europe/Amsterdam", (6, 0)), ("Asia/Kolkata", (1, 30))]
)
def test_a_clock_goes_on_through_its_hour_wherever_that_begins(
    zone: str, begins: tuple[int, int]
) -> None:
    meter = Meter(zone=ZoneInfo(zone))
    for minute in range(59):
        shown = meter.shows(edited(AM550, o0_0_1_0_0=f"(26111207{minute:02}30W)"), "1.0.0")
        passed = timedelta(minutes=minute, seconds=30)
        assert shown == datetime(2026, 11, 12, *begins, tzinfo=UTC) + passed


@UNREADABLE
@pytest.mark.logs("Unexpected error in the line 0-0:96.14.0")
def test_an_unforeseen_error_in_a_line_costs_that_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parse = ValueParser.parse

    def stumble(self: ValueParser, line: str) -> object:
        if line == "0002":
            raise KeyError("unforeseen\x1b")
        return parse(self, line)

    monkeypatch.setattr(ValueParser, "parse", stumble)
    meter = Meter()
    for energy in ("000001.000", "000001.001"):
        assert meter.shows(counting(energy)) == Decimal(energy)
        assert meter.shows(counting(energy), "96.14.0") is None
    assert meter.counters.errors == 1
    assert caplog.text.count("Unexpected error") == 1


@UNREADABLE
def test_of_a_line_that_can_not_be_read_a_thousand_bytes_are_kept() -> None:
    meter = Meter("2.2")
    meter.says(edited(ME382, o1_0_1_7_0=f"({'x' * 20_000}"))
    (odd,) = meter.counters.odd_lines.values()
    assert len(odd.text) == LONGEST_ODD


@pytest.mark.logs("The meter's line '1-0:32.7.0' can't be read: 'x' is no number")
def test_a_line_that_turns_unreadable_costs_that_line_for_as_long_as_it_is() -> None:
    meter = Meter()
    shown = [
        meter.shows(
            edited(AM550, o1_0_32_7_0=f"({volts}*V)", o1_0_1_7_0=f"(00.{watts}*kW)"), "32.7.0"
        )
        for volts, watts in (("230.1", "461"), ("x", "461"), ("x", "462"), ("230.2", "463"))
    ]
    assert shown == [Decimal("230.1"), None, None, Decimal("230.2")]
    assert meter.counters.unreadable_lines == 2


@pytest.mark.parametrize(
    "telegram",
    [
        pytest.param(AM550.replace(b"1-0:1.8.1", b"1-0:1.8.3"), id="a byte changed"),
        pytest.param(AM550.rpartition(b"!")[0] + b"!\r\n", id="no checksum"),
        pytest.param(AM550.replace(b"\r\n1-0:1.7.0", b"1-0:1.7.0"), id="a line end lost"),
    ],
)
def test_nothing_is_believed_of_a_telegram_whose_checksum_is_wrong(telegram: bytes) -> None:
    with pytest.raises(ChecksumError):
        Meter().says(telegram)


def test_a_checksum_may_be_lower_case_and_unpadded() -> None:
    assert Meter().shows(AM550[:-6] + AM550[-6:].lower()) == Decimal("4281.573")
    body = AM550.rpartition(b"!")[0]
    for number in range(10000):
        candidate = body.replace(b"(004281.573", b"(00%04d.573" % number)
        if crc16(candidate + b"!") < 0x1000:
            break
    assert Meter().shows(candidate + b"!%X\r\n" % crc16(candidate + b"!")) == number + Decimal(
        "0.573"
    )


@pytest.mark.parametrize("inside", [b"\0", b"\xff\xf1", b"\xff\xfb\x01", b"\xff\xfd\x2c\0"])
def test_what_a_gateway_puts_between_the_bytes_is_taken_out(inside: bytes) -> None:
    for position in (1, 30, 200, 500):
        telegram = AM550[:position] + inside + AM550[position:]
        assert Meter().shows(telegram) == Decimal("4281.573")


def test_a_checksum_that_was_right_for_long_must_be_right_though_the_version_has_none() -> None:
    ie5 = telegram_of("iskra-ie5")
    damaged, cut = ie5.replace(b"1.7.0(0", b"1.7.0(9"), ie5.rpartition(b"!")[0] + b"!\r\n"
    meter = Meter("ISKRA_IE")
    right, wrong = meter.shows(cut, "1.7.0"), meter.shows(damaged, "1.7.0")
    assert right != wrong
    for _ in range(PROVEN):
        assert meter.shows(ie5, "1.7.0") == right
    for telegram in (damaged, cut):
        with pytest.raises(ChecksumError):
            meter.says(telegram)
        assert meter.shows(ie5, "1.7.0") == right
    # One that is never right any more is not the meter's: a gateway changes the telegrams now.
    for _ in range(PROVEN - 1):
        with pytest.raises(ChecksumError):
            meter.says(damaged)
    assert [meter.shows(damaged, "1.7.0") for _ in range(3)] == [wrong] * 3
    # But if it was damage, the next right one says so.
    assert meter.shows(ie5, "1.7.0") == right
    with pytest.raises(ChecksumError):
        meter.says(damaged)


def test_a_checksum_that_is_wrong_in_each_telegram_is_none_where_the_version_has_none() -> None:
    ie5 = telegram_of("iskra-ie5")
    meter = Meter("ISKRA_IE")
    for _ in range(2 * PROVEN):
        assert meter.shows(ie5[:-6] + b"0000\r\n", "1.7.0") == Meter("ISKRA_IE").shows(ie5, "1.7.0")


def test_before_dsmr_4_a_byte_that_is_not_ascii_costs_the_telegram() -> None:
    me382 = telegram_of("iskra-me382")
    with pytest.raises(ChecksumError):
        Meter("2.2").says(me382.replace(b"06274", b"06\xb274"))
    assert Meter("2.2").shows(me382.replace(b"(m3)", b"(m\xb3)")) == Decimal("6274.318")


def test_a_text_message_of_raw_bytes_costs_nothing() -> None:
    telegram = edited(AM550, o0_0_96_13_0="(" + "\xff" * 1024 + ")")
    assert Meter().shows(telegram) == Decimal("4281.573")


def test_a_counter_that_reads_zero_in_one_telegram_is_held() -> None:
    meter = Meter()
    shown = [meter.shows(counting(energy)) for energy in ("100.001", "000.000", "100.002")]
    assert shown == [Decimal("100.001"), Decimal("100.001"), Decimal("100.002")]


def test_what_was_held_once_is_not_believed_when_the_counter_stands_still() -> None:
    meter = Meter()
    sent = ["100.001", "000.000", *["100.002"] * 5]
    shown = [meter.shows(counting(energy)) for energy in sent]
    assert shown == [Decimal("100.001"), Decimal("100.001"), *[Decimal("100.002")] * 5]


def test_a_counter_that_was_held_and_then_is_not_sent_any_more_is_unknown() -> None:
    meter = Meter()
    meter.shows(counting("100.001"))
    assert meter.shows(counting("000.000")) == Decimal("100.001")
    for _ in range(5):
        assert meter.shows(edited(AM550, o1_0_1_8_1="")) is None


def test_a_counter_that_was_held_may_have_counted_for_as_long() -> None:
    meter = Meter(interval=10)
    shown = [meter.shows(counting(energy)) for energy in ("100.000", *["000.000"] * 2, "112.000")]
    assert shown == [*[Decimal("100.000")] * 3, Decimal("112.000")]


def test_a_counter_that_jumps_further_than_a_fuse_carries_is_held() -> None:
    meter = Meter()
    shown = [meter.shows(counting(energy)) for energy in ("100.001", "900.001", "100.002")]
    assert shown == [Decimal("100.001"), Decimal("100.001"), Decimal("100.002")]


@pytest.mark.parametrize("energy", ["000.000", "999.000"])
def test_a_meter_that_was_replaced_is_believed_at_its_third_telegram(energy: str) -> None:
    meter = Meter()
    meter.shows(counting("100.001"))
    shown = [meter.shows(counting(energy)) for _ in range(3)]
    assert shown == [Decimal("100.001"), Decimal("100.001"), Decimal(energy)]


@pytest.mark.parametrize("interval", [1, 10, 30, 60])
def test_no_real_reading_is_hidden_for_more_than_a_minute(interval: float) -> None:
    meter = Meter(interval=interval)
    meter.shows(counting("100.001"))
    hidden = 0.0
    while meter.shows(counting("000.500")) != Decimal("0.500"):
        hidden += interval
        assert hidden <= 60


@pytest.mark.parametrize("interval", [1, 10, 30, 60])
@pytest.mark.parametrize("step", ["2.500", "-2.500"], ids=["of a factory", "that runs back"])
def test_not_even_a_counter_of_which_nothing_is_plausible_is_hidden_for_more_than_a_minute(
    interval: float, step: str
) -> None:
    meter = Meter(interval=interval)
    meter.shows(counting("900.000"))
    energy, hidden = Decimal(500), 0.0
    while meter.shows(counting(f"{energy:07.3f}")) != energy:
        energy += Decimal(step)
        hidden += interval
        assert hidden <= 60


@pytest.mark.parametrize("wrong", ["00000.000", "09999.999"])
def test_a_wrong_reading_of_gas_is_held_for_as_long_as_the_meter_repeats_it(wrong: str) -> None:
    meter = Meter()
    shown = [
        meter.gas(read, gas)
        for read, gas in (
            ("070000", "02300.123"),
            *[("070500", wrong)] * 300,
            *[("071000", "05555.555")] * 300,
            *[("071500", "02300.155")] * 2,
        )
    ]
    assert shown == [Decimal("2300.123")] * 601 + [Decimal("2300.155")] * 2


@pytest.mark.parametrize("damaged", ["09300.123", "02300.923"])
def test_a_reading_of_gas_that_the_line_damaged_once_is_shown_for_no_longer_than_half_a_minute(
    damaged: str,
) -> None:
    meter = Meter("2.2", 10)
    shown = [meter.gas("070000", gas) for gas in (damaged, *["02300.123"] * 3)]
    assert shown == [Decimal(damaged)] * 3 + [Decimal("2300.123")]


def test_a_gas_meter_that_was_replaced_is_believed_at_its_third_reading() -> None:
    meter = Meter()
    meter.gas("070000", "02300.123")
    # A factory's, which counts further in five minutes than a register is ever corrected by.
    readings = ("00003.000", "00023.000", "00043.000")
    shown = [meter.gas(f"07{5 * n:02}00", gas) for n, gas in enumerate(readings, 1)]
    assert shown == [Decimal("2300.123")] * 2 + [Decimal(43)]


def test_a_gas_meter_of_which_the_first_reading_is_zero_is_unknown_until_it_is_read_again() -> None:
    meter = Meter()
    shown = [meter.gas("070000", "00000.000") for _ in range(100)]
    shown += [meter.gas("070500", "02300.123") for _ in range(2)]
    assert shown == [None] * 100 + [Decimal("2300.123")] * 2


def test_a_new_gas_meter_stands_at_zero_once_it_has_been_read_three_times() -> None:
    meter = Meter()
    shown = [meter.gas(f"07{5 * n:02}00", "00000.000") for n in range(4)]
    assert shown == [None, None, Decimal(0), Decimal(0)]


def test_after_an_outage_a_counter_may_have_counted_on_for_as_long() -> None:
    meter = Meter()
    meter.shows(counting("100.001"))
    meter.interval = 24 * 3600
    assert meter.shows(counting("180.000")) == Decimal("180.000")


def test_totals_are_the_exact_sum_of_the_tariffs_where_the_meter_sends_none() -> None:
    assert Meter().shows(AM550, "1.8.0") == Decimal("4281.573") + Decimal("3916.028")
    with_total = edited(AM550, o0_0_96_13_0="(00)")
    with_total = edited(with_total.replace(b"1-0:1.8.2(", b"1-0:1.8.0(9.9*kWh)\r\n1-0:1.8.2("))
    assert Meter().shows(with_total, "1.8.0") == Decimal("9.9")
    unreadable = edited(AM550, o1_0_1_8_2="()")
    assert Meter().shows(unreadable, "1.8.0") is None


def test_net_power_is_positive_when_it_is_taken_from_the_grid() -> None:
    exporting = edited(
        AM550,
        o1_0_1_7_0="(00.000*kW)",
        o1_0_2_7_0="(01.500*kW)",
        o1_0_41_7_0="(00.250*kW)",
        o1_0_42_7_0="(00.000*kW)",
    )
    assert Meter().shows(exporting, "16.7.0") == Decimal("-1.5")
    assert Meter().shows(exporting, "56.7.0") == Decimal("0.25")


def test_the_demand_of_the_quarter_hour_is_foreseen() -> None:
    telegram = edited(
        telegram_of("fluvius-t211"),
        o0_0_1_0_0="(261112070500W)",
        o1_0_1_4_0="(00.600*kW)",
        o1_0_1_7_0="(03.000*kW)",
    )
    # Ten of fifteen minutes are left at 3 kW.
    assert Meter("5B").shows(telegram, "forecast") == Decimal("2.6")


def test_the_average_peak_counts_no_month_below_the_floor() -> None:
    def months(*peaks: str) -> str:
        rows = "".join(
            f"(26{month:02}01000000W)(26{month:02}01000000W)({peak}*kW)"
            for month, peak in enumerate(peaks, 1)
        )
        return f"({len(peaks)})(1-0:1.6.0)(1-0:1.6.0){rows}"

    t211 = telegram_of("fluvius-t211")
    telegram = edited(
        t211, o1_0_1_6_0="(261112070500W)(01.000*kW)", o0_0_98_1_0=months("04.000", "01.000")
    )
    assert Meter("5B").shows(telegram, "average peak") == Decimal(3)
    # Of twelve earlier months the oldest is not billed any more.
    telegram = edited(
        t211,
        o1_0_1_6_0="(261112070500W)(02.500*kW)",
        o0_0_98_1_0=months("99.000", *["02.500"] * 11),
    )
    assert Meter("5B").shows(telegram, "average peak") == Decimal("2.5")


@pytest.mark.parametrize(
    "old",
    ["(231101000000W)(632525252525W)(00.000*kW)", "(241001000000S)(240913201500S)(09.000*kW)"],
    ids=["before there was the meter", "a year ago"],
)
def test_a_month_that_is_not_billed_any_more_is_in_the_log_and_not_in_the_mean(old: str) -> None:
    recent = "(251001000000S)(250913201500S)(03.000*kW)(251101000000W)(251002194500S)(04.000*kW)"
    telegram = Meter("5B").says(
        edited(
            telegram_of("fluvius-t211"),
            o1_0_1_6_0="(251112070500W)(05.000*kW)",
            o0_0_98_1_0=f"(3)(1-0:1.6.0)(1-0:1.6.0){old}{recent}",
        )
    )
    peaks = telegram.readings[ReadingKey(ELECTRICITY, PEAKS)]
    assert (peaks.value, len(peaks.entries)) == (Decimal(4), 3)
    assert ReadingKey(ELECTRICITY, MONTH_END) not in telegram.readings
    assert telegram.readings[ReadingKey(ELECTRICITY, AVERAGE_PEAK)].value == Decimal(4)


@pytest.mark.parametrize(
    ("now", "average"), [("260619120000S", Decimal(6)), ("260319120000W", Decimal("4.25"))]
)
def test_a_month_without_demand_is_billed_unless_the_meter_was_not_in_use_after_it(
    now: str, average: Decimal
) -> None:
    telegram = edited(
        telegram_of("fluvius-t211"),
        o1_0_1_6_0=f"({now})(06.000*kW)",
        o0_0_98_1_0="(1)(1-0:1.6.0)(1-0:1.6.0)(260301000000W)(260201000000W)(00.000*kW)",
    )
    assert Meter("5B").shows(telegram, AVERAGE_PEAK) == average


class Gas:
    """A gas meter, and the telegrams in which it is read."""

    def __init__(self, version: str = "5") -> None:
        self._meter = Meter(version)
        self._at = 0

    def flows(self, clock: str, read: str, gas: str, day: str = "261112") -> object:
        """Return the flow by a telegram that comes at a moment, with a reading of another."""
        at = int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:])
        self._meter.interval, self._at = at - self._at, at
        readings = self._meter.says(self._sent(day + read, gas)).readings
        return next(reading.value for key, reading in readings.items() if key.obis == FLOW)

    def _sent(self, read: str, gas: str) -> bytes:
        return edited(AM550, o0_1_24_2_1=f"({read}W)({gas}*m3)")


class OldGas(Gas):
    """One behind a meter that sends no time of its own."""

    def __init__(self) -> None:
        super().__init__("2.2")

    @override
    def _sent(self, read: str, gas: str) -> bytes:
        sent = ME382.replace(b"(261014070000)", f"({read})".encode())
        return sent.replace(b"(08321.604)", f"({gas})".encode())


def test_a_register_that_was_wrong_and_is_right_again_has_not_flowed() -> None:
    gas = Gas()
    gas.flows("070001", "070000", "05000.000")
    assert gas.flows("070501", "070500", "05000.100") == Decimal("1.2")
    for second in range(10, 60, 10):
        gas.flows(f"0710{second}", "071000", "00000.000")
    for second in range(10, 60, 10):
        assert gas.flows(f"0715{second}", "071500", "05000.300") == Decimal("1.2")


def test_the_flow_of_a_meter_that_is_read_each_second_is_that_of_a_minute() -> None:
    gas = Gas()
    flows = [
        gas.flows(f"07{time:04}", f"07{time:04}", f"05000.{litres:03}")
        for minute in range(4)
        for second in range(60)
        # A litre each 20 seconds.
        for time, litres in [(100 * minute + second, (60 * minute + second) // 20)]
    ]
    assert flows == [None] * 60 + [Decimal("0.18")] * 180
    # Half a minute later another meter stands there, and is read once in five minutes.
    for minute in ("04", "09", "14"):
        flow = gas.flows(f"07{minute}30", f"07{minute}30", "00000.001")
    assert flow is None
    assert gas.flows("071930", "071930", "00000.002") == Decimal("0.012")


@pytest.mark.parametrize("kind", [Gas, OldGas])
def test_the_flow_of_a_meter_that_is_not_read_any_more_is_unknown_after_an_hour(
    kind: type[Gas],
) -> None:
    gas = kind()
    gas.flows("070001", "070000", "05000.000")
    for minute in range(5, 60):
        assert gas.flows(f"07{minute:02}30", "070500", "05000.100") == Decimal("1.2")
    assert gas.flows("080529", "070500", "05000.100") == Decimal("1.2")
    assert gas.flows("080531", "070500", "05000.100") is None
    assert gas.flows("080532", "070500", "05000.100") is None
    # The clock of the gas meter may be another one, as here an hour behind. It is read again: what
    # flowed since is spread over that time.
    assert gas.flows("100501", "090500", "05000.300") == Decimal("0.1")
    assert gas.flows("101001", "091000", "05000.400") == Decimal("1.2")


def test_a_flow_lasts_for_three_times_as_long_as_its_readings_are_apart() -> None:
    gas = OldGas()
    gas.flows("070030", "070000", "05000.000")
    assert gas.flows("080030", "080000", "05001.500") == Decimal("1.5")
    assert gas.flows("110030", "080000", "05001.500") == Decimal("1.5")
    assert gas.flows("110031", "080000", "05001.500") is None


@pytest.mark.parametrize("kind", [Gas, OldGas])
def test_a_gas_meter_whose_clock_is_a_year_ahead_for_a_day_has_flows_by_that_clock(
    kind: type[Gas],
) -> None:
    gas = kind()
    gas.flows("070001", "070000", "05000.000")
    assert gas.flows("080001", "080000", "05000.500") == Decimal("0.5")
    assert gas.flows("090001", "090000", "05001.000", "271112") is None
    assert gas.flows("100001", "100000", "05001.500", "271112") == Decimal("0.5")
    assert gas.flows("110001", "110000", "05002.000") is None
    assert gas.flows("120001", "120000", "05002.500") == Decimal("0.5")


def test_what_flowed_in_days_without_a_reading_is_no_flow_and_in_one_day_it_is() -> None:
    gas = Gas()
    gas.flows("000501", "000000", "05000.000", "261024")
    # The day on which summer time ends.
    assert gas.flows("250501", "010000", "05002.600", "261025") == Decimal("0.104")
    assert gas.flows("520501", "040000", "05005.300", "261026") is None
    assert gas.flows("530501", "050000", "05005.400", "261026") == Decimal("0.1")


def test_a_gas_meter_that_is_not_in_the_telegrams_any_more_has_no_flow_that_ends() -> None:
    gone = edited(AM550, o0_1_24_1_0="", o0_1_96_1_0="", o0_1_24_2_1="")
    gas, meter = AM550, Meter(interval=300)
    meter.says(gas)
    assert FLOW in {
        key.obis
        for key in meter.says(edited(gas, o0_1_24_2_1="(261112070504W)(03160.437*m3)")).readings
    }
    for _ in range(24):
        said = meter.says(gone)
        assert said.readings.keys() == said.contents.keys
        assert FLOW not in {key.obis for key in said.contents.keys}


def test_an_empty_slot_is_no_meter_and_one_without_identifier_is_known_by_its_channel() -> None:
    body = AM550.decode().rpartition("!")[0]
    slots = (
        "0-2:24.1.0()\r\n0-2:96.1.0()\r\n0-2:24.2.1(0)\r\n"
        "0-3:24.1.0(007)\r\n0-3:96.1.1()\r\n0-3:24.2.1(261112070000W)(00012.300*m3)\r\n"
        "0-4:24.1.0(003)\r\n0-4:96.1.0(4799)\r\n0-4:24.2.1(700101010000W)(00000000)\r\n"
    )
    meter = Meter()
    telegram = meter.says(edited(f"{body}{slots}!0000\r\n".encode()))
    assert [(m.type, m.channel) for m in telegram.contents.meters] == [
        (MBusType.GAS, 1),
        (MBusType.WATER, 3),
    ]
    assert telegram.contents.meters[1].identity == "channel 3"
    assert meter.counters.unreadable_lines == 0


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("48656C6C6F206D722E20536D697468", "Hello mr. Smith"),
        ("3031203631203831", "01 61 81"),
        ("test-/-test", "test-/-test"),
        ("41" * 1024, "A" * 255),
        ("\xff" * 1024, None),
        ("", None),
    ],
)
@pytest.mark.parametrize("reference", ["96.13.0", "96.13.1", "96.13.5"])
def test_a_message_and_its_code_are_text_for_a_person(
    reference: str, message: str, shown: str | None
) -> None:
    body = edited(AM550, o0_0_96_13_0="", o0_0_96_13_1="").rpartition(b"!")[0]
    line = f"0-0:{reference}({message})\r\n!0000\r\n".encode("latin-1")
    assert Meter().shows(edited(body + line), reference) == shown


def test_references_as_the_examples_of_the_standards_write_them_are_read() -> None:
    meter = Meter()
    body = edited(AM550, o1_0_72_32_0="", o1_0_31_7_0="", o1_0_99_97_0="").decode("latin-1")
    lines = (
        "1-0:72:32.0(00007)\r\n1-0:31.7.0.255(001*A)\r\n"
        "1-0:99:97.0(1)(0:96.7.19)(101208152415W)(0000000240*s)\r\n!0000\r\n"
    )
    telegram = edited((body.rpartition("!")[0] + lines).encode())
    assert meter.shows(telegram, "72.32.0") == 7
    assert meter.shows(telegram, "31.7.0") == Decimal(1)
    assert meter.shows(telegram, "99.97.0") == Decimal(240)
    assert meter.counters.unreadable_lines == 0


@pytest.mark.logs("The meter's line '1-0:…' can't be read: it has no OBIS reference")
def test_a_reference_that_never_ends_is_none_and_costs_nothing_else() -> None:
    endless = "1-0:" + 5000 * "9" + ".7.0(00.461*kW)"
    meter = Meter("5")
    telegram = meter.says(edited(AM550.replace(b"1-0:1.8.1", endless.encode() + b"\r\n1-0:1.8.1")))
    assert telegram.contents.keys == Meter("5").says(AM550).contents.keys
    assert [len(line.text) for line in meter.counters.odd_lines.values()] == [LONGEST_ODD]


def test_a_reference_that_was_damaged_once_is_no_line_of_the_meter() -> None:
    me382 = telegram_of("iskra-me382")
    damaged = me382.replace(b"1-0:2.7.0", b"1-0:2.3.0").replace(b"0-1:24.4.0", b"0-1:24.6.0")
    meter = Meter("2.2")
    whole = meter.says(me382).contents.keys
    assert meter.says(damaged).contents.keys < whole
    assert meter.says(me382).contents.keys == whole
    # What comes again is the meter's.
    for _ in range(2):
        keys = meter.says(damaged).contents.keys
    assert {key.obis for key in keys - whole} == {"2.3.0", "24.6.0"}


@pytest.mark.logs("The meter's line '1-0:1.7.0' can't be read: it is not made of values")
def test_a_line_that_ran_into_the_next_one_where_bytes_were_lost_is_unknown() -> None:
    start, end = ME382.index(b"1-0:1.7.0(") + 14, ME382.index(b"1-0:2.7.0(")
    meter = Meter("2.2", interval=10)
    shown = [
        meter.shows(telegram, "1.7.0") for telegram in (ME382, ME382[:start] + ME382[end:], ME382)
    ]
    assert shown == [Decimal("0.47"), None, Decimal("0.47")]
    assert meter.counters.unreadable_lines == 1


@pytest.mark.parametrize(
    ("value", "damaged"),
    [
        pytest.param(b"1.7.0(0000.47", b"1.7.0(000.47", id="a digit lost"),
        pytest.param(b"1.7.0(0000.47", b"1.7.0(000047", id="the point lost"),
        pytest.param(b"1.7.0(0000.47", b"1.7.0(0000.447", id="a digit twice"),
        pytest.param(b"0.47*kW", b"0.47*W", id="another unit"),
    ],
)
def test_a_value_of_which_a_byte_was_lost_or_doubled_is_unknown_for_that_telegram(
    value: bytes, damaged: bytes
) -> None:
    noisy = ME382.replace(value, damaged)
    meter = Meter("2.2", interval=10)
    shown = [
        meter.shows(telegram, "1.7.0") for telegram in (ME382, ME382, noisy, ME382, noisy, ME382)
    ]
    right = Decimal("0.47")
    assert shown == [right, right, None, right, None, right]


def of_q3d(power: str) -> bytes:
    return telegram_of("easymeter-q3d").replace(b"(000650.43", f"({power}".encode())


@pytest.mark.parametrize("power", ["12500.00", "-500.00"])
def test_a_number_that_is_wider_now_and_then_is_hidden_once(power: str) -> None:
    meter = Meter("Q3D", interval=10)
    sent = [500, *[float(power)] * 3, 500, float(power), 501]
    shown = [meter.shows(of_q3d(f"{watts:.2f}"), "1.7.0") for watts in sent]
    assert shown == [
        Decimal(f"{watts:.2f}") / 1000 if i != 1 else None for i, watts in enumerate(sent)
    ]


def test_a_message_of_a_new_length_is_shown_when_it_comes_again() -> None:
    meter = Meter("2.2", interval=10)
    sent = ["", "48656C6C6F", "48656C6C6F", "48656C6C6F", "", "48656C6C6F"]
    shown = [meter.shows(edited(ME382, o0_0_96_13_0=f"({text})"), "96.13.0") for text in sent]
    assert shown == [None, None, "Hello", "Hello", None, "Hello"]


def test_a_gas_meter_whose_identifier_is_longer_than_that_of_the_one_before_is_there() -> None:
    meter = Meter("2.2", interval=10)
    meter.says(ME382)
    replacing = ME382.replace(b"0-1:96.1.0(3238", b"0-1:96.1.0(32383A")
    identifiers = [meter.says(replacing).contents.meters[0].identifier[:6] for _ in range(3)]
    assert identifiers == ["323830", "32383A", "32383A"]


@pytest.mark.parametrize("valve", [b"0-1:24.4.0(1)\r\n", b""], ids=["valve", "no valve"])
def test_a_gas_reading_on_a_line_of_its_own_is_read_where_nothing_else_changes(
    valve: bytes,
) -> None:
    meter = Meter("2.2", interval=10)
    for read in ("08321.604", "08321.605", "08321.606"):
        telegram = ME382.replace(b"0-1:24.4.0(1)\r\n", valve)
        said = meter.says(telegram.replace(b"08321.604", read.encode()))
        (gas,) = said.contents.meters
        assert said.readings[ReadingKey(gas.identity, MBUS_READING)].value == Decimal(read)
    assert meter.counters.odd_lines == {}


def test_a_first_telegram_that_was_damaged_does_not_cost_the_next_one() -> None:
    me382 = telegram_of("iskra-me382")
    meter = Meter("2.2")
    meter.says(b"/ISK5\r\n\r\n1-0:9.9.9(1)\r\n!\r\n")
    assert meter.says(me382).contents.keys == Meter("2.2").says(me382).contents.keys


def test_a_gas_meter_whose_identifier_was_damaged_once_is_no_other_meter() -> None:
    me382 = telegram_of("iskra-me382")
    other = me382.replace(b"(08321.604)", b"(08321.704)")
    damaged = other.replace(b"0-1:96.1.0(32383030", b"0-1:96.1.0(32383130")
    of_water = other.replace(b"0-1:24.1.0(3)", b"0-1:24.1.0(7)")
    meter = Meter("2.2")
    whole = meter.says(me382)
    (gas,) = whole.contents.meters
    for telegram in (damaged, me382, of_water, me382, damaged, of_water, damaged, me382):
        said = meter.says(telegram)
        assert said.contents == whole.contents
        # What may be another meter's is not shown as its.
        assert said.readings[ReadingKey(gas.identity, MBUS_READING)].value == Decimal("8321.604")
    # One that comes again is another meter.
    meter.says(damaged)
    (replacing,) = meter.says(damaged).contents.meters
    assert replacing.identifier == gas.identifier.replace("32383030", "32383130")
    assert meter.says(damaged).readings[ReadingKey(replacing.identity, MBUS_READING)].value


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        pytest.param(b"0-1:24.1.0(3)\r\n", b"", id="missing"),
        pytest.param(b"24.1.0(3)", b"24.1.0(9)", id="another type"),
        pytest.param(b"24.1.0(3)", b"24.1.0(3", marks=UNREADABLE, id="unreadable"),
        pytest.param(
            b"24.1.0(3)\r\n0-1:96.1.0(", b"24.1.0(96.1.0(", marks=UNREADABLE, id="no line end"
        ),
    ],
)
def test_a_gas_meter_whose_type_was_damaged_once_is_a_gas_meter(
    line: bytes, damaged: bytes
) -> None:
    noisy = ME382.replace(line, damaged)
    meter = Meter("2.2", interval=10)
    whole = meter.says(ME382)
    (gas,) = whole.contents.meters
    for telegram in (noisy, ME382, noisy, ME382):
        said = meter.says(telegram)
        assert said.contents.meters == (gas,)
        assert said.contents.keys <= whole.contents.keys
        assert said.readings[ReadingKey(gas.identity, MBUS_READING)].value == Decimal("8321.604")


def test_a_gas_meter_that_was_taken_away_is_gone_in_the_second_telegram() -> None:
    empty = ME382.replace(b"0-1:24.1.0(3)", b"0-1:24.1.0()")
    other = ME382.replace(b"0-1:24.1.0(3)", b"0-1:24.1.0(8)")
    meter = Meter("2.2", interval=10)
    assert len(meter.says(ME382).contents.meters) == 1
    for telegram in (empty, other):
        assert [len(meter.says(telegram).contents.meters) for _ in range(3)] == [1, 0, 0]
        # One that was there before is there at once.
        assert len(meter.says(ME382).contents.meters) == 1


def test_a_telegram_that_is_mostly_damaged_teaches_nothing() -> None:
    sent = telegram_of("easymeter-q3d")
    noisy = re.sub(rb"\.(\d+\*k?W)", rb"\1", sent).replace(b"(1", b"(11")
    one = sent.replace(b"650.43", b"65043")
    meter = Meter("Q3D")
    for _ in range(3):
        assert meter.shows(sent, "1.7.0") == Decimal("0.65043")
    # It may be another meter, and counts; but what is damaged like it is not believed later.
    assert meter.shows(noisy, "1.7.0") == Decimal("65.043")
    assert meter.shows(sent, "1.7.0") == Decimal("0.65043")
    assert meter.shows(one, "1.7.0") is None
    # Another meter comes again.
    for telegram in (noisy, noisy, sent, noisy, one):
        shown = meter.shows(telegram, "1.7.0")
    assert shown == Decimal("65.043")


def test_one_damaged_telegram_makes_no_meter_of_a_dead_channel() -> None:
    body = ME382.decode("latin-1").rpartition("!")[0]
    lines = (
        "0-2:24.1.0(3)\r\n0-2:96.1.0(4B)\r\n"
        "0-2:24.3.0(000101000000)(00)(60)(1)(0-2:24.2.1)(m3)\r\n(00000000)\r\n"
    )
    sent, damaged = (
        f"{body}{lines}!\r\n".replace("(00000000)", reading).encode("latin-1")
        for reading in ("(00000000)", "(00100000)")
    )
    meter = Meter("2.2", interval=10)
    meters = [len(meter.says(t).contents.meters) for t in (sent, sent, damaged, sent, sent)]
    assert meters == [1, 1, 1, 1, 1]
    # What is read again was read.
    assert [len(meter.says(damaged).contents.meters) for _ in range(2)] == [1, 2]


@pytest.mark.logs("The meter's line '0-1:24.3.0' can't be read")
def test_a_gas_meter_stands_though_its_identifier_and_its_reading_are_damaged_at_once() -> None:
    meter = Meter("2.2", interval=10)
    [gas] = meter.says(ME382).contents.meters
    damaged = ME382.replace(b"(4730", b"(4731").replace(b"m3)\r\n(0", b"m3)\r\n(x")
    assert damaged.count(b"(x") == 1
    for telegram in (ME382, damaged, damaged.replace(b"(x", b"(0"), ME382):
        assert meter.says(telegram).contents.meters == (gas,)


@pytest.mark.parametrize(("heat_type", "cold_type"), [(4, 10), (12, 11), (4, 13)])
def test_one_device_that_measures_heat_and_cold_is_two_meters_wherever_they_are(
    heat_type: int, cold_type: int
) -> None:
    cold_meter = f"4B32 {cold_type}"
    body = AM550.decode().rpartition("!")[0]

    def device(heat: int, cold: int) -> bytes:
        return edited(
            (
                f"{body}0-{heat}:24.1.0({heat_type:03})\r\n0-{heat}:96.1.0(4B32)\r\n"
                f"0-{heat}:24.2.1(261112070000W)(00012.300*GJ)\r\n"
                f"0-{cold}:24.1.0({cold_type:03})\r\n0-{cold}:96.1.0(4B32)\r\n"
                f"0-{cold}:24.2.1(261112070000W)(00003.400*GJ)\r\n!0000\r\n"
            ).encode()
        )

    for telegram in map(Meter().says, (device(2, 3), device(3, 2))):
        read = {
            meter.identity: telegram.readings[ReadingKey(meter.identity, "24.2.1")].value
            for meter in telegram.contents.meters[1:]
        }
        assert read == {"4B32": Decimal("12.300"), cold_meter: Decimal("3.400")}
    # After a start the heat may not have been read yet; cold is not heat therefore.
    unread = edited(device(2, 3), o0_2_24_2_1="(632525252525W)(00000.000)")
    meters = Meter().says(unread).contents.meters
    assert [meter.identity for meter in meters[1:]] == [cold_meter]
    # Nor is it while the channel of the heat is missing.
    meter = Meter()
    both = edited(device(2, 3))
    alone = edited(both, o0_2_24_1_0="", o0_2_96_1_0="", o0_2_24_2_1="")
    shown = [
        [behind.identity for behind in meter.says(telegram).contents.meters[1:]]
        for telegram in (both, alone, alone, both)
    ]
    assert shown == [["4B32", cold_meter], [cold_meter], [cold_meter], ["4B32", cold_meter]]
    # An empty slot has no meter, whatever it says.
    empty = Meter().says(edited(device(2, 3), o0_2_24_1_0="()")).contents.meters
    assert [meter.identity for meter in empty[1:]] == ["4B32"]


def test_whose_an_identifier_is_is_known_from_the_start_where_it_was_known_before() -> None:
    cold = edited(AM550, o0_1_24_1_0="(011)", o0_1_24_2_1="(261112070000W)(00003.400*GJ)")
    gas = "4730303839303031323334353030303233"
    for owners, expected in ({}, gas), ({gas: MBusType.HEAT}, f"{gas} 11"):
        decoder = Decoder(VERSIONS["5"], UTC, Counters(), owners)
        for reader in (decoder, decoder.of(VERSIONS["4"])):
            [meter] = reader.decode(cold, 0).contents.meters
            assert meter.identity == expected


def test_four_meters_with_one_identifier_are_four() -> None:
    body = AM550.decode().rpartition("!")[0]
    rows = "".join(
        f"0-{n}:24.1.0(003)\r\n0-{n}:96.1.0(4B)\r\n0-{n}:24.2.1(261112070000W)(0000{n}.000*m3)\r\n"
        for n in (2, 3, 4)
    )
    telegram = Meter().says(edited(f"{body}{rows}!0000\r\n".encode()))
    readings = [
        telegram.readings[ReadingKey(m.identity, "24.2.1")] for m in telegram.contents.meters
    ]
    assert [reading.value for reading in readings[1:]] == [Decimal(2), Decimal(3), Decimal(4)]


def test_what_a_meter_of_a_type_without_rows_says_is_not_lost() -> None:
    body = AM550.decode().rpartition("!")[0]
    rows = "0-2:24.1.0(008)\r\n0-2:96.1.0(4B)\r\n0-2:24.2.1(261112070000W)(00012.000)\r\n"
    telegram = Meter().says(edited(f"{body}{rows}!0000\r\n".encode()))
    assert telegram.readings[ReadingKey(ELECTRICITY, "2:24.2.1")].value == Decimal(12)
    assert len(telegram.contents.meters) == 1


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        pytest.param(b"1.8.1(06274.", b"1.8.1(06274;", marks=UNREADABLE, id="value"),
        pytest.param(b":1.8.1(", b":1x8.1(", marks=UNREADABLE, id="no reference"),
        pytest.param(b":1.8.1(", b":1.8.9(", id="another reference"),
    ],
)
def test_a_total_of_which_a_tariff_is_damaged_is_unknown_and_not_too_small(
    line: bytes, damaged: bytes
) -> None:
    noisy = ME382.replace(line, damaged)
    all_of_it = Decimal("13380.280")
    meter = Meter("2.2", interval=10)
    sent = [ME382, ME382, noisy, noisy, ME382, ME382]
    shown = [meter.shows(telegram, "1.8.0") for telegram in sent]
    assert shown == [all_of_it, all_of_it, None, None, all_of_it, all_of_it]
    # And so it is in the first telegram after a start. A line that was not there is doubted once.
    meter = Meter("2.2", interval=10)
    shown = [meter.shows(telegram, "1.8.0") for telegram in (noisy, ME382, ME382)]
    assert shown == [None, None, all_of_it]


@pytest.mark.logs("The meter's line '1-0:1.8.1' can't be read")
def test_a_total_is_unknown_where_the_meter_itself_writes_nonsense() -> None:
    meter = Meter()
    for _ in range(5):
        assert meter.shows(edited(AM550, o1_0_1_8_1="(?*kWh)"), "1.8.0") is None
    assert meter.shows(AM550, "1.8.0") == Decimal("8197.601")


@pytest.mark.logs("The meter's line '1-0:1.(8.0|7.0)' can't be read")
def test_a_line_of_nonsense_hides_nothing_that_is_known_without_it() -> None:
    meter = Meter()
    nonsense = b"1-0:1.8.0(---*kWh)\r\n1-0:1.7.0(---*kW)\r\n1-0:1.8.1("
    sent = edited(AM550.replace(b"1-0:1.8.1(", nonsense))
    for _ in range(3):
        telegram = meter.says(sent).readings
        assert telegram[ReadingKey(ELECTRICITY, "1.8.0")].value == Decimal("8197.601")
        assert telegram[ReadingKey(ELECTRICITY, "1.7.0")].value == Decimal("0.461")


def test_a_total_of_a_meter_that_has_never_exported_is_shown_at_once() -> None:
    lines = [line for line in ME382.splitlines(keepends=True) if b":2.8." not in line]
    assert Meter("2.2").shows(b"".join(lines), "1.8.0") == Decimal("13380.280")


def test_a_total_is_that_of_the_tariffs_that_a_meter_goes_on_sending() -> None:
    def without(*lines: bytes) -> bytes:
        sent = ME382.splitlines(keepends=True)
        return b"".join(line for line in sent if not line.startswith(lines))

    gas = (b"0-1:", b"(")
    meter = Meter("2.2", interval=10)
    meter.says(without(*gas))
    shown = [meter.shows(without(*gas, b"1-0:1.8.1"), "1.8.0") for _ in range(5)]
    assert shown == [None, None, *[Decimal("7105.962")] * 3]


@pytest.mark.logs("The meter's line '1-0:99.97.0' can't be read: it has 2002 values")
def test_a_log_that_no_meter_keeps_is_none() -> None:
    log = "(1000)(0-0:96.7.19)" + "(250206143009W)(0000003377*s)" * 1000
    telegram = Meter().says(edited(AM550, o1_0_99_97_0=log))
    assert ReadingKey(ELECTRICITY, "99.97.0") not in telegram.readings
    assert ReadingKey(ELECTRICITY, "1.7.0") in telegram.readings


@pytest.mark.logs("The meter's line '1-0:32.7.0' can't be read: 'x0' is no number")
def test_a_line_that_cannot_be_read_is_logged_once_and_counted_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    meter = Meter()
    for volts in range(5):
        telegram = meter.says(edited(AM550, o1_0_32_7_0=f"(x{volts}*V)"))
        assert ReadingKey(ELECTRICITY, "32.7.0") not in telegram.readings
    assert meter.counters.unreadable_lines == 5
    assert caplog.text.count("can't be read") == 1


@pytest.mark.logs("The meter's line '1-0:32.7.0' can't be read")
@pytest.mark.logs("The meter's line 'noise' can't be read")
def test_each_line_that_cannot_be_read_or_is_not_known_is_counted_by_itself() -> None:
    meter = Meter()
    body = AM550.decode().rpartition("!")[0]
    for volts in range(3):
        text = f"{body}1-0:142.7.0(00.{volts}*kW)\r\nnoise\r\n!0000\r\n"
        meter.says(edited(text.encode(), o1_0_32_7_0=f"(x{volts}*V)"))
        # Also where nothing changed but the power.
        odd = edited(text.encode(), o1_0_32_7_0=f"(x{volts}*V)", o1_0_1_7_0="(00.462*kW)")
        meter.says(odd)
        meter.says(AM550)
    assert meter.counters.odd_lines == {
        "1-0:32.7.0": OddLine("1-0:32.7.0(x2*V)", "'x2' is no number", 6),
        "1-0:142.7.0": OddLine("1-0:142.7.0(00.2*kW)", "", 6),
        "": OddLine("noise", "it has no OBIS reference", 6),
    }
