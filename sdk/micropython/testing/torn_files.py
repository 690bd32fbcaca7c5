"""A file system in RAM on which nothing is atomic: a file is empty once it was opened, and grows or changes byte by byte."""

import io

import vfs

import fuselink
from testkit import KEYS


class TornFiles:
    """MicroPython's VFS protocol, and the device of cut_lives: `cuts` is what a cut at each change would have left."""

    def __init__(self, files=None):
        self.files = dict(files or {})
        self.done = self.erased = 0
        self.cuts = []

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def change(self, path, *steps):
        for data in steps:
            self.cuts.append((self.done, dict(self.files)))
            self.files[path] = data

    def stat(self, path):
        if path in ("", "/", "/keys"):
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        if path not in self.files:
            raise OSError(2)
        return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]), 0, 0, 0)

    def mkdir(self, path):
        pass

    def remove(self, path):
        self.change(path, b"")
        del self.files[path]

    def open(self, path, mode):
        if mode == "rb":
            if path not in self.files:
                raise OSError(2)
            return io.BytesIO(self.files[path])
        if mode == "wb":
            self.change(path, b"")
        return Written(self, path)


class Written:
    def __init__(self, device, path):
        self._device, self._path = device, path

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        pass

    def write(self, data):
        before, half = self._device.files[self._path], len(data) // 2
        self._device.change(self._path, data[:half] + before[half:], bytes(data) + before[len(data) :])


class Files:
    """Such a file system as a medium of cut_lives."""

    def fresh(self):
        slots, device, leave = self.boot({}, 0)
        slots.provision(KEYS[0], 1)
        leave()
        return device.files

    def boot(self, image, done):
        device = TornFiles(image)
        device.done = done
        vfs.mount(device, "/cut")
        return fuselink.Slots(fuselink.FileStore("/cut/keys")), device, lambda: vfs.umount("/cut")
