"""envsync in the unit of an app, as the README shows it, under a real systemd as PID 1."""
import pytest

pytestmark = pytest.mark.boot

PRE = """
[Service]
ExecStartPre=!/usr/bin/envsync -c /etc/envsync/%p.toml
EnvironmentFile=-/run/%p/environment
UnsetEnvironment=LD_PRELOAD
"""

# What a test looks at: the environment that the app got.
APP = """
[Service]
Type=oneshot
User=app
Group=app
ExecStart=/bin/cat /proc/self/environ
StandardOutput=truncate:/run/dump/%p
"""


class Unit:
    """An app of the machine with its configuration, unit and drop-in."""

    def __init__(self, machine, name, config, app=APP, pre=PRE, more=""):
        self.machine, self.name = machine, name
        machine.run("mkdir", "-p", "/run/dump")
        machine.write(f"/etc/envsync/{name}.toml", f'app = "{name}"\ngroup = "app"\n{config}')
        machine.write(f"/etc/systemd/system/{name}.service.d/envsync.conf", pre)
        machine.unit(f"{name}.service", app + more)

    def start(self, check=True):
        return self.machine.start(f"{self.name}.service", check=check)

    @property
    def got(self):
        """The variables that the app saw, as text."""
        dump = self.machine.read(f"/run/dump/{self.name}").decode()
        return dict(entry.split("=", 1) for entry in dump.split("\0") if entry)

    @property
    def journal(self):
        return self.machine.journal(f"{self.name}.service")


def env_output(name, **options):
    more = "".join(f"{key} = {value}\n" for key, value in options.items())
    return f'[[output]]\npath = "/run/{name}/environment"\nformat = "env"\n{more}'


AWS_KEYS = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = CANARY\n"
CREDENTIALS = """
[Service]
LoadCredential=db-password:/srv/secret
SetCredential=more.env:PORT=4000
LoadCredential=aws:/srv/aws
Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws
"""


def test_credentials_of_the_unit_are_a_source(machine):
    machine.write("/srv/secret", "two words\n", mode="0400")
    machine.write("/srv/aws", AWS_KEYS, mode="0400")
    config = '[[source]]\ntype = "credentials"\nexclude = ["aws"]\n' + env_output("cred")
    unit = Unit(machine, "cred", config, more=CREDENTIALS)
    unit.start()
    assert (unit.got["DB_PASSWORD"], unit.got["PORT"]) == ("two words", "4000")
    assert "AWS" not in unit.got


def test_a_credential_is_the_file_with_awss_keys(machine):
    machine.write("/srv/aws", AWS_KEYS, mode="0400")
    config = '[[source]]\ntype = "ssm"\npath = "/foo/"\nregion = "eu-west-1"\n' + env_output("keys")
    pre = PRE.replace("envsync -c", "envsync check --credentials -c")
    unit = Unit(machine, "keys", config, pre=pre, more=CREDENTIALS + "StandardOutput=journal\n")
    unit.start()
    assert 'source ssm: credentials: profile "default": keys' in unit.journal
    assert "CANARY" not in unit.journal
