"""What Home Assistant would have stored after its onboarding wizard.

The wizard itself is passed over, because its steps start integrations that want the internet.
"""

from datetime import UTC, datetime, timedelta
import json
import secrets

import jwt


def stored(key: str, data: object, *, version: int = 1, minor_version: int = 1) -> str:
    """Return a file of `.storage` as Home Assistant reads it.

    A version before the current one is what it migrates, so that its defaults need not stand here.
    """
    return json.dumps(
        {"version": version, "minor_version": minor_version, "key": key, "data": data}, indent=2
    )


def seed(address: str, port: int) -> tuple[str, dict[str, str]]:
    """Return an access token, and the files of a Home Assistant that knows it.

    Args:
        address: The only network address to listen on.
        port: The port there.

    Returns:
        A token that is valid for a day, and the files by their path.
    """
    now = datetime.now(UTC)
    lifetime = timedelta(days=1)
    user, token, key = (secrets.token_hex(size) for size in (16, 16, 64))
    auth = {
        "users": [
            {
                "id": user,
                "name": "Demo",
                "group_ids": ["system-admin"],
                "is_owner": True,
                "is_active": True,
                "local_only": True,
                "system_generated": False,
            }
        ],
        "groups": [{"id": "system-admin", "name": "Administrators"}],
        "credentials": [],
        "refresh_tokens": [
            {
                "id": token,
                "user_id": user,
                "client_id": None,
                "client_name": "Demo",
                "token_type": "long_lived_access_token",
                "created_at": now.isoformat(),
                "access_token_expiration": lifetime.total_seconds(),
                "token": secrets.token_hex(64),
                "jwt_key": key,
            }
        ],
    }
    core = {
        "location_name": "Home",
        "latitude": 52.37,
        "longitude": 4.9,
        "radius": 100,
        "country": "NL",
        "language": "en",
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "unit_system_v2": "metric",
    }
    # Home Assistant sets up its Marketplace unless there is an entry, and that one asks GitHub.
    marketplace = {
        "entry_id": secrets.token_hex(16),
        "domain": "marketplace",
        "version": 1,
        "title": "",
        "data": {},
        "source": "system",
        "disabled_by": "user",
    }
    steps = ["user", "core_config", "analytics", "integration"]
    files = {
        "auth": stored("auth", auth),
        "core.config": stored("core.config", core, minor_version=4),
        "core.config_entries": stored("core.config_entries", {"entries": [marketplace]}),
        "http": stored("http", {"server_host": [address], "server_port": port}),
        "onboarding": stored("onboarding", {"done": steps}, version=4),
    }
    access_token = jwt.encode({"iss": token, "iat": now, "exp": now + lifetime}, key, "HS256")
    return access_token, {f".storage/{name}": text for name, text in files.items()}
