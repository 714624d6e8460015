"""What a disk may hold after a power failure.

A trace of a run (strace) is replayed on a model of its tree. Of a file only what was there at its last
fsync is durable, of a directory only the entries at its last fsync; each later change of an entry may
have come to the disk or not, in any order. A rename is one change. `states()` gives the trees that may
be found, from nothing more than what is durable to all of it.

So the model promises less than ext4 does: what is right here is right there.
"""
import copy
import os
import re
import struct
import subprocess
from dataclasses import dataclass, field

CALLS = ["openat", "mkdirat", "write", "pwrite64", "ftruncate", "fchmod", "fchown", "renameat", "renameat2",
         "unlinkat", "fsync"]  # fmt: skip
# Should one be used one day, the model has to learn it first. What sync_file_range() begins has no
# promise of an end, so it is as if it were not there.
UNKNOWN = ["open", "creat", "mkdir", "rename", "unlink", "rmdir", "link", "linkat", "symlink", "symlinkat",
           "truncate", "fallocate", "copy_file_range", "sendfile", "fdatasync", "syncfs",
           "sync", "writev", "pwritev"]  # fmt: skip
STRACE = ["strace", "-y", "-xx", "-s", "10000000", "-e", "trace=" + ",".join(CALLS + UNKNOWN)]


@dataclass(eq=False)
class File:
    data: bytes = b""
    durable: bytes = b""  # at the last fsync
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    known: tuple = None  # device, inode and mtime of the real one: mirrored files are known by these


@dataclass(eq=False)
class Change:
    """Of a directory's entries: (name, node or None for none)..."""

    number: int
    entries: list


@dataclass(eq=False)
class Directory:
    entries: dict = field(default_factory=dict)
    durable: dict = field(default_factory=dict)
    pending: list = field(default_factory=list)
    mode: int = 0o700
    uid: int = 0
    gid: int = 0


