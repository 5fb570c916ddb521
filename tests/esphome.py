"""An ESPHome with a serial proxy at a meter: the native API, plain or encrypted, over real TCP."""

import asyncio
import base64
from importlib import import_module
from importlib.util import find_spec, module_from_spec
import socket
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, override
from unittest.mock import patch
from urllib.parse import quote

from aioesphomeapi import api_pb2
from aioesphomeapi.client import APIClient
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from cryptography.exceptions import InvalidTag
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from noise.connection import NoiseConnection
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.dsmr.models import Cause

from .parts import Gateway, until

# The messages are made at run time.
API: Any = api_pb2
_NUMBERS = {message: number for number, message in MESSAGE_TYPE_TO_PROTO.items()}
# So many bytes of its line it puts into one message.
_PIECE = 256


class ESPHome(Gateway):
    """A serial proxy that passes on what the meter sends, to one client at a time.

    Attributes:
        name: the name of the serial proxy.
        key: what the native API is encrypted with, in Base64, or "" where it is plain.
        settings: how a client has set the line: speed, data bits, parity.
        guests: how many are connected.
        asked: the messages that came, by kind.
        ignores: which messages it does not answer.
        cause_when_off: why it can't be read while nobody listens there.
    """

    cause_when_off = Cause.REFUSED

    def __init__(self, name: str = "p1", key: str = "") -> None:
        super().__init__()
        self.name = name
        self.key = key
        self._lines: dict[asyncio.StreamWriter, _Line] = {}
        self.settings: tuple[int, int, int] | None = None
        self.guests = 0
        self.asked = set[Any]()
        self.ignores: tuple[Any, ...] = ()

    @property
    def url(self) -> str:
        """Where serialx finds the proxy."""
        return self.address

    @property
    def address(self) -> str:
        """Where serialx finds it by itself."""
        key = f"&key={quote(self.key)}" if self.key else ""
        return f"esphome://127.0.0.1:{self.port}/?port_name={self.name}{key}"

    @property
    def is_left(self) -> bool:
        """Whether nobody is connected who came for the meter."""
        return self.guests == 0

    @override
    def send(self, data: bytes) -> None:
        """Pass bytes on to the client that has asked for them."""
        for client in self._clients:
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                self._lines[client].say(API.SerialProxyDataReceived(instance=0, data=piece))

    @override
    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.guests += 1
        line = _EncryptedLine(reader, writer, self.key) if self.key else _Line(reader, writer)
        self._lines[writer] = line
        try:
            await line.begin()
            while True:
                request = await line.heard()
                self.asked.add(type(request))
                if isinstance(request, self.ignores):
                    continue
                if answer := self._answer(request, writer):
                    line.say(answer)
                if isinstance(request, API.DisconnectRequest):
                    await writer.drain()
                    break
        except asyncio.IncompleteReadError, _StrangerError:
            pass
        finally:
            self.guests -= 1
            del self._lines[writer]

    def _answer(self, request: Any, writer: asyncio.StreamWriter) -> Any:
        """Do what is asked, and return what to say to it, or None."""
        answer = None
        match type(request).__name__:
            case "HelloRequest":
                answer = API.HelloResponse(api_version_major=1, api_version_minor=18, name="meter")
            case "DeviceInfoRequest":
                answer = API.DeviceInfoResponse(name="meter")
                answer.serial_proxies.add(name=self.name)
            case "SubscribeSerialProxyIdentityRequest":
                answer = API.SerialProxyIdentity(instance=0)
            case "SerialProxyRequest":
                answer = _acknowledged(request.type, self._subscribe(request.type, writer))
            case "SerialProxySetModeRequest":
                answer = _acknowledged(API.SERIAL_PROXY_REQUEST_TYPE_SET_MODE)
            case "SerialProxyConfigureRequest":
                self.settings = (request.baudrate, request.data_size, request.parity)
                answer = _acknowledged(API.SERIAL_PROXY_REQUEST_TYPE_CONFIGURE)
            case "PingRequest":
                answer = API.PingResponse()
            case "DisconnectRequest":
                answer = API.DisconnectResponse()
        return answer

    def _subscribe(self, request_type: int, writer: asyncio.StreamWriter) -> int:
        """Begin or end to pass on what the meter sends; return what became of it."""
        if request_type == API.SERIAL_PROXY_REQUEST_TYPE_UNSUBSCRIBE:
            self._leave(writer)
        elif self._clients and writer not in self._clients:
            return int(API.SERIAL_PROXY_STATUS_PORT_IN_USE)
        elif not self._clients:
            self._arrive(writer)
        return int(API.SERIAL_PROXY_STATUS_OK)


def _serial_proxy() -> Any:
    """Return what Home Assistant's ESPHome opens `esphome-hass://` with.

    It is the real one. The rest of that integration needs packages that are not here.
    """
    integration = "homeassistant.components.esphome"
    spec = find_spec(integration)
    assert spec
    data: Any = ModuleType(f"{integration}.entry_data")
    data.ESPHomeConfigEntry = ConfigEntry
    with patch.dict(sys.modules, {integration: module_from_spec(spec), data.__name__: data}):
        return import_module(f"{integration}.serial_proxy")


