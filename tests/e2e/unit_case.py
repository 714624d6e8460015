"""What the tests of `check --unit` share: both safe layouts, and a configuration that has everything."""
import re

import pytest

from conftest import GROUP, table

# The safe layout in which the app's own unit runs envsync.
SAFE = """[Unit]
After=network-online.target cloud-config.target
Wants=network-online.target cloud-config.target

[Service]
Type=simple
User=daemon
RuntimeDirectory=foo/tmp
EnvironmentFile=-/run/foo/environment
UnsetEnvironment=LD_PRELOAD
ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml
ExecStart=/srv/foo/bin/foo start
TimeoutStartSec=90
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

# The other one: a oneshot writes, and the app requires it.
ONESHOT = """[Unit]
After=network-online.target cloud-config.target
Wants=network-online.target

[Service]
Type=oneshot
Group=daemon
ExecStart=/usr/bin/envsync -c /etc/envsync/%i.toml
RuntimeDirectory=foo envsync
RuntimeDirectoryMode=0750
RuntimeDirectoryPreserve=yes
StateDirectory=envsync
ConfigurationDirectory=foo
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
NoNewPrivileges=yes
SystemCallFilter=@system-service
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictSUIDSGID=yes
"""

APP = """[Unit]
Requires=envsync@foo.service
After=envsync@foo.service

[Service]
User=daemon
EnvironmentFile=/run/foo/environment
ExecStart=/srv/foo/bin/foo start
"""


class Case:
    """A configuration that has everything, and a unit to hold beside it."""

    def __init__(self, scratch, envsync):
        self.scratch, self.envsync = scratch, envsync
        self.top = {"app": "foo", "group": GROUP, "deadline": "45s"}
        self.tables = [
            table("source", type="ssm", name="params", path="/foo/", region="eu-west-1"),
            table("source", type="s3", bucket="b", mirror=["*.pem", "env*"], dir="/etc/foo/certs", region="eu-west-1"),
            table("source", type="cloud-init", keys={"A": "${region}"}),
            table("output", path="/run/foo/environment", format="env"),
            table("output", path="/etc/foo/config.toml", format="toml", from_=["params"]),
        ]  # fmt: skip

    def check(self, unit=SAFE, name="foo.service", config="foo.toml", **keywords):
        """Runs the check. Findings as [(level, line, text)]."""
        top = "".join(f'{key} = "{value}"\n' for key, value in self.top.items())
        path = self.scratch.config(top + "".join(self.tables), config)
        unit = self.scratch.write(name, unit)
        result = self.envsync("check", "-c", path, "--unit", unit, **keywords)
        pattern = r"envsync: (error|warning): \S*?([^/\s]+):(\d+): (.*)"
        self.found = [(level, file, int(line), text)
                      for level, file, line, text in re.findall(pattern, result.err)]  # fmt: skip
        errors = [found for found in self.found if found[0] == "error"]
        assert result.rc == (78 if errors else 0), str(result)
        assert ("foo.toml: fine" in result.err) == (not errors), str(result)
        return result

    def only(self, level, line, *words, file="foo.service"):
        """There is one finding, of this level, at the line with this text, with these words."""
        assert len(self.found) == 1, self.found
        self.has(level, line, *words, file=file)

    def has(self, level, line, *words, file="foo.service"):
        text = self.scratch.path(file).read_text().splitlines()
        hits = [found for found in self.found
                if found[:2] == (level, file) and text[found[2] - 1] == line
                and all(word in found[3] for word in words)]  # fmt: skip
        assert hits, f"{level} {line} {words}: {self.found}"


@pytest.fixture
def case(scratch, envsync):
    return Case(scratch, envsync)
