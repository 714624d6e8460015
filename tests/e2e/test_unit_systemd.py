"""envsync's reading of a unit, against the real systemd's: words, resets, drop-ins, the sandbox."""
import json
import subprocess

import pytest

pytestmark = pytest.mark.boot

# Each line calls a program that keeps its arguments. Everything about words that differs from shells.
LINES = r"""
/srv/keep plain two  three
/srv/keep 'single quoted' "double quoted" mid'dle'd "a""b" ''
/srv/keep \x41 \101 \u00e9 \U0001f600 a\sb a\tb a\nb \\ \" \' "\x41\n" '\x42\t'
/srv/keep \q "\q" end\ space \;x x\; ; /srv/keep second command
/srv/keep a ; \
  /srv/keep b \
# a comment in between
; also a comment
  c
/srv/keep semi \; still ";" ';' a;b
@/srv/keep called this way
-/srv/keep failing -
!/srv/keep bang
+/srv/keep plus
-+/srv/keep both
:/srv/keep no $EXPANSION
/srv/keep %% %n %N %p %i %I %j %t %S %C %L %E %T %V %u %U %h %f
/srv/keep 100%% % %(x)
  /srv/keep	tabs	and   blanks
"/srv/keep" quoted program
-/srv/keep "unbalanced
/srv/keep after unbalanced
/srv/keep é日本
"""


