"""The file systems of a board, littlefs and FAT as the firmware has them, on blocks in RAM."""

import os

import vfs

import fuselink
from testkit import KEYS

BLOCK_BYTES = 512
BLOCKS = 128


class Blocks:
    """MicroPython's block device protocol, the extended one. `cuts`: what a cut at each write and erase would have left."""

    def __init__(self, cells=None):
        self.cells = bytearray(cells or BLOCK_BYTES * BLOCKS)
        self.done = self.erased = 0
        self.cuts = []

    def readblocks(self, number, buffer, offset=0):
        start = number * BLOCK_BYTES + offset
        buffer[:] = self.cells[start : start + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        self._change(number * BLOCK_BYTES + offset, buffer)

    def _change(self, start, data):
        # Before it, and in the middle of it; after it is before the next one.
        for kept in (0, len(data) // 2):
            left = bytearray(self.cells)
            left[start : start + kept] = data[:kept]
            self.cuts.append((self.done, left))
        self.cells[start : start + len(data)] = data

    def ioctl(self, request, argument):
        if request == 4:
            return BLOCKS
        if request == 5:
            return BLOCK_BYTES
        if request == 6:
            self.erased += 1
            self._change(argument * BLOCK_BYTES, b"\xff" * BLOCK_BYTES)
        return 0


class FileSystem:
    """`kind`: VfsLfs2 or VfsFat. `files`: how many others are in the folder, so that its entries fill more than one block."""

    FOLDER = "/cut/keys"

    def __init__(self, kind, files=0):
        self._kind = getattr(vfs, kind)
        self._files = files

    def fresh(self):
        blank = Blocks()
        self._kind.mkfs(blank)
        slots, device, leave = self.boot(blank.cells, 0)
        slots.provision(KEYS[0], 1)
        for number in range(self._files):
            slots._store.write("f%d" % number, b"x" * 100)
        leave()
        return device.cells

    def boot(self, image, done):
        device = Blocks(image)
        vfs.mount(self._kind(device), "/cut")
        device.done = done
        return fuselink.Slots(fuselink.FileStore(self.FOLDER)), device, lambda: vfs.umount("/cut")


def renaming():
    """Writing as it is right elsewhere, beside the file and then in its place: what FAT makes of that."""

    def write(folder, path, data):
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)

    fuselink._write_durably = write
