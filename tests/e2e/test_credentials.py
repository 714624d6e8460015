"""The credentials of a unit as a source. test_boot_unit.py has them from a real systemd."""
import os

import pytest


@pytest.fixture
def credentials(host):
    """Puts credentials into a directory as systemd makes it, anew each time; gives the variable."""
    folder = host.path("credentials/foo.service/x").parent

    def put(**files):
        for path in folder.iterdir():
            path.unlink()
        for name, text in files.items():
            path = folder / name.replace("__", ".")
            path.write_text(text)
            path.chmod(0o400)
        return {"env": {"CREDENTIALS_DIRECTORY": str(folder)}}

    return put


def test_each_credential_is_a_variable_and_a_document_many(host, credentials):
    host.source(type="credentials")
    written = host.output()
    given = credentials(**{"db-password": "two words\n", "PORT": "4000", "app__json": '{"a": {"b": 1}}'})
    host.ok(**given)
    assert written.read_text() == "A_B=1\nDB_PASSWORD='two words'\nPORT=4000\n"
    told = host.run("explain", "--fetch", "DB_PASSWORD", **given).out
    assert "from    credentials: db-password\n" in told


def test_new_files_with_the_same_content_are_no_new_set(host, credentials):
    host.source(type="credentials")
    host.output()
    host.ok(**credentials(a="1", b__env="B=2\n"))
    before = host.kept()
    given = credentials(a="1", b__env="B=2\n")
    for path in host.path("credentials/foo.service").iterdir():
        os.utime(path, (1, 1))
    host.ok(**given)
    assert host.kept() == before


def test_without_credentials_the_source_is_absent(host, credentials):
    host.source(type="credentials")
    host.output()
    host.fails(66, "source credentials", "LoadCredential=")
    host.fails(66, "/nowhere", env={"CREDENTIALS_DIRECTORY": "/nowhere"})
    host.sources.clear()
    host.source(type="credentials", optional=True)
    host.source("A=1\n")
    host.ok()


def test_a_credential_that_is_missing_is_named(host, credentials):
    host.source(type="credentials", names=["a", "db-*"])
    host.output()
    host.fails(66, "db-*", "LoadCredential=", **credentials(a="1", c="2"))


def test_what_the_last_run_wrote_is_not_where_credentials_are_looked_for(host, credentials):
    host.source(f"CREDENTIALS_DIRECTORY={host.scratch.folder}\n")
    host.output(allow=["CREDENTIALS_DIRECTORY"])
    host.ok()
    host.source(type="credentials")
    host.fails(66, "CREDENTIALS_DIRECTORY is not set", **credentials(a="1"))


def test_aws_takes_its_keys_from_a_credential(host, credentials):
    host.source(type="ssm", path="/foo/", region="eu-west-1", endpoint="http://127.0.0.1:1")
    keys = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = CANARY\n"
    given = credentials(aws=keys)["env"]
    given["AWS_SHARED_CREDENTIALS_FILE"] = given["CREDENTIALS_DIRECTORY"] + "/aws"
    told = host.run("check", "--credentials", env=given)
    assert told.rc == 0, str(told)
    assert 'profile "default"' in told.out and "CANARY" not in told.out + told.err
