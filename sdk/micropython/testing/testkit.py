"""What tests of the client need and no client has: a clock that does not wait, a store that loses the power."""

import binascii
import json
import os

import fuselink

try:
    import _board
except ImportError:
    _board = None


def show(value):
    return json.dumps(value)


class FastClock:
    """Sleeping takes no time."""

    def __init__(self):
        self.now = 0

    def ms(self):
        return self.now

    def sleep(self, ms):
        self.now += ms


class PowerCut(BaseException):
    pass


class CutStore:
    """A store in memory. Its `at`-th write of a slot loses the power: `before`, in the middle (`torn`) or `after`."""

    def __init__(self):
        self.blobs = {}
        self.slot_writes = 0
        self.at = None
        self.how = None

    def read(self, name):
        return self.blobs.get(name)

    def write(self, name, blob):
        if name.startswith("slot"):
            self.slot_writes += 1
            if self.slot_writes == self.at:
                if self.how != "before":
                    self.blobs[name] = blob[:30] if self.how == "torn" else bytes(blob)
                raise PowerCut()
        self.blobs[name] = bytes(blob)

    def remove(self, name):
        self.blobs.pop(name, None)

    def lock(self, _name, wait=False):
        return True


KEYS = [fuselink.Key(fuselink.FORM_HEX, bytes([number]) * 32) for number in (1, 2, 3)]


def rotations(slots):
    """Two rotations as the agent has them done, each step with the fingerprint that must not be lost while it runs."""
    first, second, third = (key.fingerprint for key in KEYS)
    return [
        (first, lambda: slots.stage(KEYS[1], 2, first)),
        (second, lambda: slots.settle(second)),
        (second, lambda: slots.stage(KEYS[2], 3, second)),
        (third, lambda: slots.settle(third)),
    ]


if _board:
    # WebAssembly has no os.urandom.
    fuselink.system_random = lambda count: binascii.unhexlify(_board.random(count))


def client(url, **options):
    """A client with the test's clock."""
    options.setdefault("clock", FastClock())
    return fuselink.Client(url, **options)


def attempt(call):
    """What a call returned, or the code it was refused with; as JSON."""
    try:
        return show(call())
    except fuselink.FuselinkError as error:
        return show({"code": error.code, "status": error.status, "resumable": error.resumable, "detail": error.detail})


class Device:
    """A device that boots again after every power cut, and says how often."""

    def __init__(self, url, store, **options):
        self.url = url
        self.store = store
        self.options = options
        self.boots = 0
        self.client = None

    def _up(self):
        if self.client is None:
            self.boots += 1
            self.client = client(self.url, store=self.store, **self.options)
        return self.client

    def live(self, rounds, generation=None):
        """Sends and lets the rotation go on until it is settled on a key of this generation, or the rounds are over."""
        for _ in range(rounds):
            agent = self.client and self.client.rotation.agent
            if agent and generation and agent.mirrored and agent.phase == "SETTLED" and agent.base[0] >= generation:
                break
            try:
                device = self._up()
                try:
                    device.send(b"reading", filename="r", give_up_seconds=60)
                except fuselink.FuselinkError as error:
                    if not error.resumable and error.code != "key_quarantined":
                        raise
                due = device.tick()
                device.clock.sleep(due or 0)
                device.tick()
            except PowerCut:
                self.client = None
        return self.state()

    def state(self):
        agent = self._up().rotation.agent
        return {"phase": agent.phase, "mirrored": agent.mirrored, "base": agent.base, "boots": self.boots}


