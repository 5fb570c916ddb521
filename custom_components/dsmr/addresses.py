"""Which port is meant, where is its host, and is that still there?"""

import asyncio
from ipaddress import ip_address
import re
import socket
from typing import Final
from urllib.parse import urlsplit

from .const import DEFAULT_TCP_PORT

SERVED: Final = ("socket", "tcp")
"""What begins the URLs of ports whose bytes a server passes on: the serial line is set already."""
SERVERS: Final = (*SERVED, "rfc2217")
"""What begins the URLs of ports that are a TCP port each."""
ESPHOME: Final = "esphome"
"""What begins the URL of a port of a device that may have several, behind one TCP port."""

_HOST: Final = re.compile(r"(\[[^\s\[\]]+\]|[^\s:/?#@\[\]]+)(:\d+)?")
# Not every system has them all: macOS calls the first one by another name.
_KEEP_ASKING: Final = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 12}


def socket_url(host: str, port: str) -> str:
    """Return the URL of a TCP port; in it an IPv6 address stands in brackets."""
    return f"socket://[{host}]:{port}" if _is_ipv6(host) else f"socket://{host}:{port}"


def port_url(text: str) -> str:
    """Return the port that a person means.

    Args:
        text: a device, a URL, a host, or host:port.

    Returns:
        The path of a device, or a URL; with TCP port 2001 where one is needed and none is given.

    Raises:
        ValueError: it is nothing of this.
    """
    text = text.strip()
    if text.startswith("/"):
        return text
    if _is_ipv6(text):
        text = f"[{text}]"
    if _HOST.fullmatch(text):
        text = f"socket://{text}"
    url = urlsplit(text)
    is_server = url.scheme in SERVERS
    where = url.hostname or ("" if is_server else url.path.strip("/"))
    # Reading the port raises where it is no number of a TCP port.
    if "://" not in text or not url.scheme or not where or url.port == 0:
        raise ValueError("it is neither a device nor a URL nor a host")
    if is_server and url.port is None:
        netloc = f"{url.netloc.removesuffix(':')}:{DEFAULT_TCP_PORT}"
        return url._replace(netloc=netloc, path="").geturl()
    return text


async def addressed(url: str) -> list[str]:
    """Return the URL of a port with each address of its host in place of the name.

    The time that a host has to answer is one for all that opening does: a name server that is slow,
    or an address of which nothing is heard, would use it up each time. And whoever looks for the
    name of an ESPHome by mDNS closes what all of Home Assistant does that with.

    Args:
        url: the port; where it is not known by the name of a host, it stays as it is.

    Raises:
        OSError: nobody knows the name.
    """
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if parts.scheme not in (*SERVERS, ESPHOME) or host is None or _is_address(host):
        return [url]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    user, at, _ = parts.netloc.rpartition("@")
    behind = "" if port is None else f":{port}"
    addresses = dict.fromkeys(_address(*place) for *_, place in found)
    return [
        parts._replace(netloc=f"{user}{at}{_bracketed(address)}{behind}").geturl()
        for address in addresses
    ]


def keep_asking(connection: socket.socket) -> None:
    """Have the system ask a host that says nothing for two seconds whether it is still there.

    A gateway that was without power knows nothing of the connection, and nothing is ever sent to it
    by which it would notice. Asked, it says so.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ASKING.items():
        if number := getattr(socket, option, None):
            connection.setsockopt(socket.IPPROTO_TCP, number, value)


def scheme_of(url: str) -> str:
    """Return what stands before the first colon of a port, in small letters."""
    return url.partition(":")[0].lower()


def _address(address: str, _: int, flow: int = 0, zone: int = 0) -> str:
    """Return an address as it is written: a link-local one with the interface where it is."""
    return f"{address}%{zone}" if zone else address


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_ipv6(host: str) -> bool:
    return ":" in host and _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
