"""`check --unit` on units of others, tests/vectors/units: what each of them lacks."""
import pytest

from conftest import SRCDIR, table
from unit_case import case

UNITS = SRCDIR / "tests" / "vectors" / "units"
OTHERS = {
    "haikuter": [
        ("error", "[Service]", "haikuter.service does not run envsync"),
        ("error", "[Unit]", "After=network-online.target and Wants=network-online.target"),
        ("warning", "[Service]", "nothing in the unit reads /run/haikuter/environment"),
    ],
    "my_phoenix_app": [
        ("error", "[Service]", "does not run envsync"),
        ("error", "After=network.target", "network.target is reached before the network is up"),
        ("error", "EnvironmentFile=/etc/default/my_phoenix_app.env", "write EnvironmentFile=-/etc/default"),
        ("warning", "[Service]", "UnsetEnvironment=LD_PRELOAD"),
    ],
    "foo-bar": [
        ("error", "[Service]", "does not run envsync"),
        ("error", "After=local-fs.target network.target cloud-init.target", "network.target is reached before"),
        ("error", "After=local-fs.target network.target cloud-init.target", "ordering cycle"),
        ("error", "EnvironmentFile=-/etc/foo-bar/environment", "is foo-bar's, by ConfigurationDirectory="),
        ("error", "EnvironmentFile=-/run/foo-bar/environment", "is foo-bar's, by RuntimeDirectory="),
        ("warning", "ExecStartPre=!/srv/foo-bar/bin/deploy-sync-config-s3", "UnsetEnvironment=LD_PRELOAD"),
    ],
    "puma": [
        ("error", "[Service]", "does not run envsync"),
        ("error", "After=network.target", "network.target is reached before the network is up"),
        ("warning", "[Service]", "nothing in the unit reads /run/puma/environment"),
    ],
}  # fmt: skip
OTHERS["foo-bar-paranoia"] = [*OTHERS["foo-bar"], ("error", "PrivateUsers=yes", "worker")]
OTHERS["puma-forking"] = [
    ("warning", "Unit]", "down to line 6", "is a header misspelt?"),
    *OTHERS["puma"][:1],
    ("error", "Unit]", "nothing orders the unit after it"),
    *OTHERS["puma"][2:],
]


@pytest.mark.parametrize("name", OTHERS)
def test_units_of_others_are_told_what_they_lack(case, name):
    app = name.replace("-paranoia", "").replace("-forking", "")
    path = f"/etc/default/{app}.env" if app == "my_phoenix_app" else f"/run/{app}/environment"
    case.top["app"] = app
    sources = case.tables[0:3:2] if app == "foo-bar" else case.tables[:1]  # this one waits for cloud-init
    case.tables = [*sources, table("output", path=path, format="env")]
    case.check((UNITS / f"{name}.service").read_text(), f"{name}.service", f"{app}.toml")
    for level, line, *words in OTHERS[name]:
        case.has(level, line, *words, file=f"{name}.service")
    assert len(case.found) == len(OTHERS[name]), case.found
