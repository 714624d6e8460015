"""S3, with the built program, against the gateway (and moto behind it)."""
import json
import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest_plugins = ("aws", "swift")

CANARY = "CANARY-51aa"
SETTINGS = """
app = "foo"
group = "root"
deadline = "30s"

[[source]]
name = "bucket"
type = "s3"
bucket = "config"
prefix = "prod"
{options}

[[output]]
path = "/run/foo/config.json"
format = "json"
"""


class Source:
    """One s3 source; calling it runs `envsync sync`."""

    def __init__(self, envsync, scratch, aws):
        self.envsync, self.scratch, self.aws = envsync, scratch, aws

    def __call__(self, options, *arguments, aws=None, **keywords):
        config = self.scratch.config(SETTINGS.replace("{options}", options))
        result = self.envsync("sync", "-c", config, "--root", self.scratch.root, *arguments,
                              env=(aws or self.aws).environment(), **keywords)  # fmt: skip
        assert CANARY not in result.out + result.err
        return result

    def ok(self, options, *arguments, **keywords):
        result = self(options, *arguments, **keywords)
        assert result.rc == 0, result
        return result

    @property
    def merged(self):
        path = self.scratch.root / "run/foo/config.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def files(self):
        """{path below dir: bytes}."""
        top = self.scratch.root / "etc/foo"
        return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}

    def path(self, name):
        return self.scratch.root / "etc/foo" / name

    def gets(self):
        return [r for r in self.aws.requests() if r["operation"] == "GetObject"]


@pytest.fixture
def s3(envsync, scratch, gateway):
    return Source(envsync, scratch, gateway)


def fill(gateway, objects, bucket="config"):
    """{key below prod/: text or fixture; None removes it}."""
    gateway.fixtures(buckets={bucket: {"objects": {f"prod/{key}": given for key, given in objects.items()}}})


MIRROR = 'mirror = ["**"]\ndir = "/etc/foo"\n'


# ---- merged ----


def test_objects_merge_in_key_order(s3, gateway):
    fill(gateway, {"b.env": "A=2\nB=2\n", "a.toml": 'A = "1"\nx.y = 1\n', "c.json": '{"x": {"z": true}}'})
    s3.ok('merge = ["*.env", "*.toml", "*.json"]')
    assert s3.merged == {"A": "2", "B": "2", "x": {"y": 1, "z": True}}


def test_all_of_several_thousand_objects_are_listed(s3, gateway):
    fill(gateway, {f"d/{n:05}.txt": "" for n in range(2500)} | {"z.env": "LAST=1\n"})
    s3.ok('merge = ["*.env"]')
    assert s3.merged == {"LAST": "1"}
    assert [r["operation"] for r in gateway.requests()] == ["ListObjectsV2"] * 3 + ["GetObject"]


def test_a_star_stays_in_its_folder_and_two_cross(s3, gateway):
    fill(gateway, {"a.env": "A=1\n", "x/b.env": "B=1\n", "x/y/c.env": "C=1\n"})
    s3.ok('merge = ["*.env"]')
    assert s3.merged == {"A": "1"}
    s3.ok('merge = ["x/*.env"]')
    assert s3.merged == {"B": "1"}
    s3.ok('merge = ["**/*.env"]')
    assert s3.merged == {"A": "1", "B": "1", "C": "1"}


def test_what_neither_list_takes_is_passed_over_and_v_says_so(s3, gateway):
    fill(gateway, {"a.env": "A=1\n", "notes.txt": "x"})
    assert "notes.txt" not in s3.ok('merge = ["*.env"]').err
    assert "notes.txt" in s3.ok('merge = ["*.env"]', "-v", "--fresh").err


def test_an_object_that_cannot_be_parsed_is_65_with_its_line(s3, gateway):
    fill(gateway, {"a.env": f"A=1\nno assignment {CANARY}\n"})
    result = s3('merge = ["*.env"]')
    assert result.rc == 65 and "prod/a.env:2" in result.err and s3.merged is None, result