class Disk:
    def __init__(self, root):
        """The tree at `root`, all of it durable."""
        self.root = str(root)
        self.number = 0
        self.created = []
        self.known = {}  # of files that the trace creates: see learn()
        self.top = self.load(self.root)

    def load(self, path):
        st = os.lstat(path)
        owner = {"mode": st.st_mode & 0o7777, "uid": st.st_uid, "gid": st.st_gid}
        if not os.path.isdir(path):
            data = open(path, "rb").read()
            return File(data, data, known=(st.st_dev, st.st_ino, st.st_mtime_ns), **owner)
        entries = {name: self.load(os.path.join(path, name)) for name in os.listdir(path)}
        return Directory(entries, dict(entries), **owner)

    # ---- the model ----

    def find(self, path):
        node = self.top
        for name in path[len(self.root) :].strip("/").split("/"):
            node = node.entries.get(name) if name else node
            if node is None:
                return None
        return node

    def change(self, directory, *entries):
        self.number += 1
        directory.pending.append(Change(self.number, list(entries)))
        apply(directory.entries, entries)

    def replay(self, line):
        """One line of the trace. Gives (what, path, ...) of what it did, or None."""
        match = re.match(r"(\w+)\((.*)\) += (\d+)", line)
        if not match or self.root not in unhex(line):
            return None
        call, args = match[1], match[2]
        assert call not in UNKNOWN, line
        places = [unhex(place) for place in re.findall(r"(?:\d|AT_FDCWD)<([^>]*)>", args)]
        texts = [unhex(text, raw=True) for text in re.findall(r'"([^"]*)"', args)]
        return getattr(self, "do_" + call)(args, places, texts)

    def do_openat(self, args, places, texts):
        name = texts[0].decode()
        directory = self.find(places[0])
        if "O_CREAT" in args and name not in directory.entries:
            self.created.append(File(known=self.known.get(len(self.created))))
            self.change(directory, (name, self.created[-1]))
            return "create", f"{places[0]}/{name}"
        return None

    def do_mkdirat(self, args, places, texts):
        self.change(self.find(places[0]), (texts[0].decode(), Directory()))
        return "mkdir", f"{places[0]}/{texts[0].decode()}"

    def do_write(self, args, places, texts):
        self.find(places[0]).data += texts[0]
        return "write", places[0]

    def do_pwrite64(self, args, places, texts):
        self.find(places[0]).data = texts[0]
        return "write", places[0]

    def do_ftruncate(self, args, places, texts):
        self.find(places[0]).data = b""
        return "write", places[0]

    def do_fchmod(self, args, places, texts):
        self.find(places[0]).mode = int(args.rsplit(", ", 1)[1], 8)

    def do_fchown(self, args, places, texts):
        uid, gid = args.rsplit(", ", 2)[1:]
        node = self.find(places[0])
        node.uid, node.gid = int(uid), int(gid)

    def do_renameat(self, args, places, texts):
        assert places[0] == places[1], args
        directory, (old, new) = self.find(places[0]), (text.decode() for text in texts)
        self.change(directory, (new, directory.entries[old]), (old, None))
        return "rename", f"{places[0]}/{new}"

    do_renameat2 = do_renameat

    def do_unlinkat(self, args, places, texts):
        self.change(self.find(places[0]), (texts[0].decode(), None))
        return "unlink", f"{places[0]}/{texts[0].decode()}"

    def do_fsync(self, args, places, texts):
        node = self.find(places[0])
        if isinstance(node, File):
            node.durable = node.data
        else:
            node.durable, node.pending = dict(node.entries), []
        return "fsync", places[0]

    def learn(self, lines):
        """What the real files of this run are known by: those that are there at its end."""
        late = Disk.__new__(Disk)
        late.__dict__ = {"root": self.root, "number": 0, "created": [], "known": {}, "top": copy.deepcopy(self.top)}
        for line in lines:
            late.replay(line)
        places = {id(node): path for path, node in late.files()}
        for i, node in enumerate(late.created):
            if id(node) in places:
                st = os.lstat(self.root + places[id(node)])
                self.known[i] = st.st_dev, st.st_ino, st.st_mtime_ns

    def files(self, node=None, path=""):
        """(path, file) as the running system has them."""
        for name, child in (node or self.top).entries.items():
            if isinstance(child, File):
                yield f"{path}/{name}", child
            else:
                yield from self.files(child, f"{path}/{name}")

    # ---- what may be found ----

    def directories(self, node=None):
        node = node or self.top
        yield node
        for child in {id(n): n for entries in (node.durable, node.entries) for n in entries.values()}.values():
            if isinstance(child, Directory):
                yield from self.directories(child)

    def states(self):
        """{path: (mode, uid, gid, bytes or None for a directory, known)} of each tree that may be found."""
        numbers = sorted(c.number for d in self.directories() for c in d.pending)
        choices = [set(), *({n} for n in numbers), *(set(numbers) - {n} for n in numbers)]
        choices += [set(numbers[:i]) for i in range(2, len(numbers) + 1)]
        for chosen in choices:
            yield self.tree(chosen, lambda file: file.durable)
        # Data that came to the disk although nobody asked for it, whole or in part.
        yield self.tree(set(numbers), lambda file: file.data)
        yield self.tree(set(numbers), lambda file: file.data[: len(file.data) // 2]
                        if file.data != file.durable else file.data)  # fmt: skip

    def tree(self, chosen, data_of):
        found = {}

        def walk(node, path):
            owner = node.mode, node.uid, node.gid
            if isinstance(node, File):
                found[path] = (*owner, data_of(node), node.known)
                return
            found[path] = (*owner, None, None)
            entries = dict(node.durable)
            for change in node.pending:
                if change.number in chosen:
                    apply(entries, change.entries)
            for name, child in entries.items():
                walk(child, f"{path}/{name}")

        walk(self.top, "")
        return found

    def durable(self):
        return self.tree(set(), lambda file: file.durable)


def apply(entries, changes):
    for name, node in changes:
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def unhex(text, raw=False):
    data = bytes(int(h, 16) for h in re.findall(r"\\x(..)", text)) if "\\x" in text else text.encode()
    return data if raw else data.decode(errors="replace")


# ---- making it real ----


def put(tree, root):
    """Makes a tree of a disk a real one. Its files have other inodes than those that the manifests
    name, so these are told the new ones."""
    inodes = {}
    for path, (mode, uid, gid, data, known) in tree.items():
        place = f"{root}{path}"
        if data is None:
            os.mkdir(place) if path else None
            continue
        with open(place, "wb") as file:
            file.write(data)
        os.chown(place, uid, gid)
        os.chmod(place, mode)
        if known:
            st = os.stat(place)
            inodes[struct.pack("<QQ", *known[:2])] = struct.pack("<QQ", st.st_dev, st.st_ino)
            os.utime(place, ns=(known[2], known[2]))
    for path, (mode, uid, gid, data, _) in reversed(tree.items()):
        if data is None:
            os.chown(f"{root}{path}", uid, gid)
            os.chmod(f"{root}{path}", mode)
    for path, (_, _, _, data, _) in tree.items():
        if path.endswith("/manifest") and data:
            tell_inodes(f"{root}{path}", data, path.split("/")[-2], inodes)


def tell_inodes(place, data, set_id, inodes):
    body, seal = data[:-8], data[-8:]
    if seal_of(set_id, "manifest", body) != seal:
        return  # damaged it is, and damaged it stays
    st = os.stat(place)
    pattern = b"|".join(map(re.escape, inodes)) or b"(?!)"
    body = re.sub(pattern, lambda found: inodes[found[0]], body, flags=re.S)
    with open(place, "wb") as file:
        file.write(body + seal_of(set_id, "manifest", body))
    os.utime(place, ns=(st.st_mtime_ns,) * 2)


TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0xC96C5795D7870F42 if byte & 1 else 0)
    TABLE.append(byte)


def seal_of(set_id, name, data):
    """As core/commit/sum.c has it."""
    crc = (1 << 64) - 1
    for byte in set_id.encode() + b"\0" + name.encode() + b"\0" + data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return struct.pack("<Q", crc ^ (1 << 64) - 1)


def trace(command, log, **keywords):
    """Runs it; gives how it ended and the lines of its trace."""
    done = subprocess.run([*STRACE, "-o", str(log), *command], **keywords)
    return done, log.read_text().splitlines()
