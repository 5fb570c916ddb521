"""What meters are known to send that other readers lose, misread or stumble over."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from homeassistant.core import HomeAssistant
import pytest

from custom_components.dsmr.descriptions import DIAGNOSTIC_LINES, SENSORS
from custom_components.dsmr.detection import recognise
from custom_components.dsmr.framing import Framer
from custom_components.dsmr.models import ELECTRICITY, Counters, MBusType, Reading, ReadingKey
from custom_components.dsmr.obis import MBUS_READING
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import OTHERS, VERSIONS

from .meter import MODELS
from .parts import Gateway, edited, set_up, state_of, telegram_of
from .test_telegram import Meter

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
AM550 = telegram_of("iskra-am550")
KAIFA = telegram_of("kaifa-e0026-v42")
HUNGARY = telegram_of("sagemcom-hungary")
IE5 = telegram_of("iskra-ie5")

# By version: lines that dsmr_parser's specification of it does not have, or does not read.
LOST: Final = {
    "4": """
        0-0:17.0.0(016.1*kW)
        0-0:96.3.10(1)
        1-0:32.7.0(231.5*V)
        1-0:52.7.0(232.5*V)
        1-0:72.7.0(233.5*V)
    """,
    "5": """
        0-0:1.1.0(230227190235W)
        0-0:96.13.1(3031203631203831)
        1-0:0.2.0(02.21)
        1-1:0.2.0(01.97)
        1-0:0.8.2(00900*s)
        1-0:1.4.0(00000000.586*kW)
        1-0:1.5.0(00000000.678*kW)
        1-0:1.8.3(000009.963*kWh)
        1-0:1.8.4(000035.332*kWh)
        1-0:1.24.0(00000000.090*kW)
        1-0:2.4.0(00000000.010*kW)
        1-0:2.5.0(00000000.020*kW)
        1-0:2.8.0(000007.296*kWh)
        1-0:2.8.3(00000000.100*kWh)
        1-0:2.8.4(00000000.200*kWh)
        1-0:3.4.0(00000000.030*kvar)
        1-0:3.5.0(00000000.005*kvar)
        1-0:3.7.0(00.010*kvar)
        1-0:3.8.0(000014.422*kvarh)
        1-0:3.8.1(00000069.426*kvarh)
        1-0:3.8.2(00000066.520*kvarh)
        1-0:3.8.3(00000000.300*kvarh)
        1-0:3.8.4(00000000.400*kvarh)
        1-0:4.4.0(00000000.235*kvar)
        1-0:4.5.0(00000000.335*kvar)
        1-0:4.7.0(00.010*kvar)
        1-0:4.8.0(000000.002*kvarh)
        1-0:4.8.1(00000655.658*kvarh)
        1-0:4.8.2(00000802.148*kvarh)
        1-0:4.8.3(00000000.300*kvarh)
        1-0:4.8.4(00000000.400*kvarh)
        1-0:9.4.0(00000000.696*kVA)
        1-0:9.5.0(00000000.909*kVA)
        1-0:9.7.0(00000000.890*kVA)
        1-0:10.4.0(00000000.010*kVA)
        1-0:10.5.0(00000000.020*kVA)
        1-0:10.7.0(00000000.030*kVA)
        1-0:11.7.0(0000.003*kA)
        1-0:12.7.0(0000.230*kV)
        1-0:13.3.0(00001)
        1-0:13.7.0(-1.000)
        1-0:14.7.0(49.0*Hz)
        1-0:15.7.0(00000000.742*kW)
        1-0:15.24.0(00000000.733*kW)
        1-0:16.24.0(-00000000.008*kW)
        1-0:23.7.0(00.010*kvar)
        1-0:24.7.0(00.020*kvar)
        1-0:29.7.0(00000000.024*kVA)
        1-0:30.7.0(00000000.025*kVA)
        1-0:31.4.0(0000.025*kA)
        1-0:32.24.0(0000.229*kV)
        1-0:32.33.0(04880*s)
        1-0:32.34.0(00012*V)
        1-0:32.37.0(00013*s)
        1-0:32.38.0(00014*V)
        1-0:33.7.0(-0.910)
        1-0:43.7.0(00.010*kvar)
        1-0:44.7.0(00.020*kvar)
        1-0:49.7.0(00000000.166*kVA)
        1-0:50.7.0(00000000.167*kVA)
        1-0:51.4.0(0000.025*kA)
        1-0:52.24.0(0000.226*kV)
        1-0:52.33.0(04880*s)
        1-0:52.34.0(00012*V)
        1-0:52.37.0(00013*s)
        1-0:52.38.0(00014*V)
        1-0:53.7.0(1.000)
        1-0:63.7.0(00.010*kvar)
        1-0:64.7.0(00.020*kvar)
        1-0:69.7.0(00000000.168*kVA)
        1-0:70.7.0(00000000.169*kVA)
        1-0:71.4.0(0000.025*kA)
        1-0:72.24.0(0000.227*kV)
        1-0:72.33.0(04880*s)
        1-0:72.34.0(00012*V)
        1-0:72.37.0(00013*s)
        1-0:72.38.0(00014*V)
        1-0:73.7.0(1.000)
        1-0:90.7.0(0000.003*kA)
        1-0:91.7.0(0000.004*kA)
        1-0:94.32.1(400*V)
        0-0:0.0.0(123412341234)
        0-0:96.1.2(353431343438)
        0-0:96.1.4(12345)
        1-1:1.6.0(250315014500W)(15.206*kW)
    """,
    "5S": """
        1-0:0.4.2(995)
        1-0:0.4.3(000.01)
        1-0:3.7.0(0000.218*VAr)
        1-0:4.7.0(0000.219*VAr)
    """,
    "5L": """
        0-0:17.0.0(27.600*kVA)
        0-0:96.3.10(1)
        0-0:96.13.2(4142)
        0-0:96.13.3(4344)
        0-0:96.13.4(4546)
        0-0:96.13.5(4748)
        1-0:3.7.0(00.010*kvar)
        1-0:3.8.0(000120.721*kvarh)
        1-0:4.7.0(00.020*kvar)
        1-0:4.8.0(000697.336*kvarh)
        1-0:9.7.0(00.010*kVA)
        1-0:10.7.0(00.913*kVA)
        1-0:23.7.0(00.010*kvar)
        1-0:64.7.0(00.041*kvar)
        1-1:31.4.0(040*A)(-040*A)
    """,
    "5EONHU": """
        0-0:96.50.68(ON)
        1-0:4.8.1(000000.100*kvarh)
    """,
    "ISKRA_IE": """
        0-0:42.0.0(ISK1030792957277)
        0-0:96.7.9(00002)
        0-0:96.7.21(00008)
        1-0:0.0.0(00000001)
        1-0:32.32.0(00001)
        1-0:32.36.0(00002)
        1-0:52.32.0(00003)
        1-0:52.36.0(00004)
        1-0:72.32.0(00005)
        1-0:72.36.0(00006)
    """,
}  # fmt: skip


def with_lines(telegram: bytes, *lines: str) -> bytes:
    """Return a telegram in which some lines stand first, in the place of those like them."""
    references = {line.partition("(")[0] for line in lines}
    header, blank, *rest = telegram.rpartition(b"!")[0].decode("latin-1").split("\r\n")
    kept = [line for line in rest if line.partition("(")[0] not in references]
    checksum = "" if telegram.endswith(b"!\r\n") else "0000"
    text = "\r\n".join([header, blank, *lines, *kept])
    return edited(f"{text}!{checksum}\r\n".encode("latin-1"))


def shown(version: str, telegram: bytes, obis: str, zone: ZoneInfo = AMSTERDAM) -> Reading:
    """Return what one telegram says of the electricity meter."""
    (frame,) = Framer().feed(telegram)
    readings = Decoder(VERSIONS[version], zone, Counters()).decode(frame, 0).readings
    return readings[ReadingKey(ELECTRICITY, obis)]


def model_of(version: str) -> bytes:
    """Return the telegram of a meter of a version."""
    return telegram_of(next(model for model in MODELS if MODELS[model].version == version))


@pytest.mark.parametrize(
    ("version", "line"),
    [
        pytest.param(version, line.strip(), id=f"{version} {line.strip().partition('(')[0]}")
        for version, lines in LOST.items()
        for line in lines.strip().splitlines()
    ],
)
def test_a_line_that_the_specification_of_the_version_lacks_is_shown(
    version: str, line: str
) -> None:
    obis = line.partition("(")[0].partition(":")[2]
    meter = Meter(version)
    reading = meter.says(with_lines(model_of(version), line)).readings[ReadingKey("", obis)]
    assert reading.value is not None
    assert obis in {row.obis for row in SENSORS} | DIAGNOSTIC_LINES
    assert meter.counters.unreadable_lines == 0


def test_a_message_of_1024_bytes_0xff_costs_nothing_but_itself() -> None:
    meter = Meter("5EONHU")
    telegram = meter.says(with_lines(HUNGARY, f"0-0:96.13.0({'\xff' * 1024})"))
    assert telegram.readings[ReadingKey(ELECTRICITY, "96.13.0")].value is None
    assert len(telegram.readings) == len(Meter("5EONHU").says(HUNGARY).readings)
    assert meter.counters.unreadable_lines == 0


@pytest.mark.parametrize(
    ("version", "zone", "stamp", "moment"),
    [
        # Swedish meters never change their clocks, and say W in July.
        ("5S", "Europe/Stockholm", "210729140950W", datetime(2021, 7, 29, 13, 9, 50, tzinfo=UTC)),
        ("5", "Europe/Vilnius", "240214101855W", datetime(2024, 2, 14, 8, 18, 55, tzinfo=UTC)),
        ("5", "Europe/Amsterdam", "240714101855S", datetime(2024, 7, 14, 8, 18, 55, tzinfo=UTC)),
    ],
)
def test_the_clock_of_a_meter_is_in_its_own_time_zone(
    version: str, zone: str, stamp: str, moment: datetime
) -> None:
    telegram = with_lines(model_of(version), f"0-0:1.0.0({stamp})")
    assert shown(version, telegram, "1.0.0", ZoneInfo(zone)).value == moment


def test_a_thousand_power_failure_logs_leave_nothing_behind() -> None:
    rows = "".join(f"(2601{day:02}120000W)(0000000{day:03}*s)" for day in range(10, 20))
    parser = VERSIONS["5"].electricity["99.97.0"]
    formats = len(parser.value_formats)
    meter = Meter("5")
    for second in range(1000):
        log = f"1-0:99.97.0(10)(0-0:96.7.19){rows}"
        telegram = meter.says(with_lines(AM550, log, f"0-0:96.7.21({second:05})"))
    assert len(telegram.readings[ReadingKey(ELECTRICITY, "99.97.0")].entries) == 10
    assert len(parser.value_formats) == formats


def test_a_slash_in_a_message_begins_no_telegram() -> None:
    telegram = with_lines(AM550, "0-0:96.13.0(test-/-test)")
    assert Meter().shows(telegram, "96.13.0") == "test-/-test"
    assert Meter().shows(telegram, "1.8.1") == Decimal("4281.573")


def test_a_slash_in_the_header_does_not_cost_the_meter() -> None:
    holley = HUNGARY.replace(HUNGARY.split(b"\r\n")[0], b"/HLY5/D545-METER")
    telegram = Meter("5EONHU").says(edited(holley))
    assert telegram.header == "HLY5/D545-METER"
    assert ReadingKey(ELECTRICITY, "5.8.0") in telegram.readings


def test_a_checksum_in_small_letters_is_one() -> None:
    body, _, checksum = AM550.rpartition(b"!")
    assert checksum.lower() != checksum
    assert Meter().shows(body + b"!" + checksum.lower(), "1.8.1") == Decimal("4281.573")


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("632525252525S", None),
        ("632525252525W", None),
        ("000101010000W", None),
        ("700101010000W", None),
        ("07E8061C050A2B2B00FF8880", datetime(2024, 6, 28, 8, 43, 43, tzinfo=UTC)),
        ("260714120000", datetime(2026, 7, 14, 10, tzinfo=UTC)),
    ],
)
def test_a_clock_that_was_never_set_or_is_written_otherwise_costs_no_reading(
    stamp: str, moment: datetime | None
) -> None:
    meter = Meter()
    telegram = meter.says(
        with_lines(AM550, f"0-0:1.0.0({stamp})", f"0-1:24.2.1({stamp})(03160.427*m3)")
    )
    (gas,) = telegram.contents.meters
    reading = telegram.readings[ReadingKey(gas.identity, MBUS_READING)]
    assert (reading.value, reading.time) == (Decimal("3160.427"), moment)
    assert telegram.readings[ReadingKey(ELECTRICITY, "1.0.0")].value == moment
    assert meter.counters.unreadable_lines == 0


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        ("5", ["0-1:24.1.0()", "0-1:96.1.0()", "0-1:24.2.1(0)"]),
        ("5", ["0-1:24.1.0(003)", "0-1:24.2.1(700101010000W)(00000000)"]),
        ("5", ["0-1:24.1.0(003)", "0-1:24.2.1(632525252525S)(00000.000)"]),
        ("5", ["0-1:24.1.0(003)", "0-1:24.2.1(000101010000W)(00000.000*m3)"]),
        ("4", ["0-1:24.1.0(003)", "0-1:24.2.1(700101010000W)(00000000)"]),
        ("2.2", ["0-1:24.3.0(130415050000)(00)(60)(1)(0-1:24.2.1)()", "(00000000)"]),
    ],
)
def test_a_meter_that_was_never_read_is_none(version: str, lines: list[str]) -> None:
    models = {"5": AM550, "4": KAIFA, "2.2": telegram_of("iskra-me382")}
    text = models[version].decode().replace("\r\n(", "(")
    telegram = with_lines(text.encode(), *lines)
    assert Meter(version).says(telegram).contents.meters == ()


def test_a_telegram_of_an_encrypted_meter_is_read_where_somebody_has_decrypted_it() -> None:
    telegram = telegram_of("sagemcom-t210d-r")
    assert shown("SAGEMCOM_T210_D_R", telegram, "1.8.0").unit == "kWh"


@pytest.mark.parametrize(
    ("line", "value", "unit"),
    [
        ("1-0:1.7.0(001234*W)", "1.234", "kW"),
        ("1-0:1.8.1(00123456*Wh)", "123.456", "kWh"),
        ("1-0:3.7.0(0000218*VAr)", "0.218", "kvar"),
        ("1-0:3.8.0(00001500*varh)", "1.5", "kvarh"),
        ("1-0:9.7.0(00001500*VA)", "1.5", "kVA"),
        ("1-0:32.7.0(0000.230*kV)", "230", "V"),
        ("1-0:31.7.0(0000.003*kA)", "3", "A"),
        ("1-0:14.7.0(0.05*kHz)", "50", "Hz"),
        ("0-0:17.0.0(27.600*kVA)", "27.6", "kVA"),
        ("0-0:17.0.0(016*A)", "16", "A"),
        ("1-0:1.8.1(000123.456*kWh )", "123.456", "kWh"),
    ],
)
def test_a_quantity_has_one_unit_whatever_the_meter_writes(
    line: str, value: str, unit: str
) -> None:
    reading = shown("5", with_lines(AM550, line), line.partition("(")[0].partition(":")[2])
    assert (reading.value, reading.unit) == (Decimal(value), unit)


@pytest.mark.parametrize("unit", ["m3", "m\xb3", "m\xb0"])
@pytest.mark.parametrize(("version", "model"), [("5", AM550), ("4", KAIFA)])
def test_two_gas_meters_are_two_whichever_line_comes_last(
    version: str, model: bytes, unit: str
) -> None:
    second = [
        "0-2:24.1.0(003)",
        "0-2:96.1.0(4731)",
        f"0-2:24.2.1(261112070000W)(00007.000*{unit})",
    ]
    first = Meter(version).says(model).contents.meters
    telegram = Meter(version).says(with_lines(model, *second))
    read = {
        meter.identifier: telegram.readings[ReadingKey(meter.identity, MBUS_READING)]
        for meter in telegram.contents.meters
    }
    assert read.keys() == {first[0].identifier, "4731"}
    assert (read["4731"].value, read["4731"].unit) == (Decimal(7), "m³")


def test_the_gas_meter_that_is_read_comes_before_the_one_that_it_replaced() -> None:
    lines = [
        "0-1:24.1.0(003)",
        "0-1:96.1.0(4730)",
        "0-1:24.2.1(170221100000W)(01234.567*m3)",
        "0-2:24.1.0(003)",
        "0-2:96.1.0(4731)",
        "0-2:24.2.1(261112070000W)(00007.000*m3)",
    ]
    meters = Meter("4").says(with_lines(KAIFA, *lines)).contents.meters
    assert [meter.identifier for meter in meters] == ["4731", "4730"]
    # Two that are both read keep the order of their channels.
    lines[2] = "0-1:24.2.1(261112060000W)(01234.567*m3)"
    meters = Meter("4").says(with_lines(KAIFA, *lines)).contents.meters
    assert [meter.identifier for meter in meters] == ["4730", "4731"]


def test_a_gas_meter_that_moved_is_read_where_it_is_though_its_old_channel_lists_it() -> None:
    first = ["0-1:24.1.0(003)", "0-1:96.1.0(4730)", "0-1:24.2.1(261112070000W)(01234.567*m3)"]
    meter = Meter("4")
    meter.says(with_lines(KAIFA, *first))
    first[2] = "0-1:24.2.1(700101010000W)(00000000)"
    second = ["0-2:24.1.0(003)", "0-2:96.1.0(4730)", "0-2:24.2.1(261112080000W)(01234.890*m3)"]
    telegram = meter.says(with_lines(KAIFA, *first, *second))
    assert [(gas.identity, gas.channel) for gas in telegram.contents.meters] == [("4730", 2)]
    assert telegram.readings[ReadingKey("4730", MBUS_READING)].value == Decimal("1234.890")


def test_the_valve_of_a_gas_meter_of_dsmr_4_is_shown() -> None:
    telegram = Meter("4").says(with_lines(KAIFA, "0-1:24.4.0(1)"))
    gas = next(meter for meter in telegram.contents.meters if meter.channel == 1)
    assert str(telegram.readings[ReadingKey(gas.identity, "24.4.0")].value) == "1"
    assert any(row.obis == "24.4.0" and MBusType.GAS in row.mbus for row in SENSORS)


@pytest.mark.parametrize(
    "peaks", ["()", "(12)", "(3)(1-0:1.6.0)(1-0:1.6.0)(230201000000W)", "(0)(1-0:1.6.0)()()"]
)
def test_a_list_of_peaks_that_ends_before_its_count_costs_nothing_else(peaks: str) -> None:
    telegram = with_lines(telegram_of("fluvius-t211"), f"0-0:98.1.0{peaks}")
    meter = Meter("5B")
    assert meter.shows(telegram, "98.1.0") is None
    assert isinstance(meter.shows(telegram, "1.8.1"), Decimal)
    assert meter.counters.unreadable_lines == 0


def test_the_gas_line_of_the_first_standards_is_kept_though_nobody_knows_it() -> None:
    meter = Meter("2.2")
    telegram = with_lines(telegram_of("iskra-me382"), "7-0:23.1.0(00012.345*m3)")
    reading = meter.says(telegram).readings[ReadingKey(ELECTRICITY, "23.1.0")]
    assert (reading.value, reading.unit) == (Decimal("12.345"), "m³")
    assert meter.counters.odd_lines["7-0:23.1.0"].times == 1


@pytest.mark.parametrize("line", ["1-1:31.4.0(100.0*A,-100.0*A)", "1-1:31.4.0(100*A)(-100*A)"])
def test_the_threshold_of_a_fuse_may_be_two_for_both_ways(line: str) -> None:
    for version in ("5B", "5L"):
        model = telegram_of("fluvius-t211" if version == "5B" else "smarty-t210d")
        reading = shown(version, with_lines(model, line), "31.4.0")
        assert (reading.value, reading.unit) == (Decimal(100), "A")
        assert reading.entries[0].value == Decimal(-100)


@pytest.mark.parametrize("version", ["ISKRA_IE", "5B"])
def test_a_peak_with_its_moment_behind_it_is_no_demand_of_260_million_kilowatts(
    version: str,
) -> None:
    model = IE5 if version == "ISKRA_IE" else telegram_of("fluvius-t211")
    reading = shown(version, with_lines(model, "1-0:1.6.0(08.796*kW)(260102010000)"), "1.6.0")
    assert (reading.value, reading.unit) == (Decimal("8.796"), "kW")
    assert reading.time == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_hungarian_meter_may_write_its_tariff_and_its_switch_out() -> None:
    telegram = with_lines(
        HUNGARY, "0-0:96.14.0(TARIFF 1)", "0-0:17.0.0(24000*W)", "0-0:96.3.10(ON)"
    )
    assert shown("5EONHU", telegram, "96.14.0").value == "TARIFF 1"
    assert shown("5EONHU", telegram, "17.0.0") == Reading(Decimal(24), "kW")
    assert shown("5EONHU", telegram, "96.3.10").value == "ON"


def test_the_registers_of_a_month_may_be_on_lines_of_their_own_behind_a_second_time() -> None:
    body = with_lines(HUNGARY, "0-0:1.0.0(230801120000S)").rpartition(b"!")[0].decode()
    lines = [line for line in body.split("\r\n") if not line.startswith("0-0:98.1.0")]
    text = "\r\n".join(
        [
            *lines[:-1],
            "0-0:1.0.0(230801120000S)",
            "0-0:98.1.0",
            "(230801000000S)(000040.777*kWh)",
            "(01.500*kW)",
            "!0000\r\n",
        ]
    )
    meter = Meter("5EONHU")
    readings = meter.says(edited(text.encode())).readings
    month = readings[ReadingKey(ELECTRICITY, "month end")]
    assert month.time == datetime(2023, 7, 31, 22, tzinfo=UTC)
    assert [entry.value for entry in month.entries] == [Decimal("40.777"), Decimal("1.500")]
    clock = readings[ReadingKey(ELECTRICITY, "1.0.0")].value
    assert clock == month.time + timedelta(hours=12)
    assert meter.counters.unreadable_lines == 0


@pytest.mark.parametrize("reference", ["1-0:0.2.8", "1-1:0.2.8"])
def test_the_signature_of_a_firmware_is_not_the_version_of_the_telegrams(reference: str) -> None:
    lithuania = with_lines(telegram_of("lithuania-eso"), f"{reference}(4EA43311)")
    assert recognise(lithuania) is VERSIONS["5"]
    assert "0.2.8" in DIAGNOSTIC_LINES


@pytest.mark.parametrize("event", ["0-0:96.7.19", "0-0:96.7.9", "0-0:96.7.20", ""])
def test_a_power_failure_log_may_name_another_event(event: str) -> None:
    log = f"1-0:99.97.0(1)({event})(260117065912W)(0000009606*s)"
    reading = shown("5", with_lines(AM550, log), "99.97.0")
    assert (reading.value, reading.unit) == (Decimal(9606), "s")
    assert shown("5", with_lines(AM550, "1-0:99.97.0()"), "99.97.0") == Reading(None)


def test_any_meter_may_send_what_only_others_are_known_to_send() -> None:
    unknown = {
        obis
        for version in VERSIONS.values()
        for obis in version.electricity
        if obis not in OTHERS.electricity
    }
    assert unknown == set()


@pytest.mark.parametrize("model", MODELS)
def test_a_gas_meter_may_be_paired_with_a_meter_of_any_version(model: str) -> None:
    version = MODELS[model].version
    lines = [
        "0-4:24.1.0(003)",
        "0-4:96.1.0(4731)",
        "0-4:24.2.1(261112070000W)(00007.000*m3)",
    ]
    meter = Meter(version)
    before = meter.says(telegram_of(model)).contents.meters
    text = telegram_of(model).decode("latin-1").replace("\r\n(", "(").encode("latin-1")
    for _ in range(2):  # What is new in a telegram without a checksum must come again.
        telegram = meter.says(with_lines(text, *lines))
    (paired,) = set(telegram.contents.meters) - set(before)
    assert (paired.type, paired.identity) == (MBusType.GAS, "4731")
    assert telegram.readings[ReadingKey("4731", MBUS_READING)].value == Decimal(7)


@pytest.mark.parametrize(
    ("version", "code", "name"),
    [
        ("5", "0001", "low"),
        ("5", "0002", "normal"),
        ("5B", "0001", "normal"),
        ("5B", "0002", "low"),
        ("5EONHU", "TARIFF 1", "normal"),
        ("5EONHU", "0002", "low"),
        ("ISKRA_IE", "0001", "normal"),
        ("5", "0003", "tariff_3"),
        ("5EONHU", "0004", "tariff_4"),
        ("5", "0000", "unknown"),
        ("5", "0005", "unknown"),
    ],
)
async def test_a_tariff_is_called_as_in_its_country_and_its_code_stands_beside_it(
    hass: HomeAssistant, gateway: Gateway, version: str, code: str, name: str
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": version})
    await gateway.connected()
    gateway.send(with_lines(model_of(version), f"0-0:96.14.0({code})"))
    await state_of(hass, "sensor.smart_meter_connection", "receiving")
    await state_of(hass, "sensor.power_tariff", name)
    state = hass.states.get("sensor.power_tariff")
    assert state
    assert state.attributes["code"] == code