def test_what_no_format_knows_is_65_and_to_be_mirrored(s3, gateway):
    fill(gateway, {"vm.args": "-name x"})
    result = s3('merge = ["*"]')
    assert result.rc == 65 and "vm.args" in result.err and "mirror" in result.err, result
    assert s3.gets() == []


def test_an_object_over_a_mebibyte_is_65(s3, gateway):
    fill(gateway, {"a.env": {"size": (1 << 20) + 1}})
    result = s3('merge = ["*"]')
    assert result.rc == 65 and "MiB" in result.err and s3.gets() == [], result


# ---- mirrored ----


HOSTILE = ["plus+and space", "percent%2Fslash", "100%", "a&b<c>\"d'", "é€😀", "semi;colon?question#hash", "~tilde",
           "-dash", ".hidden", "k" * 255, "deep/" * 50 + "end", "new\nline", "back\\slash", "trailing "]  # fmt: skip


def test_hostile_keys_become_files_of_just_that_name(s3, gateway):
    fill(gateway, {key: f"of {number}" for number, key in enumerate(HOSTILE)})
    s3.ok(MIRROR)
    assert s3.files == {key: f"of {number}".encode() for number, key in enumerate(HOSTILE)}


@pytest.mark.parametrize("key", ["../up", "a/../../up", "/abs", "a//b", "./a", "a/.", "a/", "x" * 256, "a/" * 51 + "x"])
def test_a_key_that_could_leave_dir_is_65_before_anything_is_fetched(s3, gateway, key):
    fill(gateway, {"good": "1", key: CANARY})
    result = s3(MIRROR)
    assert result.rc == 65, result
    assert s3.gets() == [] and s3.files == {}
    assert not (s3.scratch.root / "etc/up").exists() and not (s3.scratch.root / "up").exists()


def test_the_same_key_is_passed_over_with_a_warning_where_no_pattern_takes_it(s3, gateway):
    fill(gateway, {"good.pem": "1", "../up": CANARY})
    result = s3.ok('mirror = ["*.pem"]\ndir = "/etc/foo"')
    assert "../up" in result.err and s3.files == {"good.pem": b"1"}


def test_a_file_and_a_directory_of_one_name_are_65(s3, gateway):
    fill(gateway, {"a": "1", "a/b": "2"})
    result = s3(MIRROR)
    assert result.rc == 65 and "prod/a/b" in result.err and s3.files == {}, result


def test_two_sources_that_mirror_one_path_are_65_and_nothing_is_written(s3, gateway):
    fill(gateway, {"k.pem": "key"})
    second = '[[source]]\nname = "other"\ntype = "s3"\nbucket = "config"\nprefix = "prod"\n'
    result = s3(MIRROR + second + MIRROR)
    assert result.rc == 65 and "k.pem" in result.err and "other" in result.err, result
    assert s3.files == {}


@pytest.mark.parametrize("directory, key, words", [
    ("/run/foo", "config.json", "place of an output"), ("/run/foo/", "config.json", "place of an output"),
    ("/run", "foo", "place of an output, /run/foo/config.json"), ("/run/foo/", "config.json/x", "place of an output"),
    ("{folder}/", "envsync.toml", "place of the configuration"),
])  # fmt: skip
def test_a_file_in_the_place_of_another_is_65_and_nothing_is_written(s3, gateway, directory, key, words):
    fill(gateway, {key: CANARY})
    result = s3(f'mirror = ["**"]\ndir = "{directory.format(folder=s3.scratch.folder)}"')
    assert result.rc == 65 and words in result.err, result
    assert not [path for path in s3.scratch.root.rglob("*") if path.is_file() and "envsync" not in str(path.relative_to(s3.scratch.root))]


def test_directory_markers_are_skipped(s3, gateway):
    fill(gateway, {"": "", "d/": "", "d/x": "1"})
    s3.ok(MIRROR)
    assert s3.files == {"d/x": b"1"}


def test_modes_are_those_asked_for(s3, gateway):
    fill(gateway, {"d/x": "1"})
    s3.ok(MIRROR)
    assert stat.S_IMODE(s3.path("d/x").stat().st_mode) == 0o640
    assert stat.S_IMODE(s3.path("d").stat().st_mode) == 0o750
    s3.ok(MIRROR + 'mode = "0600"\ndir_mode = "0700"', "--fresh")
    assert stat.S_IMODE(s3.path("d/x").stat().st_mode) == 0o600