_SERIAL_PROXY = _serial_proxy()


class SharedESPHome(ESPHome):
    """An ESPHome that Home Assistant's integration is connected to; others share its connection.

    Attributes:
        client: the connection.
    """

    # What is asked is the connection that Home Assistant has.
    cause_when_off = Cause.UNREACHABLE

    def __init__(self, hass: HomeAssistant) -> None:
        super().__init__()
        self.client = APIClient("127.0.0.1", self.port)
        self._hass = hass
        self._entry = MockConfigEntry(domain="esphome")
        self._entry.add_to_hass(hass)

    @property
    @override
    def url(self) -> str:
        return str(_SERIAL_PROXY.build_url(self._entry.entry_id, self.name))

    @property
    @override
    def is_left(self) -> bool:
        return self.client.is_connected and self.guests == 1

    @override
    async def open(self, listening: socket.socket | None = None) -> None:
        await super().open(listening)
        if self._entry.state is ConfigEntryState.LOADED:
            await self._connect()
        else:
            await self.load()

    @override
    async def close(self) -> None:
        await super().close()
        await until(lambda: not self.client.is_connected)

    @override
    async def __aexit__(self, *_: object) -> None:
        await self.unload()
        await super().__aexit__()

    async def load(self) -> None:
        """Load the entry, and the integration with the first one."""
        if _SERIAL_PROXY._HASS_LOOP is None:
            unregister = _SERIAL_PROXY.register_serialx_transport(self._hass.loop)
            self._hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, unregister)
        self.client = APIClient("127.0.0.1", self.port)
        self._entry.runtime_data = SimpleNamespace(client=self.client)
        await self._connect()
        self._entry.mock_state(self._hass, ConfigEntryState.LOADED)

    async def unload(self) -> None:
        """Unload the entry, which hangs up."""
        self._entry.mock_state(self._hass, ConfigEntryState.NOT_LOADED)
        await self.client.disconnect()

    async def _connect(self) -> None:
        await self.client.connect(login=True, log_errors=False)


class _StrangerError(Exception):
    """A client speaks in another way, or has another key."""


class _Line:
    """A client over plain text: a zero, the length and the number stand before each message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def begin(self) -> None:
        """Agree on how to talk."""

    def say(self, message: Any) -> None:
        """Send a message."""
        self._send(_NUMBERS[type(message)], message.SerializeToString())

    async def heard(self) -> Any:
        """Return the next message."""
        number, body = await self._received()
        return MESSAGE_TYPE_TO_PROTO[number].FromString(body)

    def _send(self, number: int, body: bytes) -> None:
        self._writer.write(b"\0" + _varint(len(body)) + _varint(number) + body)

    async def _received(self) -> tuple[int, bytes]:
        if await self._number() != 0:
            self._writer.write(b"\0Bad indicator byte")
            raise _StrangerError
        length, number = await self._number(), await self._number()
        return number, await self._reader.readexactly(length)

    async def _number(self) -> int:
        (byte,) = await self._reader.readexactly(1)
        return byte if byte < 0x80 else byte - 0x80 + (await self._number() << 7)


class _EncryptedLine(_Line):
    """A client over Noise: a one and the length before what is encrypted, the rest within."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
    ) -> None:
        super().__init__(reader, writer)
        self._noise = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256")
        self._noise.set_as_responder()
        self._noise.set_psks(base64.b64decode(key))
        self._noise.set_prologue(b"NoiseAPIInit\0\0")
        self._noise.start_handshake()

    @override
    async def begin(self) -> None:
        await self._frame()
        self._send_frame(b"\1meter\0")
        handshake = await self._frame()
        try:
            self._noise.read_message(handshake[1:])
        except InvalidTag:
            self._refuse("Handshake MAC failure")
        self._send_frame(b"\0" + self._noise.write_message())

    @override
    def _send(self, number: int, body: bytes) -> None:
        header = number.to_bytes(2) + len(body).to_bytes(2)
        self._send_frame(self._noise.encrypt(header + body))

    @override
    async def _received(self) -> tuple[int, bytes]:
        message = self._noise.decrypt(await self._frame())
        return int.from_bytes(message[:2]), message[4:]

    def _send_frame(self, content: bytes) -> None:
        self._writer.write(b"\1" + len(content).to_bytes(2) + content)

    async def _frame(self) -> bytes:
        if await self._reader.readexactly(1) != b"\1":
            self._refuse("Bad indicator byte")
        return await self._reader.readexactly(int.from_bytes(await self._reader.readexactly(2)))

    def _refuse(self, reason: str) -> None:
        self._send_frame(b"\1" + reason.encode())
        raise _StrangerError


def _acknowledged(request_type: int, status: int = 0) -> Any:
    return API.SerialProxyRequestResponse(instance=0, type=request_type, status=status)


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])
