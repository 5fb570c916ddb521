"""Where is the host of a port? Each of its addresses, to be called by itself."""

import asyncio
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Final
from urllib.parse import urlsplit

SERVERS: Final = ("rfc2217", "socket", "tcp")
"""What begins the URLs of ports for which a TCP connection is made."""


async def addressed(url: str) -> list[str]:
    """Return the URL of a port with each address of its host in place of the name.

    The time that a host has to answer is one for all that opening does: a name server that is slow,
    or an address of which nothing is heard, would use it up each time.

    Args:
        url: the port; where it is not known by the name of a host, it stays as it is.

    Raises:
        OSError: nobody knows the name.
    """
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if parts.scheme not in SERVERS or host is None or _is_address(host):
        return [url]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    user, at, _ = parts.netloc.rpartition("@")
    behind = "" if port is None else f":{port}"
    addresses = dict.fromkeys(str(address) for *_, (address, *_) in found)
    return [
        parts._replace(netloc=f"{user}{at}{_bracketed(address)}{behind}").geturl()
        for address in addresses
    ]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
