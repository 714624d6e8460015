"""What is on disk after a run: owner, mode, what is kept, repaired, refused, and what a failure
leaves (nothing). The place of an output may be hostile: see the attackers in SECURITY."""
import fcntl
import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time

import pytest

from conftest import GROUP, ORDINARY, STATE, in_namespace

GID = grp.getgrnam(GROUP).gr_gid
APP = "games"  # a user that every Debian has: the app's, where a test needs one
APP_UID = pwd.getpwnam(APP).pw_uid


@pytest.fixture
def plain(host):
    """One source, one env output; gives the host and the output's place."""
    host.source("A=1\n")
    host.place = host.output()
    return host


def owner_and_mode(path):
    st = path.stat()
    return st.st_uid, st.st_gid, oct(st.st_mode & 0o7777)


def test_files_are_root_group_0640_and_their_directories_0750(as_root, plain):
    plain.output("toml", "/run/foo/a/b/c.toml")
    plain.ok()
    assert owner_and_mode(plain.place) == (0, GID, "0o640")
    for folder in "etc/foo", "run/foo", "run/foo/a", "run/foo/a/b":
        assert owner_and_mode(plain.root / folder) == (0, GID, "0o750")
    assert owner_and_mode(plain.root / "run/envsync") == (0, 0, "0o700")
    assert owner_and_mode(plain.root / "run/envsync/foo") == (0, 0, "0o700")


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_the_umask_is_no_matter(as_root, plain, umask):
    plain.ok(umask=umask)
    assert owner_and_mode(plain.place) == (0, GID, "0o640")
    assert owner_and_mode(plain.place.parent) == (0, GID, "0o750")


def test_owner_group_and_mode_of_an_output(as_root, host):
    host.source("A=1\n")
    place = host.output(owner=APP, group="nogroup", mode="0400")
    host.ok()
    assert owner_and_mode(place) == (APP_UID, grp.getgrnam("nogroup").gr_gid, "0o400")


def test_an_unchanged_file_keeps_inode_and_times_and_nothing_is_written(plain):
    plain.ok()
    os.utime(plain.place, ns=(10**18, 10**18))
    before, ctime = plain.state(), plain.place.stat().st_ctime_ns
    folder = plain.place.parent.stat().st_mtime_ns
    assert plain.ok().err == ""
    assert plain.state() == before
    assert plain.place.stat().st_ctime_ns == ctime
    assert plain.place.parent.stat().st_mtime_ns == folder


def test_only_the_output_whose_bytes_differ_is_rewritten(host):
    host.source("A=1\nB=1\n")
    one = host.output("env", "/etc/foo/one", include=["A"])
    two = host.output("env", "/etc/foo/two", include=["B"])
    host.ok()
    before = one.stat(), two.stat()
    host.write("source.env", "A=1\nB=2\n")
    assert "/etc/foo/two" in host.ok().err
    assert one.stat().st_ino == before[0].st_ino and one.stat().st_mtime_ns == before[0].st_mtime_ns
    assert two.read_text() == "B=2\n"


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o666, 0o4640])
def test_a_wrong_mode_is_repaired_reported_and_keeps_inode_and_mtime(plain, mode):
    plain.ok()
    before = plain.state()
    plain.place.chmod(mode)
    result = plain.ok()
    assert "repaired" in result.err and "/etc/foo/environment" in result.err
    assert plain.state() == before
    assert plain.ok().err == ""


def test_a_wrong_owner_is_repaired(as_root, plain):
    plain.ok()
    before = plain.state()
    os.chown(plain.place, APP_UID, APP_UID)
    assert "repaired" in plain.ok().err
    assert plain.state() == before


def test_a_file_that_somebody_edited_is_written_again(plain):
    plain.ok()
    plain.place.write_text("A=2\n")
    plain.ok()
    assert plain.place.read_text() == "A=1\n"


def test_a_hard_linked_file_is_replaced_and_the_other_name_keeps_its_bytes(plain):
    plain.ok()
    other = plain.root / "etc/other"
    os.link(plain.place, other)
    plain.place.chmod(0o600)
    plain.ok()
    assert plain.place.stat().st_nlink == other.stat().st_nlink == 1
    assert oct(plain.place.stat().st_mode & 0o777) == "0o640"
    assert oct(other.stat().st_mode & 0o777) == "0o600"