def test_both_lists_may_take_an_object(s3, gateway):
    fill(gateway, {"a.env": "A=1\n", "vm.args": "-name x"})
    s3.ok('merge = ["*.env"]\n' + MIRROR)
    assert s3.merged == {"A": "1"}
    assert s3.files == {"a.env": b"A=1\n", "vm.args": b"-name x"}


def test_unchanged_objects_are_not_fetched_again(s3, gateway):
    fill(gateway, {"a.env": "A=1\n", "b.env": "B=1\n", "k.pem": "key", "l.pem": "old"})
    options = 'merge = ["*.env"]\nmirror = ["*.pem"]\ndir = "/etc/foo"'
    s3.ok(options)
    gateway.forget()
    fill(gateway, {"b.env": "B=2\n", "l.pem": "new"})
    s3.ok(options)
    assert sorted(r["path"].split("/")[-1] for r in s3.gets()) == ["b.env", "l.pem"]
    assert s3.merged == {"A": "1", "B": "2"}
    assert s3.files == {"k.pem": b"key", "l.pem": b"new"}


def test_an_object_that_a_list_takes_newly_is_fetched_for_it(s3, gateway):
    fill(gateway, {"a.env": "A=1\n"})
    s3.ok(MIRROR)
    s3.ok('merge = ["*.env"]\n' + MIRROR)
    assert s3.merged == {"A": "1"}


def test_an_exact_mtime_is_set_and_compared(s3, gateway):
    fill(gateway, {"a": {"text": "1", "modified": 1_700_000_000}})
    s3.ok(MIRROR + "exact_mtime = true")
    assert s3.path("a").stat().st_mtime == 1_700_000_000
    gateway.forget()
    fill(gateway, {"a": {"text": "1", "modified": 1_700_000_100}})
    s3.ok(MIRROR + "exact_mtime = true")
    assert len(s3.gets()) == 1
    assert s3.path("a").stat().st_mtime == 1_700_000_100


def test_prune_removes_what_the_bucket_no_longer_has_and_nothing_else(s3, gateway):
    fill(gateway, {"a": "1", "d/b": "2"})
    s3.ok(MIRROR + "prune = true")
    s3.path("mine").write_text("not mirrored")
    fill(gateway, {"d/b": None})
    s3.ok(MIRROR + "prune = true")
    assert s3.files == {"a": b"1", "mine": b"not mirrored"}


def test_what_prune_removes_is_told_like_every_change(s3, gateway):
    fill(gateway, {"a": "1", "b": "2", "d/c": "3"})
    s3.ok(MIRROR + "prune = true")
    fill(gateway, {"d/c": None})
    gone = s3.path("d/c")
    dry = s3(MIRROR + "prune = true", "--dry-run", "--exit-code")
    assert dry.rc == 1 and dry.out.splitlines()[1:] == ["- /etc/foo/d/c  (bucket)"], dry
    assert gone.exists()
    result = s3.ok(MIRROR + "prune = true")
    assert "/etc/foo/d/c: removed" in result.err and not gone.exists(), result
    assert "1 of 3 mirrored files" in result.err, result
    fill(gateway, {"b": None})
    found = json.loads(s3.ok(MIRROR + "prune = true", "--json").out)
    assert found["result"] == "changed"
    assert [file["path"] for file in found["files"] if file["state"] == "removed"] == ["/etc/foo/b"]
    assert s3(MIRROR + "prune = true", "--dry-run", "--exit-code").rc == 0


def test_an_object_that_never_comes_is_waited_for_and_told_so(s3, gateway):
    """Its connection is the one of the listing: there is no looking up and no connecting."""
    fill(gateway, {"a.env": "A=1\n"})
    gateway.faults({"action": "stall", "operation": "GetObject"})
    result = s3('merge = ["*.env"]', "--deadline", "2s")
    assert result.rc == 69 and "prod/a.env" in result.err and "while waiting for its answer" in result.err, result


