"""The module `esp32` of a board's firmware, over flash in RAM."""

import sys

import fuselink
import nvs_flash
from testkit import KEYS, blob


class NVS:
    """`esp32.NVS`. `lazy`: what is set waits for its commit, which the contract of `nvs_commit` allows."""

    partition = None
    lazy = False

    def __init__(self, namespace):
        self._namespace = NVS.partition.open(namespace)
        self._waiting = {}

    def get_blob(self, name, buffer):
        blob = self._waiting[name] if name in self._waiting else NVS.partition.get(self._namespace, name)
        if len(blob) > len(buffer):
            raise nvs_flash.refusal(nvs_flash.INVALID_LENGTH)
        buffer[: len(blob)] = blob
        return len(blob)

    def set_blob(self, name, blob):
        if NVS.lazy:
            self._waiting[name] = bytes(blob)
        else:
            NVS.partition.set(self._namespace, name, bytes(blob))

    def erase_key(self, name):
        NVS.partition.erase(self._namespace, name)

    def commit(self):
        while self._waiting:
            NVS.partition.set(self._namespace, *self._waiting.popitem())


def boot(flash=None, lazy=False):
    """From here on there is a module `esp32` over this flash, as after a reset; the flash."""

    class Module:
        pass

    Module.NVS = NVS
    flash = flash or nvs_flash.Flash()
    NVS.partition, NVS.lazy = nvs_flash.Partition(flash), lazy
    sys.modules["esp32"] = Module
    return flash


class Nvs:
    """NVS of three pages as a medium of cut_lives. `fill`: so many other things were written over before, three entries each."""

    def __init__(self, fill=0):
        self._fill = fill

    def fresh(self):
        slots, flash, _ = self.boot(None, 0)
        slots.provision(KEYS[0], 1)
        for number in range(self._fill):
            slots._store.write("boot", blob(10, number))
        return flash.cells

    def boot(self, image, done):
        flash = nvs_flash.Flash(3, image)
        flash.watched, flash.done = image is not None, done
        boot(flash)
        return fuselink.Slots(fuselink.NvsStore()), flash, lambda: None


class OneGo(Nvs):
    """As if both slots were one: what two slots are there to prevent."""

    def boot(self, image, done):
        slots, flash, leave = super().boot(image, done)

        def write(slot, record):
            for name in ("slot0", "slot1"):
                slots._store.write(name, record.encode())

        slots._write = write
        return slots, flash, leave