def plant(place, what):
    place.parent.mkdir(parents=True, mode=0o755)
    if what == "symlink":
        (place.parent / "precious").write_text("precious")
        place.symlink_to("precious")
    elif what == "dangling symlink":
        place.symlink_to("nowhere")
    elif what == "FIFO":
        os.mkfifo(place)
    elif what == "directory":
        place.mkdir()
    elif what == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as sock:
            os.chdir(place.parent)
            sock.bind(place.name)


@pytest.mark.parametrize("what", ["symlink", "dangling symlink", "FIFO", "directory", "socket"])
def test_what_is_no_regular_file_in_an_outputs_place_is_73_and_stays(plain, what, monkeypatch):
    monkeypatch.chdir(plain.root)
    other = plain.output("json", "/etc/foo/a.json")
    plant(plain.place, what)
    before = plain.place.lstat()
    plain.fails(73, "/etc/foo/environment", "remove it", timeout=10)
    after = plain.place.lstat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    assert not other.exists() and plain.temps() == []
    if what == "symlink":
        assert (plain.place.parent / "precious").read_text() == "precious"
    assert not (plain.place.parent / "nowhere").exists()


def test_a_parent_that_envsync_may_not_make_must_exist(host):
    host.source("A=1\n")
    host.output(path="/srv/foo/environment")
    host.fails(73, "/srv", "does not exist")
    assert not (host.root / "srv").exists()


def test_a_directory_that_is_a_file_is_73(plain):
    (plain.root / "etc").mkdir()
    (plain.root / "etc/foo").write_text("x")
    plain.fails(73, "/etc/foo")
    assert (plain.root / "etc/foo").read_text() == "x"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
@pytest.mark.parametrize("which", ["etc", "etc/foo"])
def test_a_directory_that_others_may_write_is_77(plain, which, mode):
    plain.place.parent.mkdir(parents=True)
    (plain.root / which).chmod(mode)
    plain.fails(77, which, "chmod")
    assert not plain.place.exists() and plain.temps() == []


@pytest.mark.parametrize("which", ["etc", "etc/foo"])
def test_a_directory_of_a_stranger_is_77(as_root, plain, which):
    plain.place.parent.mkdir(parents=True)
    os.chown(plain.root / which, 4321, 4321)
    plain.fails(77, which)
    assert not plain.place.exists()


def test_the_apps_own_directory_is_written_with_a_warning(as_root, plain):
    plain.top["user"] = APP
    plain.place.parent.mkdir(parents=True, mode=0o750)
    os.chown(plain.place.parent, APP_UID, GID)
    result = plain.ok()
    assert "warning" in result.err and "/run/" in result.err
    assert owner_and_mode(plain.place) == (0, GID, "0o640")


def test_the_owner_of_the_output_counts_as_the_app(as_root, host):
    host.source("A=1\n")
    place = host.output(owner=APP)
    place.parent.mkdir(parents=True)
    os.chown(place.parent, APP_UID, GID)
    assert "warning" in host.ok().err
    assert place.stat().st_uid == APP_UID


def test_a_configuration_that_the_app_can_replace_is_77(as_root, plain):
    """By an output in its directory, say, that is root's and holds what the app has said."""
    plain.top["user"] = APP
    folder = plain.path("conf/deep/foo.toml").parent
    text = plain.file.read_text()
    config, link = plain.write("conf/deep/foo.toml", text), plain.path("link.toml")
    link.symlink_to(config)

    def runs(code):
        for path in config, link:
            result = plain.envsync("sync", "-c", path, "--root", plain.root)
            assert result.rc == code, str(result)
            if code:
                assert str(folder.parent) in result.err and result.err.count("\n") == 1, str(result)
            for written in list(plain.root.iterdir()):
                shutil.rmtree(written)

    runs(0)
    for place in folder, folder.parent:
        for owner, mode, code in (APP_UID, 0o755, 77), (0, 0o777, 77), (0, 0o1777, 0), (4321, 0o755, 0):
            os.chown(place, owner, 0)
            place.chmod(mode)
            runs(code)
        os.chown(place, 0, GID)
        place.chmod(0o775)
        runs(77)
        os.chown(place, 0, 0)
        place.chmod(0o755)