def test_a_file_and_a_directory_never_take_each_others_place(s3, gateway):
    fill(gateway, {"a": "1", "d/x": "2"})
    s3.ok(MIRROR)
    before = s3.files
    fill(gateway, {"a": None, "a/b": "1"})
    result = s3(MIRROR + "prune = true")
    assert result.rc == 73 and "/etc/foo/a is no directory; remove it" in result.err, result
    fill(gateway, {"a/b": None, "d/x": None, "d": "2"})
    result = s3(MIRROR + "prune = true")
    assert result.rc == 73 and "/etc/foo/d: a directory is in its place; remove it" in result.err, result
    assert s3.files == before


def test_a_mirror_of_many_files_names_twenty_and_with_v_each(s3, gateway):
    fill(gateway, {f"{n:03}.txt": "old" for n in range(30)})
    told = s3.ok(MIRROR).err
    assert told.count(".txt: created") == 20 and "10 more mirrored files" in told
    fill(gateway, {f"{n:03}.txt": "new" for n in range(30)})
    told = s3.ok(MIRROR, "-v").err
    assert told.count(": updated") == 30 and "more mirrored" not in told
    fill(gateway, {f"{n:03}.txt": None for n in range(1, 30)})
    assert s3.ok(MIRROR + "prune = true\n").err.count(": removed") == 29


def test_a_mirror_without_an_output_is_not_called_idle(envsync, scratch, gateway):
    fill(gateway, {"a": "1"})
    config = scratch.config(SETTINGS.split("[[output]]")[0].replace("{options}", MIRROR))
    for command in ("check",), ("sync", "--root", scratch.root):
        result = envsync(command[0], "-c", config, *command[1:], env=gateway.environment())
        assert result.rc == 0 and "nothing is written" not in result.err, result


def test_prune_that_comes_later_removes_what_was_gone_before_and_tells_it(s3, gateway):
    fill(gateway, {"a": "1", "b": "2", "c": "3"})
    s3.ok(MIRROR)
    fill(gateway, {"b": None})
    s3.ok(MIRROR)
    assert s3.path("b").exists()
    fill(gateway, {"c": None})
    dry = s3(MIRROR + "prune = true", "--dry-run", "--exit-code")
    assert dry.rc == 1 and dry.out.count("- /etc/foo/") == 2, dry
    result = s3.ok(MIRROR + "prune = true")
    assert s3.files == {"a": b"1"}, result
    assert "/etc/foo/b: removed" in result.err and "/etc/foo/c: removed" in result.err, result


def test_prune_that_comes_with_another_bucket_removes_nothing_of_the_old_one(s3, gateway):
    fill(gateway, {"a": "1", "b": "2"})
    s3.ok(MIRROR)
    fill(gateway, {"b": None})
    s3.ok(MIRROR)
    fill(gateway, {"a": "1"}, "other")
    settings = SETTINGS.replace('"config"', '"other"').replace("{options}", MIRROR + "prune = true")
    result = s3.envsync("sync", "-c", s3.scratch.config(settings), "--root", s3.scratch.root,
                        env=gateway.environment())  # fmt: skip
    assert result.rc == 0 and set(s3.files) == {"a", "b"}, result


OBJECTS = {"a.pem": {"text": "a1"}, "b.pem": {"text": "b1"}}


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_last_good_counts_only_with_every_mirrored_file_in_its_place(s3, gateway, what):
    """No second copy of them is kept: what is not there cannot be put back."""
    options = MIRROR + 'on_unavailable = "last-good"\n'
    fill(gateway, OBJECTS)
    s3.ok(options)
    gateway.faults({"action": "error", "status": 503, "code": "SlowDown"})
    assert "last good values" in s3.ok(options, "--deadline", "1s").err
    s3.path("a.pem").unlink() if what == "removed" else s3.path("a.pem").write_text("a0")
    result = s3(options, "--deadline", "1s")
    assert result.rc == 69 and "/etc/foo/a.pem is not as it was mirrored" in result.err
    gateway.faults()
    s3.ok(options)
    assert s3.files == {"a.pem": b"a1", "b.pem": b"b1"}


