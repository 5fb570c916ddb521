"""An ESPHome with a serial proxy at a meter: the native API in plain text, over real TCP."""

import asyncio
from typing import Any, override

from aioesphomeapi import api_pb2
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO

from .parts import Gateway

# The messages are made at run time.
API: Any = api_pb2
_NUMBERS = {message: number for number, message in MESSAGE_TYPE_TO_PROTO.items()}
# So many bytes of its line it puts into one message.
_PIECE = 256


class ESPHome(Gateway):
    """A serial proxy that passes on what the meter sends, to one client at a time.

    Attributes:
        name: the name of the serial proxy.
        settings: how a client has set the line: speed, data bits, parity.
        guests: how many are connected.
        asked: the messages that came, by kind.
        ignores: which messages it does not answer.
    """

    def __init__(self, name: str = "p1") -> None:
        super().__init__()
        self.name = name
        self.settings: tuple[int, int, int] | None = None
        self.guests = 0
        self.asked = set[Any]()
        self.ignores: tuple[Any, ...] = ()

    @property
    def url(self) -> str:
        """Where serialx finds the proxy."""
        return f"esphome://127.0.0.1:{self.port}/?port_name={self.name}"

    @override
    def send(self, data: bytes) -> None:
        """Pass bytes on to the client that has asked for them."""
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            super().send(_packet(API.SerialProxyDataReceived(instance=0, data=piece)))

    @override
    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.guests += 1
        try:
            while request := await _received(reader):
                self.asked.add(type(request))
                if isinstance(request, self.ignores):
                    continue
                if answer := self._answer(request, writer):
                    writer.write(_packet(answer))
                if isinstance(request, API.DisconnectRequest):
                    await writer.drain()
                    return
        finally:
            self.guests -= 1

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
        elif self._clients:
            return int(API.SERIAL_PROXY_STATUS_PORT_IN_USE)
        else:
            self._arrive(writer)
        return int(API.SERIAL_PROXY_STATUS_OK)


def _acknowledged(request_type: int, status: int = 0) -> Any:
    return API.SerialProxyRequestResponse(instance=0, type=request_type, status=status)


def _packet(message: Any) -> bytes:
    """Return a message as it goes over the line: a zero, length, number, and the message."""
    body: bytes = message.SerializeToString()
    return b"\0" + _varint(len(body)) + _varint(_NUMBERS[type(message)]) + body


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


async def _received(reader: asyncio.StreamReader) -> Any:
    """Return the next message, or None at the end."""
    try:
        assert await _number(reader) == 0
        length, number = await _number(reader), await _number(reader)
        return MESSAGE_TYPE_TO_PROTO[number].FromString(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


async def _number(reader: asyncio.StreamReader) -> int:
    (byte,) = await reader.readexactly(1)
    return byte if byte < 0x80 else byte - 0x80 + (await _number(reader) << 7)
