"""What Home Assistant, its Marketplace and our own documents say about files, held to the files."""

import ast
from collections import Counter
from collections.abc import Iterator
from itertools import chain
import json
from pathlib import Path
import re
import tomllib
from typing import Any

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy
from dsmr_parser import telegram_specifications
from homeassistant import const as home_assistant
import pytest
import yaml

from custom_components.dsmr.descriptions import SENSORS
from custom_components.dsmr.versions import SERIAL_115200_8N1, Version

ROOT = Path(__file__).parent.parent
INTEGRATION = ROOT / "custom_components" / "dsmr"
MODULES = {path.stem: ast.parse(path.read_text()) for path in sorted(INTEGRATION.glob("*.py"))}
SPECIFICATIONS = {
    name: specification
    for name, specification in vars(telegram_specifications).items()
    if isinstance(specification, dict) and "objects" in specification
}


def load(path: Path) -> Any:
    """Return what a JSON file says; a key that stands twice is an error."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        assert not twice, f"{path} has {twice} twice"
        return dict(pairs)

    return json.loads(path.read_text(), object_pairs_hook=unique)


MANIFEST = load(INTEGRATION / "manifest.json")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_manifest_has_what_home_assistant_and_the_marketplace_require() -> None:
    assert MANIFEST["domain"] == INTEGRATION.name
    assert MANIFEST["name"]
    assert MANIFEST["integration_type"] in {"device", "hub", "service"}
    assert MANIFEST["iot_class"] == "local_push"
    assert MANIFEST["codeowners"]
    assert all(owner.startswith("@") for owner in MANIFEST["codeowners"])
    for address in (MANIFEST["documentation"], MANIFEST["issue_tracker"]):
        assert address.startswith("https://")
        assert "home-assistant.io" not in address


def test_the_manifest_is_in_order() -> None:
    first, second, *rest = MANIFEST
    assert (first, second) == ("domain", "name")
    assert rest == sorted(rest)


def test_the_version_is_one_that_home_assistant_reads() -> None:
    AwesomeVersion(
        MANIFEST["version"],
        ensure_strategy=[
            AwesomeVersionStrategy.CALVER,
            AwesomeVersionStrategy.SEMVER,
            AwesomeVersionStrategy.SIMPLEVER,
            AwesomeVersionStrategy.BUILDVER,
            AwesomeVersionStrategy.PEP440,
        ],
    )
    assert PROJECT["project"]["version"] == MANIFEST["version"]


def test_requirements_are_pinned_and_the_same_everywhere() -> None:
    requirements = MANIFEST["requirements"]
    assert requirements
    for requirement in requirements:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", requirement)
        for group in ("homeassistant", "development"):
            assert requirement in PROJECT["dependency-groups"][group]
            compiled = (ROOT / "requirements" / f"{group}.txt").read_text()
            assert re.search(rf"^{re.escape(requirement)}(?![0-9.])", compiled, re.MULTILINE)


def test_what_is_compiled_has_hashes_and_no_addresses() -> None:
    compiled = sorted((ROOT / "requirements").glob("*.txt"))
    assert compiled
    for path in compiled:
        text = path.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "index-url" not in text
    # It would write the registries' addresses into the repository.
    assert not (ROOT / "uv.lock").exists()


def test_hacs_json_is_what_the_marketplace_reads() -> None:
    hacs = load(ROOT / "hacs.json")
    assert hacs["name"] == MANIFEST["name"]
    assert hacs.keys() <= {
        *("name", "content_in_root", "country", "filename", "hacs", "hide_default_branch"),
        *("homeassistant", "persistent_directory", "render_readme", "zip_release"),
    }
    assert hacs["filename"] == "dsmr.zip" if hacs.get("zip_release") else "filename" not in hacs
    # The oldest Home Assistant that is said to do is no newer than the one of these tests.
    assert AwesomeVersion(hacs["homeassistant"]) <= AwesomeVersion(home_assistant.__version__)
    assert [path.name for path in INTEGRATION.parent.iterdir() if (path / "manifest.json").exists()]


def test_the_owner_is_named_in_the_manifest_only() -> None:
    owner = "/".join(MANIFEST["documentation"].split("/")[2:4])
    naming = {path.relative_to(ROOT).as_posix() for path in files() if owner in text_of(path)}
    assert naming == {"custom_components/dsmr/manifest.json"}


def files() -> Iterator[Path]:
    """Return the files of the repository, without what was set up beside them."""
    for directory, directories, names in ROOT.walk():
        directories[:] = [
            name
            for name in directories
            if name in {".ci", ".github"} or not name.startswith((".", "__pycache__"))
        ]
        yield from (directory / name for name in names)


def text_of(path: Path) -> str:
    """Return a file as text; what is none gives odd characters."""
    return path.read_text(encoding="utf-8", errors="replace")


def paths_of(value: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Return where there are texts in a translation."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from paths_of(below, *path, key)
    else:
        assert isinstance(value, str)
        assert value == value.strip() != "", path
        assert "[%key:" not in value, path
        yield path


def test_all_languages_have_the_same_texts() -> None:
    languages = {path.stem: load(path) for path in (INTEGRATION / "translations").glob("*.json")}
    english = set(paths_of(languages["en"]))
    assert english
    for language, texts in languages.items():
        assert set(paths_of(texts)) == english, language


def test_each_action_has_a_name_a_description_and_an_icon() -> None:
    actions = yaml.safe_load((INTEGRATION / "services.yaml").read_text())
    texts = load(INTEGRATION / "translations" / "en.json")["services"]
    icons = load(INTEGRATION / "icons.json")["services"]
    assert actions.keys() == texts.keys() == icons.keys()
    for action in actions:
        assert texts[action]["name"]
        assert texts[action]["description"]
        assert icons[action]["service"].startswith("mdi:")


def test_entities_update_in_parallel_without_a_limit() -> None:
    [value] = [
        node.value
        for node in MODULES["sensor"].body
        if isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == ["PARALLEL_UPDATES"]
    ]
    assert ast.literal_eval(value) == 0


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_each_line_that_dsmr_parser_describes_is_found_by_its_obis_reference(name: str) -> None:
    specification = SPECIFICATIONS[name]
    version = Version(
        key=name, label=name, specification=specification, serial=SERIAL_115200_8N1, interval=1
    )
    # Gas of DSMR 2.2 goes on in a second line.
    electricity = [f"1-0:{obis}(1)\r\n(2)\r\n" for obis in version.electricity]
    electricity += [line.replace("1-0:", "1-1:") for line in electricity]
    mbus = [f"0-1:{obis}(1)\r\n(2)\r\n" for obis in version.mbus]
    for line in specification["objects"]:
        pattern = line["obis_reference"]
        assert any(re.match(pattern, known) for known in chain(electricity, mbus)), pattern


def test_no_specification_of_dsmr_parser_is_overlooked() -> None:
    assert {"V2_2", "V3", "V4", "V5", "BELGIUM_FLUVIUS", "SWEDEN"} <= SPECIFICATIONS.keys()


def test_unique_ids_are_made_of_keys_that_never_change() -> None:
    """A key that was released is in stored unique ids: a new one is added to the file."""
    keys = [description.key for description in SENSORS]
    assert len(set(keys)) == len(keys)
    lines = (ROOT / "tests" / "unique_id_keys.txt").read_text().splitlines()
    assert sorted(keys) == [line for line in lines if not line.startswith("#")]


def imports_of(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Return what a module imports: from where (a name of ours begins with a dot), and what."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)


def outside(module: str) -> set[str]:
    """Return the packages that a module imports."""
    return {source.split(".")[0] for source, _ in imports_of(MODULES[module]) if source[0] != "."}


def own(module: ast.Module) -> set[str]:
    """Return the modules of the integration that a module imports."""
    found = set()
    for source, name in imports_of(module):
        if source.startswith("."):
            found.add(source[1:].split(".")[0] or name)
    return found


def test_modules_import_each_other_by_relative_names() -> None:
    assert not [name for name in MODULES if "custom_components" in outside(name)]


@pytest.mark.parametrize(
    ("package", "modules"),
    [
        ("anycrc", {"checksum"}),
        ("dsmr_parser", {"values", "versions"}),
        ("serialx", {"causes", "esphome", "opening", "reader", "rfc2217", "versions"}),
    ],
)
def test_a_package_is_imported_by_no_more_modules_than_need_it(
    package: str, modules: set[str]
) -> None:
    importing = {name for name in MODULES if package in outside(name)}
    assert importing
    assert importing <= modules


@pytest.mark.parametrize(
    "module", ["dispatcher", "framing", "models", "reader", "telegram", "versions"]
)
def test_what_stands_below_the_entities_needs_no_home_assistant(module: str) -> None:
    """Nor do the modules that it imports; `const` needs Home Assistant's words alone."""
    below, seen = {module}, set[str]()
    while below - seen:
        seen |= (new := below - seen)
        below |= {name for source in new - {"const"} for name in own(MODULES[source])}
    for name in below - {"const"}:
        assert "homeassistant" not in outside(name), name