@pytest.mark.parametrize("made", [True, False])
def test_nothing_is_written_or_made_deeper_below_a_directory_of_the_app(as_root, host, made):
    host.top["user"] = APP
    host.source("A=1\n")
    place = host.output(path="/run/foo/deep/environment")
    top = place.parent if made else place.parent.parent
    top.mkdir(parents=True)
    os.chown(host.root / "run/foo", APP_UID, GID)
    host.fails(77, "/run/foo", "app")
    assert not place.exists() and place.parent.exists() == made


def test_a_link_that_the_app_planted_in_its_directory_is_not_followed(as_root, host):
    host.top["user"] = APP
    host.source("A=1\n")
    host.output(path="/run/foo/sub/environment")
    (host.root / "run/foo").mkdir(parents=True)
    (host.root / "etc").mkdir()
    os.chown(host.root / "run/foo", APP_UID, GID)
    (host.root / "run/foo/sub").symlink_to(host.root / "etc")
    os.chown(host.root / "run/foo/sub", APP_UID, GID, follow_symlinks=False)
    host.fails(77, "symbolic link")
    assert not (host.root / "etc/environment").exists()


def test_a_link_of_roots_in_a_directory_of_roots_is_followed(plain):
    (plain.root / "data/foo").mkdir(parents=True)
    (plain.root / "etc").mkdir()
    (plain.root / "etc/foo").symlink_to("../data/foo")
    plain.ok()
    assert (plain.root / "data/foo/environment").read_text() == "A=1\n"


def test_two_names_of_one_place_are_78_and_nothing_is_written(plain):
    """The last one would win, and each run would write both."""
    (plain.root / "var").mkdir(parents=True)
    (plain.root / "var/run").symlink_to("../run")
    plain.output(path="/run/foo/a")
    plain.output(path="/var/run/foo/b")
    plain.ok()
    plain.output(path="/var/run/foo/a")
    for arguments in [], ["--dry-run"]:
        plain.fails(78, "one place", "/run/foo/a", "/var/run/foo/a", run=["sync", "--root", plain.root, *arguments])
    assert sorted(path.name for path in (plain.root / "run/foo").iterdir()) == ["a", "b"]


def test_a_link_to_a_long_path_that_is_not_there_is_73(plain):
    (plain.root / "etc").mkdir()
    (plain.root / "etc/foo").symlink_to("/nowhere/" + 30 * "long/")
    plain.fails(73, "/etc/foo/environment", "does not exist")


def test_a_link_cannot_lead_out_of_the_root(plain, scratch):
    outside = scratch.path("outside/x").parent
    (plain.root / "etc").mkdir()
    (plain.root / "etc/foo").symlink_to(outside)
    assert plain.sync().rc == 73
    (plain.root / "etc/foo").unlink()
    (plain.root / "etc/foo").symlink_to("../../../../../../.." + str(outside))
    assert plain.sync().rc == 73
    assert list(outside.iterdir()) == []


def test_trust_starts_at_the_root_also_below_a_sticky_directory(plain, scratch):
    """pytest's own folders lie below /tmp. Without --root the same place is refused."""
    sticky = scratch.path("sticky/x").parent
    (sticky / "root").mkdir()
    sticky.chmod(0o1777)
    assert plain.run("sync", "--root", sticky / "root").rc == 0
    plain.outputs.clear()
    plain.output(path=str(sticky / "root/environment"))
    done = in_namespace('exec "$@"', *plain.envsync.command, "-c", plain.file)
    assert done.returncode == 77 and "writable for everyone" in done.stderr, done


def test_without_root_option_the_paths_are_those_of_the_host(as_root, plain, scratch):
    plain.outputs.clear()
    plain.output(path="/run/foo/environment")
    script = """"$@"; stat -c '%u %g %a %n' /run/foo/environment /run/foo /run/envsync/foo
        cat /run/foo/environment; ls -A /var/lib"""
    before = [os.path.exists(f"{half}/foo") for half in STATE]
    done = in_namespace(script, *plain.envsync.command, "-c", plain.file)
    assert [os.path.exists(f"{half}/foo") for half in STATE] == before
    assert done.stdout == (f"0 {GID} 640 /run/foo/environment\n0 {GID} 750 /run/foo\n"
                           "0 0 700 /run/envsync/foo\nA=1\n"), done  # fmt: skip
    assert not os.path.exists("/run/foo")


def disk(plain, mount, after=""):
    """A run with a mount below --root. The mount is gone with the namespace, so `after` looks."""
    return in_namespace(
        f'root=$1; shift; {mount}; r=0; "$@" || r=$?; {after}; exit $r',
        plain.root, *plain.envsync.command, "-c", plain.file, "--root", plain.root,
    )  # fmt: skip


