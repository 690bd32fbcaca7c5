"""A folder in memory, under Python's own `os`, that loses the power: what was not synced may be lost, torn, or there."""

import io
import os
import stat

import fuselink
from testkit import KEYS, PowerCut, rotations


class Inode:
    def __init__(self):
        self.data = b""
        self.synced = b""


class Handle(io.BytesIO):
    def __init__(self, disk, inode, fd):
        super().__init__(inode.data)
        self.disk, self.inode, self.fd = disk, inode, fd

    def fileno(self):
        return self.fd

    def flush(self):
        self.disk.step(lambda: setattr(self.inode, "data", self.getvalue()))


class CutDisk:
    """Stands in for `os` in fuselink. Its `at`-th change loses the power."""

    def __init__(self):
        self.names = {}
        self.durable = {}
        self.open_files = {}
        self.steps = 0
        self.at = None
        self.next_fd = 100
        self.synced_files = True

    def __getattr__(self, name):
        return getattr(os, name)

    def step(self, change):
        self.steps += 1
        if self.steps == self.at:
            raise PowerCut()
        change()

    def makedirs(self, folder, mode=0o777, exist_ok=False):
        pass

    def _status(self, mode, size=0):
        return os.stat_result((mode, 0, 0, 1, os.getuid(), 0, size, 0, 0, 0))

    def stat(self, path):
        if path in self.names:
            return self._status(stat.S_IFREG | 0o600, len(self.names[path].data))
        if path.endswith("/store"):
            return self._status(stat.S_IFDIR | 0o700)
        raise FileNotFoundError(2, path)

    def fstat(self, fd):
        return self._status(stat.S_IFREG | 0o600)

    def open(self, path, flags, mode=0o777):
        self.next_fd += 1
        if not path.endswith("/store"):
            if flags & os.O_CREAT and path not in self.names:
                self.step(lambda: self.names.__setitem__(path, Inode()))
            if flags & os.O_TRUNC:
                self.step(lambda: setattr(self.names[path], "data", b""))
            self.open_files[self.next_fd] = self.names[path]
        return self.next_fd

    def fdopen(self, fd, mode):
        return Handle(self, self.open_files[fd], fd)

    def close(self, fd):
        pass

    def fsync(self, fd):
        if fd in self.open_files:
            inode = self.open_files[fd]
            if self.synced_files:
                self.step(lambda: setattr(inode, "synced", inode.data))
        else:
            self.step(lambda: setattr(self, "durable", dict(self.names)))

    def replace(self, source, target):
        def move():
            self.names[target] = self.names.pop(source)

        self.step(move)

    def remove(self, path):
        self.step(lambda: self.names.pop(path))

    def lose_power(self, how):
        """`lost`: what is not synced is gone. `torn`: names are new, contents half there. `kept`: all of it is there."""
        names = self.durable if how == "lost" else self.names
        for inode in set(self.names.values()) | set(self.durable.values()):
            if how != "kept":
                unsynced = inode.data[: len(inode.data) // 2]
                inode.data = inode.synced if how == "lost" or inode.synced == inode.data else unsynced
            inode.synced = inode.data
        self.names, self.durable = dict(names), dict(names)
        self.open_files = {}
        self.at = None


def cut_everywhere(synced=True):
    """Every change of two rotations cut, with each thing that may become of it: how many were tried, and which lost a key."""
    tried, lost = 0, []
    for how in ("lost", "torn", "kept"):
        at = 1
        while True:
            disk = CutDisk()
            fuselink.os = disk
            try:
                slots = fuselink.Slots(fuselink.FileStore("/store"))
                slots.provision(KEYS[0], 1)
                disk.synced_files = synced
                disk.at, disk.steps = at, 0
                done = 0
                try:
                    for done, (needed, step) in enumerate(rotations(slots)):
                        step()
                    done += 1
                except PowerCut:
                    disk.lose_power(how)
                    again = fuselink.Slots(fuselink.FileStore("/store"))
                    held = [record.fingerprint for record in again.pair() if record]
                    if needed not in held:
                        lost.append([how, at, done])
                    else:
                        # The same step again, and those after it, as the next boot has them done.
                        for _, step in rotations(again)[done:]:
                            step()
                        held = {record.fingerprint for record in again.pair() if record}
                        if held != {KEYS[2].fingerprint}:
                            lost.append([how, at, "unfinished"])
                if done == 4:
                    break
                tried += 1
                at += 1
            finally:
                fuselink.os = os
    return {"tried": tried, "lost": lost}