def test_const_needs_home_assistants_words_alone() -> None:
    sources = {source for source, _ in imports_of(MODULES["const"]) if "homeassistant" in source}
    assert sources == {"homeassistant.const"}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("framing", set()),
        ("models", set()),
        ("versions", set()),
        ("dispatcher", {"models", "unforeseen"}),
    ],
)
def test_what_is_tested_alone_stands_alone(module: str, allowed: set[str]) -> None:
    assert own(MODULES[module]) <= allowed


def test_entities_of_home_assistant_are_imported_by_entities_alone() -> None:
    for name, module in MODULES.items():
        imports = set(imports_of(module))
        entities = {
            (source, what)
            for source, what in imports
            if source.startswith("homeassistant") and what.endswith("Entity")
        }
        assert not entities or name == "entity" or "entity" in own(module), name


def test_no_module_imports_one_that_imports_it() -> None:
    left = {name: own(module) & MODULES.keys() for name, module in MODULES.items()}
    while left:
        free = {name for name, imports in left.items() if not imports & left.keys()}
        assert free, f"{sorted(left)} import each other"
        for name in free:
            del left[name]


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_architecture_names_each_module_and_no_other() -> None:
    named = set(re.findall(r"(?<![\w/])(\w+)\.py\b", ARCHITECTURE))
    assert sorted(named) == sorted(MODULES)


def test_the_table_of_files_says_what_each_imports() -> None:
    rows = re.findall(r"^\| `(\w+)\.py` \|[^|]*\|([^|]*)\|", ARCHITECTURE, re.MULTILINE)
    table = {module: sorted(re.findall(r"`(\w+)`", imports)) for module, imports in rows}
    assert sorted(table) == sorted(MODULES)
    for name, module in MODULES.items():
        assert table[name] == sorted(own(module) & MODULES.keys()), name
