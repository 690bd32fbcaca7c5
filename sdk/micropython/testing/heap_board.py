"""A board with a heap of fixed size: sends a file it never has in memory, rotates its key, sends again; says so in lines of JSON."""

import gc
import json
import sys

import fuselink

url, key, device, size, room = sys.argv[1:6]
ROTATIONS = 2
gc.collect()
# What else a program holds: everything, down to the smallest hole, but so much room.
ballast = [[], [], []]
for size_of_each, blocks in zip((480, 96, 16), ballast):
    try:
        while True:
            blocks.append(bytearray(size_of_each))
    except MemoryError:
        pass
for _ in range(int(room) // 480):
    ballast[0].pop()
gc.collect()


class Sensor:
    """As many bytes as were asked for, made while they are read."""

    def __init__(self, count):
        self._count, self._at, self.largest = count, 0, 0

    def seek(self, offset, whence=0):
        self._at = self._count if whence == 2 else offset
        return self._at

    def readinto(self, view):
        count = min(len(view), self._count - self._at)
        self.largest = max(self.largest, count)
        for i in range(0, count, 512):
            view[i] = (self._at + i >> 9) & 255
        self._at += count
        return count


class Store:
    def __init__(self):
        self._blobs = {}

    def read(self, name):
        return self._blobs.get(name)

    def write(self, name, blob):
        self._blobs[name] = bytes(blob)

    def remove(self, name):
        self._blobs.pop(name, None)

    def lock(self, _name, wait=False):
        return True


store = Store()
fuselink.provision(store, key, device)
client = fuselink.Client(url, store=store)
agent = client.rotation.agent
for generation in range(1, ROTATIONS + 2):
    # The server wants the next key while this file goes up.
    sensor = Sensor(int(size))
    done = client.send(sensor, filename="large")
    for _ in range(60):
        if agent.phase == "SETTLED" and agent.mirrored and agent.base[0] == generation:
            break
        if client.rotation.due_at is not None:
            client.rotation.due_at = client.clock.ms()
        client.tick()
        client.send(b"small", filename="small")
    gc.collect()
    said = {"size": done["size"], "largest": sensor.largest, "generation": agent.base[0], "phase": agent.phase}
    print(json.dumps(dict(said, live=gc.mem_alloc(), free=gc.mem_free())))
    sys.stdin.readline()
