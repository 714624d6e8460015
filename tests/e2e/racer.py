"""An app that fights for the directory it owns: links, FIFOs, directories and hard links in the place
of a file and of the temporary files beside it."""
import itertools
import os
import random
import signal
import time


class Racer:
    """A process of the app's own, from start() until stop()."""

    def __init__(self, directory, name, victims, uid, gid, seed):
        self.directory, self.name, self.victims = directory, name, victims
        self.uid, self.gid = uid, gid
        self.luck = random.Random(seed)
        self.aside = (f"aside-{i % 50}" for i in itertools.count())
        anywhere = [self.link_to_victim, self.link_aside, self.fifo, self.directory_there, self.hard_link, self.own_file]
        self.acts = [*anywhere, self.away, self.keep, self.clear, self.clear]

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setgroups([])
                os.setgid(self.gid)
                os.setuid(self.uid)
                os.chdir(self.directory)
                self.fight()
            finally:
                os._exit(1)

    def stop(self):
        """True where it has fought until now."""
        fighting = os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        if fighting:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        return fighting

    def fight(self):
        while True:
            # Who only stands in the door is seen at once: mostly it waits until somebody is inside.
            if self.luck.random() < 0.5:
                try:
                    self.clear(self.name)
                except OSError:
                    pass
                time.sleep(self.luck.random() * 0.1)
            found = [self.name, *(entry for entry in os.listdir() if not entry.startswith("aside"))]
            path = self.luck.choice(found)
            for act in self.luck.sample(self.acts, 2):
                try:
                    if act not in self.acts[6:] and self.luck.random() < 0.7:
                        self.clear(path)
                    act(path)
                except OSError:
                    pass  # somebody was faster
            if self.luck.random() < 0.02:
                self.tidy()

    def tidy(self):
        for entry in os.listdir():
            try:
                if entry.startswith("aside"):
                    self.clear(entry)
            except OSError:
                pass

    # ---- what it does to a path ----

    def link_to_victim(self, path):
        os.symlink(self.luck.choice(self.victims), path)

    def link_aside(self, path):
        os.symlink(next(self.aside), path)

    def fifo(self, path):
        os.mkfifo(path)

    def directory_there(self, path):
        os.mkdir(path)

    def hard_link(self, path):
        os.link(self.luck.choice(self.victims), path)

    def own_file(self, path):
        with open(path, "x") as file:
            file.write("mine\n")

    def away(self, path):
        os.rename(path, next(self.aside))

    def keep(self, path):
        os.link(path, next(self.aside))

    def clear(self, path):
        try:
            os.unlink(path)
        except IsADirectoryError:
            os.rmdir(path)
