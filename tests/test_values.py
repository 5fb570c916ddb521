"""What a line says: every form and oddity that meters in the field are known to send."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from custom_components.dsmr.lines import LineReader
from custom_components.dsmr.models import Counters, Entry, Reading
from custom_components.dsmr.values import LineError, read_text, read_timestamp
from custom_components.dsmr.versions import OTHERS, VERSIONS, Version

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
STOCKHOLM = ZoneInfo("Europe/Stockholm")
DUBLIN = ZoneInfo("Europe/Dublin")
VILNIUS = ZoneInfo("Europe/Vilnius")


def said(line: str, zone: ZoneInfo = AMSTERDAM, version: Version = OTHERS) -> Reading:
    """Read a line as the decoder does."""
    read = LineReader(version, zone, Counters()).read(line.encode("latin-1"))
    if read.error:
        raise LineError(read.error)
    return read.reading


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("line", "value", "unit"),
    [
        ("1-0:1.7.0(0000.98*kW)", "0.98", "kW"),
        ("1-0:1.7.0*255(001688.21*W)", "1.68821", "kW"),
        ("1-0:1.8.0(00123456*Wh)", "123.456", "kWh"),
        ("1-0:1.8.0(00000.123*MWh)", "123", "kWh"),
        ("1-0:1.7.0(00.005*MW)", "5", "kW"),
        ("0-1:24.2.1(12345678*kJ)", "12.345678", "GJ"),
        ("1-0:3.7.0(0000.218*kvar)", "0.218", "kvar"),
        ("1-0:3.7.0(0000218.000*VAr)", "0.218", "kvar"),
        ("1-0:3.8.0(00001500*varh)", "1.5", "kvarh"),
        ("1-0:32.7.0(0000.230*kV)", "230", "V"),
        ("1-0:31.7.0(0000.003*kA)", "3", "A"),
        ("1-0:14.7.0(0.05*kHz)", "50", "Hz"),
        ("0-0:17.0.0(24000*W)", "24", "kW"),
        ("0-0:17.0.0(999*A)", "999", "A"),
        ("0-0:17.0.0(27.600*kVA)", "27.6", "kVA"),
        ("1-0:13.7.0(-1.000)", "-1", None),
        ("1-0:1.8.1(000123.456*kWh )", "123.456", "kWh"),
        ("1-0:1.8.1( 000123.456 * kWh)", "123.456", "kWh"),
    ],
)
def test_a_number_is_read_in_the_one_unit_for_its_quantity(
    line: str, value: str, unit: str | None
) -> None:
    assert said(line) == Reading(Decimal(value), unit)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("0-0:96.14.0(0002)", "0002"),
        ("0-0:96.14.0(TARIFF 1)", "TARIFF 1"),
        ("0-0:96.7.21(00008)", 8),
        ("0-0:96.13.0()", None),
        ("1-0:1.7.0()", None),
    ],
)
def test_a_text_or_a_count_is_read_as_the_specification_says(
    line: str, value: str | int | None
) -> None:
    assert said(line) == Reading(value)


def test_a_hungarian_switch_is_written_out() -> None:
    assert said("0-0:96.3.10(ON)", version=VERSIONS["5EONHU"]) == Reading("ON")


@pytest.mark.parametrize("unit", ["m3", "m\xb3", "m\xb0", "M3"])
def test_cubic_metres_are_written_in_many_ways(unit: str) -> None:
    reading = said(f"0-1:24.2.1(230101120000W)(00012.345*{unit})")
    assert reading == Reading(Decimal("12.345"), "m³", utc(2023, 1, 1, 11))


def test_the_unit_of_a_reading_before_dsmr_4_is_a_group_of_its_own() -> None:
    line = "0-1:24.3.0(120823060000)(00)(60)(1)(0-1:24.2.1)(m3)(00218.626)"
    assert said(line) == Reading(Decimal("218.626"), "m³", utc(2012, 8, 23, 4))


@pytest.mark.parametrize(
    "line",
    [
        "0-1:24.2.1(700101010000W)(00000000)",
        "0-1:24.2.1(000101010000W)(00000.000*m3)",
        "0-1:24.2.1(632525252525S)(00000.000)",
        "0-1:24.3.0(130415050000)(00)(60)(1)(0-1:24.2.1)()(00000000)",
        "0-1:24.2.1(0)",
        "0-1:24.2.1()()",
    ],
)
def test_a_meter_that_was_never_read_has_no_reading(line: str) -> None:
    assert said(line).value is None


def test_a_reading_with_a_clock_that_was_never_set_is_a_reading() -> None:
    assert said("0-1:24.2.1(000101010000W)(00012.345*m3)").value == Decimal("12.345")


def test_the_peak_of_the_month_has_its_moment_first_or_last() -> None:
    expected = Reading(Decimal("8.796"), "kW", utc(2026, 1, 2, 0))
    assert said("1-0:1.6.0(260102010000W)(08.796*kW)") == expected
    assert said("1-0:1.6.0(08.796*kW)(260102010000)") == expected


def test_the_peaks_of_thirteen_months_are_kept_oldest_first() -> None:
    reading = said(
        "0-0:98.1.0(2)(1-0:1.6.0)(1-0:1.6.0)"
        "(230201000000W)(230117224500W)(04.329*kW)"
        "(230101000000W)(221205181500W)(05.100*kW)"
    )
    assert [(entry.value, entry.occurred) for entry in reading.entries] == [
        (Decimal("5.100"), utc(2022, 12, 5, 17, 15)),
        (Decimal("4.329"), utc(2023, 1, 17, 21, 45)),
    ]
    assert reading.value == Decimal("4.329")


@pytest.mark.parametrize(
    "line",
    ["0-0:98.1.0()", "0-0:98.1.0(12)", "0-0:98.1.0(0)(1-0:1.6.0)(1-0:1.6.0)()", "1-0:99.97.0()"],
)
def test_a_list_may_be_empty_or_short(line: str) -> None:
    reading = said(line)
    assert reading.value is None
    assert reading.entries == ()


def test_hungarian_registers_at_the_end_of_a_month_are_kept() -> None:
    reading = said("0-0:98.1.0(230701000000S)(000040.777*kWh)(01.500*kW)")
    assert reading.time == utc(2023, 6, 30, 22)
    assert reading.entries == (
        Entry(reading.time, Decimal("40.777"), "kWh"),
        Entry(reading.time, Decimal("1.500"), "kW"),
    )


@pytest.mark.parametrize("event", ["0-0:96.7.19", "0-0:96.7.9", ""])
def test_the_power_failure_log_tells_when_and_how_long(event: str) -> None:
    reading = said(
        f"1-0:99.97.0(3)({event})(170117065912W)(0000009606*s)"
        "(000101000001W)(2147483647*s)(160101120000W)(0000000300*s)"
    )
    assert reading.value == Decimal(9606)
    assert reading.time == utc(2017, 1, 17, 5, 59, 12)
    assert [entry.value for entry in reading.entries] == [Decimal(300), Decimal(9606)]


@pytest.mark.parametrize("line", ["1-1:31.4.0(040*A)(-040*A)", "1-1:31.4.0(040.0*A,-040.0*A)"])
def test_a_second_threshold_stands_beside_the_first(line: str) -> None:
    reading = said(line)
    assert (reading.value, reading.unit) == (Decimal(40), "A")
    assert reading.entries == (Entry(None, Decimal(-40), "A"),)


@pytest.mark.parametrize(
    ("line", "value", "unit"),
    [
        ("1-0:142.7.0(00.123*kW)", Decimal("0.123"), "kW"),
        ("0-0:142.1.0(ABC)", "ABC", None),
        ("0-0:142.1.0(414243444546)", "ABCDEF", None),
        ("0-0:142.1.0(4A4B)", "JK", None),
        ("0-0:142.1.0(0012)", "0012", None),
        ("0-0:142.1.0()", None, None),
    ],
)
def test_a_line_that_nobody_knows_is_read_by_what_it_looks_like(
    line: str, value: Decimal | str | None, unit: str | None
) -> None:
    assert said(line) == Reading(value, unit)


@pytest.mark.logs("The meter's line .* can't be read")
@pytest.mark.parametrize(
    "line",
    ["1-0:1.8.1(abc*kWh)", "1-0:1.8.1(NaN)", "1-0:1.8.1(1E999)", "1-0:1.8.1", "0-0:96.7.9(x)"],
)
def test_what_is_no_number_is_an_error_of_that_line(line: str) -> None:
    with pytest.raises(LineError):
        said(line)


@pytest.mark.logs("The meter's line .* can't be read")
@pytest.mark.parametrize(
    "line",
    [
        "1-0:1.7.0(0000.1-0:2.7.0(0001.50*kW)",
        "1-0:1.8.1(004281.573*1-0:1.8.2(003916.028*kWh)",
        "0-1:24.3.0(120823060000)(00)(60)(1)(0-1:24.2.1)(m31-0:1.8.1(00218.626)",
        "1-0:99.97.0(1)(0-0:96.7.19)(170117065912W1-0:32.32.0(00003)",
        "1-0:1.7.0(0000.50*kW)0)",
        "1-0:1.7.0(0000.50*kW))",
        "1-0:1.7.0(0000.50*kW",
        "0-0:142.1.0(12(34))",
        "1-0:1.7.0(" + "(" * 1_000_000,
        "1-0:1.7.0(1) (" + ") (" * 300_000,
        "1-0:1.7.0(1)" + " " * 1_000_000 + "x",
    ],
    ids=range(11),
)
def test_a_line_that_ran_into_the_next_one_does_not_show_what_that_says(line: str) -> None:
    with pytest.raises(LineError, match="not made of values in parentheses"):
        said(line)


def test_a_message_is_decoded_for_a_person() -> None:
    assert read_text("48656C6C6F") == "Hello"
    assert read_text("test-/-test") == "test-/-test"
    assert read_text("\xff" * 1024) is None
    assert read_text("\x1b[31mred") == "[31mred"
    assert read_text("41" * 1000) == "A" * 255


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("260714120000S", AMSTERDAM, utc(2026, 7, 14, 10)),
        ("260114120000W", AMSTERDAM, utc(2026, 1, 14, 11)),
        ("260714120000", AMSTERDAM, utc(2026, 7, 14, 10)),
        # The hour that is there twice.
        ("261025023000S", AMSTERDAM, utc(2026, 10, 25, 0, 30)),
        ("261025023000W", AMSTERDAM, utc(2026, 10, 25, 1, 30)),
        # A Swedish meter never changes its clock.
        ("210729140950W", STOCKHOLM, utc(2021, 7, 29, 13, 9, 50)),
        ("240214101855W", VILNIUS, utc(2024, 2, 14, 8, 18, 55)),
        # In Ireland summer time is the legal one, and in winter it is an hour less.
        ("240114120000W", DUBLIN, utc(2024, 1, 14, 12)),
        ("240714120000S", DUBLIN, utc(2024, 7, 14, 11)),
        ("240714120000W", DUBLIN, utc(2024, 7, 14, 12)),
        # A COSEM date-time: 120 minutes before UTC, and one that does not say how many.
        ("07E8061C050A2B2B00FF8880", AMSTERDAM, utc(2024, 6, 28, 8, 43, 43)),
        ("07E8061C050A2B2B00800080", AMSTERDAM, utc(2024, 6, 28, 8, 43, 43)),
        ("632525252525W", AMSTERDAM, None),
        ("700101010000W", AMSTERDAM, None),
        ("000101010000W", AMSTERDAM, None),
        ("260230120000W", AMSTERDAM, None),
        ("", AMSTERDAM, None),
        ("noon", AMSTERDAM, None),
        ("FFFFFFFFFFFFFFFFFF800080", AMSTERDAM, None),
    ],
)
def test_a_timestamp_is_the_meters_clock(
    text: str, zone: ZoneInfo, moment: datetime | None
) -> None:
    assert read_timestamp(text, zone) == moment