def flipped(record_hex):
    """A record damaged in every way of one bit, one byte missing at a time, and with one byte more."""
    sound = binascii.unhexlify(record_hex)
    damaged = [sound[:i] for i in range(len(sound))] + [sound + b"\x00"]
    for i in range(len(sound) * 8):
        copy = bytearray(sound)
        copy[i // 8] ^= 1 << (i % 8)
        damaged.append(bytes(copy))
    return {"tried": len(damaged), "taken": sum(1 for one in damaged if fuselink.decode_record(one))}


def walked(events):
    """State and effects of a fresh agent after each event."""
    agent = fuselink.Agent()
    seen = []
    for event in events:
        said = dict(event)
        if "slots" in said:
            said["slots"] = [slot and tuple(slot) for slot in said["slots"]]
        effects = agent.step(said.pop("kind"), **said)
        state = [agent.phase, agent.base, agent.candidate, agent.mirrored, agent.turn, agent.base_refused, agent.recovery]
        seen.append([state + [agent.highest_generation, agent.writing, agent.failures], effects])
    return seen


def content(count):
    """The bytes that the test's own side makes as well."""
    return bytes((i * 31 + (i >> 8) * 7) & 255 for i in range(count))


def scratch_folder(name):
    """An empty folder for this run alone."""
    if _board:
        base = ""
    elif hasattr(os, "getpid"):
        import tempfile

        base = tempfile.mkdtemp(prefix="fuselink-python-")
    else:
        base = "/tmp/fuselink-" + fuselink.hexed(os.urandom(8))
        os.mkdir(base)
    folder = base + "/" + name
    if name not in os.listdir(base or "/"):
        os.mkdir(folder)
        if hasattr(os, "chmod"):
            os.chmod(folder, 0o700)
    return folder


_folder = None


def scratch(name, data):
    """A file with these bytes; its path. The same name again is the same path."""
    global _folder
    _folder = _folder or scratch_folder("files")
    with open(_folder + "/" + name, "wb") as file:
        file.write(data)
    return _folder + "/" + name


def tear(path):
    """What a cut in the middle of a line leaves behind it."""
    with open(path, "ab") as file:
        file.write(b"\n0badc0de 1 99 5")


class Pipe:
    """What can only be read, once, and a little at a time."""

    def __init__(self, data):
        self._data = data

    def read(self, count):
        piece, self._data = self._data[: min(count, 1000)], self._data[min(count, 1000) :]
        return piece


def taken(answer, key, signature):
    """What of an answer is believed: the signed fields and the link, or None."""
    own = fuselink.verified(answer, key, signature)
    return own and {"headers": own.headers, "link": own.link}


def time_passes(client):
    """What is due is done at once."""
    if client.rotation.due_at is not None:
        client.rotation.due_at = client.clock.ms()
    client.tick()


def code_of(call):
    """The number an NVS refuses with, as ESP-IDF writes it, or None."""
    try:
        call()
    except OSError as error:
        return "0x%04x" % -error.args[0]
    return None


def nvs_steps(open_nvs, steps):
    """What each step of vectors/nvs.json answered, beside what it says: those that differ."""
    handles, differ = {}, []
    for number, step in enumerate(steps):
        namespace = step.get("namespace", "fuselink")
        answer = {"number": number}

        def do():
            if step["do"] == "open":
                open_nvs(namespace)
                return
            if step["do"] == "restart":
                handles.clear()
                return
            if namespace not in handles:
                handles[namespace] = open_nvs(namespace)
            nvs, name = handles[namespace], step["name"]
            if step["do"] == "set":
                nvs.set_blob(name, blob(step["bytes"], step["seed"]))
                nvs.commit()
            elif step["do"] == "erase":
                nvs.erase_key(name)
                nvs.commit()
            else:
                buffer = bytearray(4096)
                answer["sha256"] = fuselink.hexed(fuselink.sha256(bytes(buffer[: nvs.get_blob(name, buffer)])))

        answer["code"] = code_of(do)
        if answer["code"] != step.get("code") or answer.get("sha256") != step.get("sha256"):
            differ.append(answer)
    return differ


def blob(count, seed):
    return bytes([(i * 31 + seed) & 255 for i in range(count)])


def slot_steps(store, steps):
    """Answer, and both slots in hex, after each step of vectors/slot-steps.json."""
    slots, seen = fuselink.Slots(store), []
    for step in steps:
        key = fuselink.parse_key(step["key"]) if "key" in step else None
        if step["do"] == "provision":
            answer = slots.provision(key, step["generation"])
        elif step["do"] == "stage":
            answer = slots.stage(key, step["generation"], step["base"])
        else:
            answer = slots.settle(step["fingerprint"])
        seen.append([answer] + [fuselink.hexed(store.read(name) or b"") for name in ("slot0", "slot1")])
    return seen
