"""A real Home Assistant, running as a child process with a configuration of its own.

The demo and the end-to-end test both start it here. Nothing of Home Assistant is imported: it runs
on the interpreter of `.venv-ha`, and is spoken to over its REST and websocket interfaces.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
import socket
import tempfile
from typing import Any, TypedDict, cast

import aiohttp

from .process import running_process
from .seed import seed

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = REPOSITORY / ".venv-ha" / "bin" / "python"
ADDRESS = "127.0.0.1"
START_SECONDS = 120
LOG_LINES = 15


class HomeError(Exception):
    """Home Assistant did not start, ended, or refused a command."""


class State(TypedDict):
    """One entity as `/api/states` shows it."""

    entity_id: str
    state: str
    attributes: dict[str, Any]
    last_changed: str


@dataclass(frozen=True)
class Home:
    """A running Home Assistant.

    Attributes:
        url: Its address, without a slash at the end.
        token: An access token of its owner.
        directory: Its configuration directory.
        process: The process that it runs in.
        session: An HTTP session that is signed in.
    """

    url: str
    token: str
    directory: Path
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession

    def log(self) -> str:
        """Return everything that Home Assistant has logged."""
        return _log_file(self.directory).read_text(encoding="utf-8", errors="replace")

    def error(self, reason: str) -> HomeError:
        """Return an error with the end of the log, which is removed with the directory."""
        lines = self.log().splitlines()[-LOG_LINES:]
        return HomeError("\n".join([f"Home Assistant {reason}. Its log ends with:", *lines]))

    async def states(self) -> list[State]:
        """Return the states of all entities.

        Raises:
            HomeError: Home Assistant does not answer.
        """
        try:
            async with self.session.get(f"{self.url}/api/states") as response:
                response.raise_for_status()
                return cast("list[State]", await response.json())
        except aiohttp.ClientError as error:
            raise self.error("does not answer") from error

    async def command(self, command: str, **fields: object) -> Any:
        """Return the result of one websocket command.

        Args:
            command: Its type, such as `energy/validate`.
            **fields: What else it wants.

        Raises:
            HomeError: Home Assistant refused it, or does not answer.
        """
        try:
            async with self.session.ws_connect(f"{self.url}/api/websocket") as websocket:
                await websocket.receive_json()
                await websocket.send_json({"type": "auth", "access_token": self.token})
                await websocket.receive_json()
                await websocket.send_json({"id": 1, "type": command, **fields})
                answer = await websocket.receive_json()
        except aiohttp.ClientError as error:
            raise self.error("does not answer") from error
        if not answer["success"]:
            raise HomeError(f"Home Assistant refused {command}: {answer['error']['message']}")
        return answer["result"]


@asynccontextmanager
async def running_home(files: Mapping[str, str], *, port: int | None = None) -> AsyncIterator[Home]:
    """Run Home Assistant with this repository's integration until the context ends.

    It listens on 127.0.0.1 only, is in the Netherlands and has one user. Its configuration
    directory is removed at the end.

    Args:
        files: What that directory holds, by path: `configuration.yaml`, and whatever else is wanted
            there, such as another integration in `custom_components`.
        port: The port to listen on; a free one if not given.

    Yields:
        Home Assistant, started completely.

    Raises:
        HomeError: It did not start.
    """
    port = port or free_port()
    token, seeded = seed(ADDRESS, port)
    with tempfile.TemporaryDirectory(prefix="homeassistant-") as name:
        directory = Path(name)
        _write(directory, {**seeded, **files})
        # Without pip, packages that are not in .venv-ha stay away, and so does the internet.
        command: list[str | Path] = [PYTHON, "-m", "homeassistant", "-c", directory]
        command += ["--skip-pip", "--log-no-color"]
        with _log_file(directory).open("wb") as log:
            async with (
                running_process(command, cwd=directory, output=log) as process,
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            ):
                url = f"http://{ADDRESS}:{port}"
                home = Home(url, token, directory, process, session)
                await _started(home)
                yield home


def free_port(preferred: int = 0) -> int:
    """Return the preferred port if nobody listens on it, and any free one otherwise."""
    with socket.socket() as probe:
        # As Home Assistant does: the port's last user may have left a moment ago.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, preferred))
        except OSError:
            probe.bind((ADDRESS, 0))
        return cast("int", probe.getsockname()[1])


def _write(directory: Path, files: Mapping[str, str]) -> None:
    """Fill the configuration directory."""
    for path, text in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    components = directory / "custom_components"
    components.mkdir(exist_ok=True)
    (components / "dsmr").symlink_to(REPOSITORY / "custom_components" / "dsmr")


def _log_file(directory: Path) -> Path:
    """Return the file that receives what Home Assistant prints, which is all that it logs."""
    return directory / "output.log"


async def _started(home: Home) -> None:
    """Wait until Home Assistant has started completely."""
    try:
        async with asyncio.timeout(START_SECONDS):
            while home.process.returncode is None:
                config = await _config(home)
                if config.get("recovery_mode"):
                    raise home.error("could not use its configuration")
                if config.get("state") == "RUNNING":
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise home.error(f"did not start within {START_SECONDS} seconds") from None
    raise home.error("ended while it was starting")


async def _config(home: Home) -> dict[str, Any]:
    """Return Home Assistant's own description of itself, or nothing while it cannot answer."""
    try:
        async with home.session.get(f"{home.url}/api/config") as response:
            return cast("dict[str, Any]", await response.json()) if response.ok else {}
    except aiohttp.ClientError:
        return {}