def tool_of(tool, *args):
    done = subprocess.run([tool("unit_tool"), *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["result"]


def lines_of_unit():
    """One ExecStartPre= for each line of LINES, continued ones kept together."""
    text, more = "", False
    for line in LINES.strip("\n").splitlines():
        text += line + "\n" if more or line[:1] in "#;" else "ExecStartPre=" + line + "\n"
        more = line.endswith("\\") or (more and line[:1] in "#;")
    return text


def keeping(machine):
    machine.write("/srv/keep", '#!/bin/sh\nfor a; do printf "%s\\0" "$a"; done >>/run/kept\n'
                  'printf "\\036\\0" >>/run/kept\n', mode="0755")  # fmt: skip


def kept(machine):
    """The arguments of each command that ran, in their order."""
    commands = machine.read("/run/kept").decode().split("\x1e\0")
    return [command.split("\0")[:-1] for command in commands[:-1]]


def test_command_lines_are_split_and_expanded_as_systemd_does(machine, scratch, tool):
    text = "[Service]\nType=oneshot\n" + lines_of_unit() + "ExecStart=/bin/true\n"
    name = "lines-of-it@in-stance.service"
    keeping(machine)
    machine.unit(name, text)
    machine.start(name)
    ran = kept(machine)
    assert len(ran) > 18
    ours = tool_of(tool, scratch.write(name, text), "commands", "ExecStartPre")
    assert [command[2:] for command in ours] == ran
    assert [command[0] for command in ours if command[0]] == ["-", "!", "+", "-+"]


def test_a_list_is_emptied_by_an_empty_assignment_and_a_dependency_is_not(machine, scratch, tool):
    text = """[Unit]
        After=one.service two.service
        After=
        After=three.service
        Wants = four.service
        Wants=
        [Service]
        Type=oneshot
        ReadWritePaths=/srv /run
        ReadWritePaths=
        ReadWritePaths=-/mnt "/opt"
        ExecStartPre=/bin/false
        ExecStartPre=
        ExecStart=/bin/true
        EnvironmentFile=/etc/none
        EnvironmentFile=
        EnvironmentFile=-/etc/some file
        Environment=A=1 "B=two words" 'C=3'
        Environment=D=4=5 E="half"quoted
        CapabilityBoundingSet=CAP_CHOWN CAP_SETUID
        CapabilityBoundingSet=~CAP_SETUID
        [X-Other]
        ReadWritePaths=/proc
        [Service]
        UnsetEnvironment=LD_PRELOAD
        """
    machine.unit("resets.service", text)
    path = scratch.write("resets.service", text)

    def shown(setting):
        return machine.run("systemctl", "show", "--value", "-p", setting, "resets.service").stdout.decode().strip()

    def ours(section, key, *how):
        return tool_of(tool, path, "list", section, key, *how)

    assert set(ours("Unit", "After", "keep")) <= set(shown("After").split())
    assert set(ours("Unit", "After", "keep")) == {f"{n}.service" for n in ("one", "two", "three")}
    assert ours("Unit", "Wants", "keep") == shown("Wants").split() == ["four.service"]
    assert " ".join(ours("Service", "ReadWritePaths")) == shown("ReadWritePaths")
    assert ours("Service", "UnsetEnvironment") == shown("UnsetEnvironment").split()
    assert shown("EnvironmentFiles") == "/etc/some file (ignore_errors=yes)"
    assert ours("Service", "EnvironmentFile", "whole") == ["-/etc/some file"]
    assert shown("ExecStartPre") == "" and tool_of(tool, path, "commands", "ExecStartPre") == []
    assert shown("CapabilityBoundingSet") == "cap_chown"
    machine.run("sh", "-c", "sed 's,ExecStart=.*,ExecStart=/usr/bin/env,' "
                "</etc/systemd/system/resets.service >/etc/systemd/system/environ.service; "
                "systemctl daemon-reload; systemctl start environ.service")  # fmt: skip
    journal = machine.journal("environ.service")
    for item in ours("Service", "Environment"):
        assert f": {item}\n" in journal


def test_drop_ins_are_found_and_ordered_as_systemd_does(machine, tool):
    machine.write("/srv/unit_tool", tool("unit_tool").read_bytes(), mode="0755")
    script = """
        for name in pre-fix-unit@inst pre-fix-unit pre-fix-unit@ pre-fix- pre-fix-@ pre- pre-@inst; do
            for place in /etc /run; do
                dir=$place/systemd/system/$name.service.d
                mkdir -p $dir
                echo '[Unit]' | tee $dir/10-$name$place.conf $dir/50-same.conf >/dev/null 2>&1 ||
                    { mkdir -p $dir/10-$name$place; rmdir $dir/10-$name$place; }
                echo '[Unit]' >$dir/20-$name${place#/}.conf
                echo '[Unit]' >$dir/50-same.conf
                echo '[Unit]' >$dir/ignored.txt
            done
        done
        mkdir -p /etc/systemd/system/service.d
        echo '[Unit]' >/etc/systemd/system/service.d/50-same.conf
        echo '[Unit]' >/etc/systemd/system/service.d/90-all.conf
        ln -s /dev/null /etc/systemd/system/pre-fix-unit.service.d/20-pre-run.conf
        printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/pre-fix-unit.service
        printf '[Service]\\nExecStart=/bin/true\\n' >/run/systemd/system/pre-fix-unit@.service
        systemctl daemon-reload"""
    machine.run("sh", "-c", script)
    for name in "pre-fix-unit.service", "pre-fix-unit@inst.service":
        show = ("systemctl", "show", "--value", "-p", "FragmentPath", "-p", "DropInPaths", name)
        theirs = machine.run(*show).stdout.decode().split()
        # Drop-ins that are links to /dev/null are listed, and say nothing.
        if name == "pre-fix-unit.service":
            theirs = [path for path in theirs if not path.endswith("20-pre-run.conf")]
        ours = json.loads(machine.run("/srv/unit_tool", name, "files").stdout)["result"]
        assert [path.rsplit("/", 1)[1] for path in ours] == [path.rsplit("/", 1)[1] for path in theirs]
        assert len(ours) >= 8
    machine.run("sh", "-c", "rm -r /etc/systemd/system/service.d")


PLACES = ["/etc", "/etc/made", "/etc/own", "/usr/lib", "/run", "/run/made", "/run/made/below", "/run/ro",
          "/var/lib/made", "/var/lib", "/home", "/root", "/tmp", "/srv", "/srv/hidden", "/srv/empty",
          "/opt", "/dev/shm"]  # fmt: skip
SANDBOXES = {
    "none": "",
    "strict": "ProtectSystem=strict",
    "full": "ProtectSystem=full",
    "yes": "ProtectSystem=yes",
    "reset": "ProtectSystem=strict\nProtectSystem=nonsense\nProtectSystem=no",
    "paths": """ProtectSystem=strict
        ReadWritePaths=/etc/own /srv
        ReadOnlyPaths=/run/ro /srv
        InaccessiblePaths=/srv/hidden
        TemporaryFileSystem=/srv/empty
        """,
    "directories": """ProtectSystem=strict
        RuntimeDirectory=made
        RuntimeDirectoryPreserve=yes
        StateDirectory=made
        ConfigurationDirectory=made
        """,
    "homes": "ProtectHome=yes\nPrivateTmp=yes\nReadOnlyPaths=/",
    "tmpfs": "ProtectHome=tmpfs\nReadWritePaths=/\nProtectSystem=strict",
    "dynamic": "DynamicUser=yes\nReadWritePaths=/etc/own -/not/there",
    "root": "ReadWritePaths=/run\nReadOnlyPaths=/",
}


TRY = """#!/bin/sh
for place in "$@"; do
    if ! [ -e $place/mark ] && [ $place != /usr/lib ]; then echo hidden
    elif touch $place/try 2>/dev/null; then echo full
    else echo read; fi
done
"""


def sandbox_unit(name):
    return f"""[Service]
        Type=oneshot
        User=app
        {SANDBOXES[name]}
        ExecStartPre=!/bin/sh /etc/try {' '.join(PLACES)}
        ExecStart=/bin/true
        StandardOutput=file:/run/result-{name}
        """


def test_what_the_sandbox_leaves_is_what_systemd_leaves(machine, scratch, tool):
    """A line with "!" tries to write everywhere; a file that was there tells what is hidden."""
    machine.write("/etc/try", TRY)
    script = "mkdir -p %s\nfor p in %s; do case $p in /usr*) ;; *) echo >$p/mark;; esac; done\n" % (
        (" ".join(PLACES),) * 2)  # fmt: skip
    for name in SANDBOXES:
        script += f"cat >/etc/systemd/system/box-{name}.service <<'EOF'\n{sandbox_unit(name)}\nEOF\n"
    script += "systemctl daemon-reload\n"
    for name in SANDBOXES:
        script += f"systemctl start box-{name}.service || journalctl -u box-{name}\n"
        script += f"echo {name}; cat /run/result-{name}\n"
    lines = machine.run("sh", "-c", script).stdout.decode().split()
    hidden = {"none": "hidden", "empty": "hidden", "shared": "hidden"}
    for number, name in enumerate(SANDBOXES):
        first = number * (len(PLACES) + 1)
        assert lines[first] == name, lines
        theirs = lines[first + 1 : first + 1 + len(PLACES)]
        path = scratch.write(f"{name}.service", sandbox_unit(name))
        ours = [hidden.get(access, access) for access in tool_of(tool, path, "access", *PLACES)]
        # All of /usr is read-only on this machine, whatever the unit says.
        ours = ["read" if place == "/usr/lib" else o for place, o in zip(PLACES, ours)]
        assert list(zip(PLACES, ours)) == list(zip(PLACES, theirs)), name