def test_a_set_without_one_of_its_mirrored_files_is_not_fresh(s3, gateway):
    fill(gateway, OBJECTS)
    config = SETTINGS.replace("deadline", 'fresh_for = "1h"\ndeadline').replace("{options}", MIRROR)
    for expected in 1, 0, 1:
        gateway.forget()
        s3.envsync.ok("sync", "-c", s3.scratch.config(config), "--root", s3.scratch.root,
                      env=gateway.environment())  # fmt: skip
        assert len(gateway.requests(operation="ListObjectsV2")) == expected
        if expected == 0:
            s3.path("b.pem").unlink()
    assert s3.files == {"a.pem": b"a1", "b.pem": b"b1"}


def test_an_empty_listing_before_a_prune_is_66_and_removes_nothing(s3, gateway):
    fill(gateway, {"a": "1"})
    s3.ok(MIRROR + "prune = true")
    fill(gateway, {"a": None})
    result = s3(MIRROR + "prune = true")
    assert result.rc == 66 and s3.files == {"a": b"1"}, result


def test_archived_objects_are_skipped_by_mirror_and_66_for_merge(s3, gateway):
    fill(gateway, {"a.env": {"text": "A=1\n", "storage_class": "GLACIER"}, "b.env": "B=1\n",
                   "c.env": {"text": "C=1\n", "storage_class": "DEEP_ARCHIVE", "restored": True}})  # fmt: skip
    result = s3.ok(MIRROR)
    assert "a.env" in result.err and set(s3.files) == {"b.env", "c.env"}
    assert s3('merge = ["*.env"]').rc == 66


def test_a_large_object_streams_through_in_constant_memory(s3, gateway):
    size = 1 << 30
    fill(gateway, {"large": {"size": size, "checksum": "sha256"}})
    config = s3.scratch.config(SETTINGS.replace("{options}", MIRROR).replace("30s", "120s"))
    process = subprocess.Popen([*s3.envsync.command, "-c", config, "--root", s3.scratch.root],
                               env=s3.envsync.environment(gateway.environment()))  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)     # the larger of both programs
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert s3.path("large").stat().st_size == size
    assert usage.ru_maxrss < 500 << 10  # KiB; a sanitizer alone keeps 256 MiB of what was freed


# ---- on the way ----


def test_each_get_is_bound_to_what_was_listed(s3, gateway):
    fill(gateway, {"a": "1"})
    s3.ok(MIRROR)
    (get,) = s3.gets()
    headers = {name.lower(): value for name, value in get["headers"]}
    assert headers["if-match"].startswith('"') and headers["x-amz-checksum-mode"] == "ENABLED"


@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_right_checksums_pass_and_wrong_ones_are_65(s3, gateway, algorithm):
    fill(gateway, {"a": {"text": "123456789", "checksum": algorithm}})
    s3.ok(MIRROR)
    fill(gateway, {"a": {"text": "1234567890", "checksum": algorithm}})
    gateway.faults({"action": "wrong_checksum", "operation": "GetObject"})
    result = s3(MIRROR)
    assert result.rc == 65 and "prod/a" in result.err, result
    assert s3.files == {"a": b"123456789"}


@pytest.mark.parametrize("action", ["truncate", "close", "reset"])
def test_a_broken_body_starts_the_object_again(s3, gateway, action):
    body = "".join(f"{n:063}\n" for n in range(4000))
    fill(gateway, {"a": body})
    gateway.faults({"action": action, "operation": "GetObject", "count": 1})
    s3.ok(MIRROR)
    assert s3.files == {"a": body.encode()}


def test_an_error_document_in_a_200_is_tried_again(s3, gateway):
    fill(gateway, {"a": "1"})
    gateway.faults({"action": "error_in_200", "operation": "ListObjectsV2", "count": 1})
    s3.ok(MIRROR)
    assert s3.files == {"a": b"1"}


def test_an_object_that_changes_after_the_listing_has_it_listed_again(s3, gateway):
    fill(gateway, {"a": "1", "b": "2"})
    gateway.faults({"action": "precondition_failed", "operation": "GetObject", "count": 1})
    s3.ok(MIRROR)
    assert s3.files == {"a": b"1", "b": b"2"}
    assert [r["operation"] for r in gateway.requests()].count("ListObjectsV2") == 2