LOOK = 'ls -A "$root/etc/foo"; cat "$root/etc/foo/environment"'


def test_a_full_disk_is_73_and_leaves_the_old_files_and_no_temp(as_root, plain):
    plain.write("source.env", "A=" + "x" * 100_000 + "\n")
    mount = """mkdir -p "$root/etc"; mount -t tmpfs -o size=64k,mode=755 none "$root/etc"
        mkdir "$root/etc/foo"; echo OLD=1 >"$root/etc/foo/environment" """
    done = disk(plain, mount, LOOK)
    assert done.returncode == 73 and "No space left" in done.stderr, done
    assert "/etc/foo/environment" in done.stderr
    assert done.stdout == "environment\nOLD=1\n", done


def test_a_full_disk_for_the_second_output_leaves_the_first_as_it_was(as_root, plain):
    plain.write("source.env", "A=" + "x" * 100_000 + "\n")
    plain.output("json", "/run/foo/x.json")
    mount = """mkdir -p "$root/run" "$root/etc/foo"; echo OLD=1 >"$root/etc/foo/environment"
        mount -t tmpfs -o size=64k,mode=755 none "$root/run" """
    done = disk(plain, mount, LOOK + '; ls -A "$root/run/foo"')
    assert done.returncode == 73 and "/run/foo/x.json" in done.stderr, done
    assert done.stdout == "environment\nOLD=1\n", done


def test_a_state_on_a_full_disk_is_73_and_says_where_it_is(as_root, plain):
    plain.write("source.env", "A=" + "x" * 100_000 + "\n")
    mount = """mkdir -p "$root/var/lib" "$root/etc/foo"; echo OLD=1 >"$root/etc/foo/environment"
        mount -t tmpfs -o size=64k,mode=755 none "$root/var/lib" """
    done = disk(plain, mount, LOOK)
    assert done.returncode == 73 and "No space left" in done.stderr, done
    assert f"the state is in {plain.root}/var/lib/envsync/foo and " in done.stderr
    assert done.stdout == "environment\nOLD=1\n", done


def test_a_read_only_etc_is_73_and_names_the_output(as_root, plain):
    mount = """mkdir -p "$root/etc"; mount -t tmpfs -o mode=755 none "$root/etc"; mkdir "$root/etc/foo"
        echo OLD=1 >"$root/etc/foo/environment"; mount -o remount,ro "$root/etc" """
    done = disk(plain, mount, LOOK)
    assert done.returncode == 73 and "/etc/foo/environment" in done.stderr, done
    assert "Read-only" in done.stderr and done.stdout == "environment\nOLD=1\n", done


def test_a_read_only_etc_with_the_right_files_in_it_is_0(as_root, plain):
    mount = f"""mkdir -p "$root/etc"; mount -t tmpfs -o mode=755 none "$root/etc"
        mkdir -m 750 "$root/etc/foo"; echo A=1 >"$root/etc/foo/environment"
        chgrp {GID} "$root/etc/foo/environment"; chmod 640 "$root/etc/foo/environment"
        mount -o remount,ro "$root/etc" """
    assert disk(plain, mount, LOOK).returncode == 0


def test_an_immutable_limit_on_file_sizes_is_73_not_a_dead_process(plain):
    """LimitFSIZE= sends SIGXFSZ."""
    plain.write("source.env", "A=" + "x" * 100_000 + "\n")
    command = ["prlimit", "--fsize=4096", *plain.envsync.command]
    plain.envsync.command = command
    plain.fails(73, "/etc/foo/environment", "File too large")
    assert not plain.place.exists() and plain.temps() == []


def test_what_a_killed_run_left_is_removed_and_nothing_else(plain):
    plain.ok()
    mine = plain.place.parent / ".environment.envsync-abcdefghijk"
    others = [plain.place.parent / name for name in
              (".environment.envsync-short", ".other.envsync-abcdefghijk", "environment.envsync-x",
               ".environment.swp")]  # fmt: skip
    for path in [mine, *others]:
        path.write_text("left")
    plain.ok()
    assert not mine.exists() and all(path.exists() for path in others)