def test_a_wrong_etag_never_reaches_a_file(s3, gateway):
    fill(gateway, {"a": CANARY})
    gateway.faults({"action": "wrong_etag", "operation": "GetObject"})
    result = s3(MIRROR)
    assert result.rc == 69 and s3.files == {}, result


def test_a_listing_that_goes_in_a_circle_is_65(s3, gateway):
    fill(gateway, {f"{n:04}": "" for n in range(1500)})
    gateway.faults({"action": "repeat_token", "operation": "ListObjectsV2"})
    assert s3(MIRROR).rc == 65


# ---- refusals ----


def test_a_prefix_without_objects_and_a_missing_bucket_are_66(s3, gateway):
    fill(gateway, {}, "config")
    result = s3(MIRROR)
    assert result.rc == 66 and "prod/" in result.err, result
    result = s3(MIRROR + '\n[[source]]\nname = "b"\ntype = "s3"\nbucket = "nowhere"\nmerge = ["*"]\n')
    assert result.rc == 66, result


def test_a_denial_names_what_to_allow(s3, gateway):
    fill(gateway, {"a": CANARY})
    gateway.faults({"action": "access_denied", "operation": "ListObjectsV2"})
    result = s3(MIRROR)
    assert result.rc == 77 and "s3:ListBucket" in result.err and "arn:aws:s3:::config" in result.err, result
    gateway.faults({"action": "access_denied", "operation": "GetObject"})
    result = s3(MIRROR)
    assert result.rc == 77 and "s3:GetObject" in result.err and "config/prod/a" in result.err, result
    assert s3.files == {}


def test_what_is_answered_after_a_denial_changes_no_exit_code(s3, gateway):
    """With -v each answer is told, those too that come when the source has failed already."""
    fill(gateway, {f"{n:02}": CANARY for n in range(40)})
    gateway.faults({"action": "access_denied", "operation": "GetObject"})
    for _ in range(4):
        result = s3(MIRROR, "-v")
        assert result.rc == 77 and "s3:GetObject" in result.err, result


@pytest.mark.parametrize("options", [
    "", 'mirror = ["**"]', 'merge = ["*"]\ndir = "/etc/foo"', 'merge = ["/x"]', 'merge = ["a**"]',
    'merge = ["*"]\nprune = true', 'merge = ["*"]\nexpected_bucket_owner = "me"',
])  # fmt: skip
def test_what_cannot_be_meant_is_78_and_asks_nobody(s3, gateway, options):
    result = s3(options)
    assert result.rc == 78, result
    assert gateway.requests() == []


def test_moto_gives_the_same(envsync, scratch, aws):
    s3 = Source(envsync, scratch, aws)
    client = aws.moto("s3")
    client.create_bucket(Bucket="config", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for number, key in enumerate(["a.env", "plus+ é", "d/x.pem"]):
        client.put_object(Bucket="config", Key=f"prod/{key}", Body=f"K{number}=1\n".encode())
    s3.ok('merge = ["*.env"]\n' + MIRROR)
    assert s3.merged == {"K0": "1"}
    assert s3.files == {"a.env": b"K0=1\n", "plus+ é": b"K1=1\n", "d/x.pem": b"K2=1\n"}


def test_swift_gives_the_same_hostile_keys_and_pages(envsync, scratch, swift):
    """Its page holds a hundred keys."""
    s3 = Source(envsync, scratch, swift)
    client = swift.client()
    client.create_bucket(Bucket="config")
    keys = {key: f"of {number}".encode() for number, key in enumerate(HOSTILE)} | {f"n/{n:04}": b"x" for n in range(105)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: client.put_object(Bucket="config", Key=f"prod/{key}", Body=keys[key]), keys))
    s3.ok('mirror = ["*", "deep/**", "n/010*"]\ndir = "/etc/foo"')
    assert s3.files == {key: body for key, body in keys.items() if not key.startswith("n/00")}