def test_what_a_killed_run_left_is_removed_where_the_output_was_before(plain):
    plain.ok()
    left = plain.place.parent / ".environment.envsync-abcdefghijk"
    left.write_text("left")
    plain.outputs.clear()
    plain.output(path="/run/foo/environment")
    plain.ok()
    assert not left.exists() and plain.place.exists()


def test_a_directory_that_a_killed_run_left_half_made_is_finished(as_root, plain):
    (plain.root / "etc").mkdir()
    (plain.root / "etc/.foo.envsync-new").mkdir(mode=0o700)
    plain.ok()
    assert owner_and_mode(plain.place.parent) == (0, GID, "0o750")
    assert plain.temps() == []


def test_a_second_run_waits_for_the_lock_and_then_is_75(plain):
    plain.ok()
    plain.write("source.env", "A=2\n")
    before = plain.state()
    with open(plain.root / "run/envsync/foo/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begin = time.monotonic()
        result = plain.fails(75, "another run", run=["sync", "--root", plain.root, "--deadline",
                                                     "300ms"])  # fmt: skip
        assert time.monotonic() - begin >= 0.3
        assert "waiting for another run" in result.err
        assert plain.state() == before
        dry = plain.sync("--dry-run")
        assert dry.rc == 0 and "~ A" in dry.out, "a dry run takes no lock: " + str(dry)


def test_a_run_that_waited_goes_on_when_the_lock_is_free(plain):
    plain.ok()
    plain.write("source.env", "A=2\n")
    with open(plain.root / "run/envsync/foo/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [*plain.envsync.command, "-c", plain.file, "--root", plain.root]
        run = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert b"waiting" in run.stderr.readline()
    assert run.wait(10) == 0
    run.stderr.close()
    assert plain.place.read_text() == "A=2\n"


def test_two_configurations_of_one_app_with_two_names_do_not_wait_for_each_other(plain):
    plain.ok()
    with open(plain.root / "run/envsync/foo/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        plain.top["name"] = "bar"
        plain.ok("--deadline", "2s")
    assert stat.S_ISREG((plain.root / "run/envsync/bar/lock").stat().st_mode)


def test_many_runs_at_once_all_succeed_and_readers_see_whole_files(plain):
    texts = [f"A={str(i) * 60_000}\n" for i in range(2)]
    plain.write("source.env", texts[0])
    plain.ok()
    command = [*plain.envsync.command, "-q", "-c", plain.file, "--root", plain.root]
    runs = []
    for i in range(16):
        plain.path("next").write_text(texts[i % 2])
        os.rename(plain.path("next"), plain.path("source.env"))
        runs.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        assert plain.place.read_text() in texts
    for run in runs:
        assert run.communicate(timeout=30)[1] == b"" and run.returncode == 0
    assert plain.temps() == []
    assert plain.place.read_text() in texts


def test_without_root_owner_and_group_stay_the_callers_and_that_is_said_once(guest):
    guest.source("A=1\n")
    place = guest.output()
    guest.output("json", "/etc/foo/x.json")
    os.chown(guest.root, ORDINARY, ORDINARY)
    result = guest.ok()
    assert result.err.count("without root") == 1
    assert owner_and_mode(place) == (ORDINARY, ORDINARY, "0o640")
    assert guest.ok().err == ""


@pytest.mark.parametrize("capability", ["setuid", "setgid", "chown"])
def test_a_missing_capability_is_77_and_is_named(as_root, plain, capability):
    command = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
    plain.envsync.command = [*command, *plain.envsync.command]
    plain.fails(77, f"CAP_{capability.upper()}")
    assert not plain.place.exists() and plain.temps() == []
    if not plain.place.parent.exists():
        plain.place.parent.mkdir(mode=0o750, parents=True)
    plain.fails(77, f"CAP_{capability.upper()}")
    assert not plain.place.exists() and plain.temps() == []


@pytest.mark.bare
def test_a_signal_while_writing_waits_until_everything_is_written(as_root, plain):
    """SIGTERM arrives at the first rename of two: both are done."""
    two = plain.output("json", "/etc/foo/x.json")
    plain.envsync.command = ["strace", "-o", "/dev/null", "-e", "trace=renameat", "-e",
                             "inject=renameat:signal=TERM:when=1", *plain.envsync.command]  # fmt: skip
    result = plain.sync()
    assert result.rc in (0, -signal.SIGTERM), str(result)
    assert plain.place.exists() and two.exists() and plain.temps() == []
