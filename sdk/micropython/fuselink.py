"""Fuselink for MicroPython (1.22 and later) and for Python 3.9 and later: one file, nothing to install.

    import fuselink
    client = fuselink.Client("https://relay.example.com", store=fuselink.FileStore("/fuselink"), ca=open("ca.pem").read())
    print(client.send("/log.csv")["url"])

Read it from the top: platform, keys and slots, the rotation agent and its driver, HTTP, the upload machine, the queue
of readings, the client; the command line (`python3 -m fuselink --help`) is at the end. DESIGN.md has the reasons.
"""

import binascii
import hashlib
import io
import json
import os
import struct
import sys
import time

try:
    import socket
except ImportError:  # firmware without a network stack: then `connect` brings the connection
    socket = None
try:
    import ssl
except ImportError:
    try:
        import tls as ssl  # MicroPython without the frozen ssl.py
    except ImportError:
        ssl = None

try:
    from micropython import const
except ImportError:

    def const(_value):
        return 0


# MicroPython's compiler takes this for the constant 1 and leaves the other branch of every `if _MICRO` out of the device's
# memory (the command line, for one); Python calls the function above and has 0.
_MICRO = const(1)
MICRO = sys.implementation.name == "micropython"
VERSION = "0.1.0"
# What is read and written at once: what a small heap has in one piece, or what a socket takes at once.
PIECE_BYTES = 4096 if MICRO else 65536
# Taken once, while the heap has so much in one piece: one request is made at a time.
PIECE = memoryview(bytearray(PIECE_BYTES))
# Larger than this goes out resumably: losing this much costs less than another round trip.
ONE_SHOT_BYTES_MAX = 65536
FILE_BYTES_MAX = 5368709120
CHUNK_BYTES_MIN = 4096
CHUNK_BYTES_SHRUNK = 8388608
# What an answer may have; a captive portal sends pages of megabytes. A board's heap has no more in one piece.
ANSWER_BYTES_MAX = 8192 if MICRO else 65536
LINE_BYTES_MAX = 8192
HEADERS_MAX = 64
RETRY_MS_MIN, RETRY_MS_BASE, RETRY_MS_MAX = 100, 1000, 120000
# What only a person or hours will mend: a refused key, a full store.
SLOW_MS_MIN, SLOW_MS_BASE, SLOW_MS_MAX = 30000, 60000, 900000
RETRY_AFTER_MS_MAX = 3600000
RESTARTS_MAX = 5
FOREIGN_MAX = 5
REMOVALS_MAX = 5


class FuselinkError(Exception):
    """What a caller is told. `code` is stable; `resumable`: the same call goes on where this one stopped."""

    def __init__(self, code, detail, status=None, resumable=False):
        super().__init__("%s [%s]" % (detail, code))
        self.code = code
        self.detail = detail
        self.status = status
        self.resumable = resumable


class Lost(Exception):
    """No answer came. `permanent`: trying again will not help."""

    def __init__(self, code, detail, permanent=False):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.permanent = permanent


class Clock:
    """Milliseconds since it was made; never the wall clock, which is wrong until NTP."""

    def __init__(self):
        self._last = self._ticks()
        self._ms = 0

    if _MICRO:

        def ms(self):
            now = self._ticks()
            # Ticks wrap after 12 days; asked more often than that, the sum does not.
            self._ms += time.ticks_diff(now, self._last)
            self._last = now
            return self._ms

        def _ticks(self):
            return time.ticks_ms()

        def sleep(self, ms):
            time.sleep_ms(ms)

    else:

        def ms(self):
            return self._ticks() - self._last

        def _ticks(self):
            return int(time.monotonic() * 1000)

        def sleep(self, ms):
            time.sleep(ms / 1000)


def system_random(count):
    """`count` bytes of the platform's own entropy; refuses where there is none, because keys are drawn from it."""
    if not hasattr(os, "urandom"):
        raise FuselinkError("entropy_missing", "this firmware has no os.urandom: give the client `random`")
    return os.urandom(count)


def hexed(data):
    return binascii.hexlify(data).decode()


def unhexed(text, count):
    """`count` bytes from lower-case hex, or None."""
    if not isinstance(text, str) or len(text) != 2 * count:
        return None
    for character in text:
        if character not in "0123456789abcdef":
            return None
    return binascii.unhexlify(text)


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def hmac_sha256(key, message):
    """[RFC 2104]; `hmac` is not in every firmware."""
    key = (sha256(key) if len(key) > 64 else key) + bytes(64)
    pads = bytes(byte ^ 0x36 for byte in key[:64]), bytes(byte ^ 0x5C for byte in key[:64])
    return sha256(pads[1], sha256(pads[0], message))


# --- AES key wrap -------------------------------------------------------------------------------------------------


try:
    from cryptolib import aes

    def aes_cipher(key):
        return aes(key, 1)  # mode 1 is ECB

except ImportError:

    def _aes_tables():
        # [FIPS 197 §5.1.1] The S-box is worked out, because as text it would take more room than this.
        box = bytearray(256)
        p = q = 1
        while True:
            p ^= ((p << 1) ^ (0x11B if p & 0x80 else 0)) & 0x1FF
            q ^= (q << 1) & 0xFF
            q ^= (q << 2) & 0xFF
            q ^= (q << 4) & 0xFF
            q ^= 0x09 if q & 0x80 else 0
            x = q | (q << 8)
            box[p] = (q ^ (x >> 7) ^ (x >> 6) ^ (x >> 5) ^ (x >> 4) ^ 0x63) & 0xFF
            if p == 1:
                break
        box[0] = 0x63
        inverse = bytearray(256)
        for i in range(256):
            inverse[box[i]] = i
        return box, inverse


    def _times(a, b):
        # In GF(2^8) of AES.
        product = 0
        while b:
            if b & 1:
                product ^= a
            a = (a << 1) ^ (0x11B if a & 0x80 else 0)
            b >>= 1
        return product


    class SoftwareAes:
        """AES-256 of single blocks, for Pythons without `cryptolib`. Not constant in time: for offers and recoveries alone."""

        def __init__(self, key):
            self._box, self._inverse = _aes_tables()
            box = self._box
            words = [key[i : i + 4] for i in range(0, 32, 4)]
            round_constant = 1
            for i in range(8, 60):
                word = words[i - 1]
                if i % 8 == 0:
                    word = bytes((box[word[1]] ^ round_constant, box[word[2]], box[word[3]], box[word[0]]))
                    round_constant <<= 1
                elif i % 8 == 4:
                    word = bytes(box[byte] for byte in word)
                words.append(bytes(a ^ b for a, b in zip(word, words[i - 8])))
            self._rounds = [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]

        def encrypt(self, block):
            # [FIPS 197 §5.1]
            state = [a ^ b for a, b in zip(block, self._rounds[0])]
            for number in range(1, 15):
                # Row r is shifted left by r columns.
                state = [self._box[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
                if number < 14:
                    state = [
                        _times(state[c + r], 2) ^ _times(state[c + (r + 1) % 4], 3)
                        ^ state[c + (r + 2) % 4] ^ state[c + (r + 3) % 4]
                        for c in (0, 4, 8, 12) for r in range(4)
                    ]  # fmt: skip
                state = [a ^ b for a, b in zip(state, self._rounds[number])]
            return bytes(state)

        def decrypt(self, block):
            # [FIPS 197 §5.3]
            state = [a ^ b for a, b in zip(block, self._rounds[14])]
            for number in range(13, -1, -1):
                # Byte i is row i % 4, column i // 4: row r is shifted right by r columns.
                state = [self._inverse[state[(i - 4 * (i % 4)) % 16]] for i in range(16)]
                state = [a ^ b for a, b in zip(state, self._rounds[number])]
                if number:
                    state = [
                        _times(state[c + r], 14) ^ _times(state[c + (r + 1) % 4], 11)
                        ^ _times(state[c + (r + 2) % 4], 13) ^ _times(state[c + (r + 3) % 4], 9)
                        for c in (0, 4, 8, 12) for r in range(4)
                    ]  # fmt: skip
            return bytes(state)

    def aes_cipher(key):
        return SoftwareAes(key)


def wrap_key(wrapping_key, key):
    """[RFC 3394 §2.2.1] `key`, whole blocks of 8 bytes, with 8 bytes more."""
    cipher = aes_cipher(wrapping_key)
    check = b"\xa6" * 8
    blocks = [key[i : i + 8] for i in range(0, len(key), 8)]
    for step in range(1, 6 * len(blocks) + 1):
        at = (step - 1) % len(blocks)
        out = cipher.encrypt(check + blocks[at])
        check = (int.from_bytes(out[:8], "big") ^ step).to_bytes(8, "big")
        blocks[at] = out[8:]
    return check + b"".join(blocks)


def unwrap_key(wrapping_key, wrapped):
    """[RFC 3394 §2.2.2] The bytes inside, or None: wrapped under another key, or altered on the way."""
    if len(wrapped) < 24 or len(wrapped) % 8:
        return None
    decrypt = aes_cipher(wrapping_key).decrypt
    count = len(wrapped) // 8 - 1
    check = wrapped[:8]
    blocks = [wrapped[i : i + 8] for i in range(8, len(wrapped), 8)]
    for step in range(6 * count, 0, -1):
        number = int.from_bytes(check, "big") ^ step
        out = decrypt(number.to_bytes(8, "big") + blocks[(step - 1) % count])
        check = out[:8]
        blocks[(step - 1) % count] = out[8:]
    return b"".join(blocks) if check == b"\xa6" * 8 else None


# --- keys and the two slots ---------------------------------------------------------------------------------------

FORM_HEX, FORM_PDM = 1, 2
PDM_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@#$%&*"
NO_BASE = "0000000000000000"
SLOT_FORMAT = "<2sBBI8s8s32s"
SLOT_BYTES = 60


class Key:
    """An API key. Printing one shows its fingerprint; `text()` is the secret itself."""

    def __init__(self, form, raw):
        self.form = form
        self.raw = raw
        self.fingerprint = hexed(sha256(b"fuselink fp", raw)[:8])

    def text(self):
        return hexed(self.raw) if self.form == FORM_HEX else self.raw.decode()

    def __repr__(self):
        return "<key %s>" % self.fingerprint


def parse_key(text):
    """A key from its text, or None: the text is a secret, so nothing says what was wrong with it."""
    raw = unhexed(text.lower(), 32)
    if raw:
        return Key(FORM_HEX, raw)
    if len(text) != 32 or not text.startswith("pdm_"):
        return None
    for character in text[4:]:
        if character not in PDM_CHARACTERS:
            return None
    return Key(FORM_PDM, text.encode())


class Record:
    """One slot: sdk/core/credentials/record.ts has the bytes, vectors/slot-record.json what every implementation agrees on."""

    def __init__(self, generation, base, key, fingerprint=None):
        self.generation = generation
        self.base = base
        self.key = key
        self.fingerprint = fingerprint or key.fingerprint

    def encode(self):
        print_, base = binascii.unhexlify(self.fingerprint), binascii.unhexlify(self.base)
        body = struct.pack(SLOT_FORMAT, b"FL", 1, self.key.form, self.generation, base, print_, self.key.raw)
        return body + struct.pack("<I", binascii.crc32(body) & 0xFFFFFFFF)

    def slot(self):
        return (self.generation, self.base, self.fingerprint)


def decode_record(blob):
    """The record, or None for anything that is not exactly one."""
    if blob is None or len(blob) != SLOT_BYTES:
        return None
    if struct.unpack("<I", blob[56:])[0] != binascii.crc32(blob[:56]) & 0xFFFFFFFF:
        return None
    magic, version, form, generation, base, print_, raw = struct.unpack(SLOT_FORMAT, blob[:56])
    if magic != b"FL" or version != 1 or form not in (FORM_HEX, FORM_PDM):
        return None
    return Record(generation, hexed(base), Key(form, raw), hexed(print_))


class FileStore:
    """Small blobs by name, a file each, in a folder of their own: credentials, boot count, uploads under way.

    A cut leaves a name as it was, as it was to be, or (on FAT) torn or empty; never another name.
    """

    def __init__(self, folder):
        self.folder = folder.rstrip("/") or "/"
        _make_folder(self.folder)
        if not _MICRO and _exists(self._path("credentials.nvs")):
            detail = "%s holds the key of the Node client, which rotates it: give this one a folder and a device of its own"
            raise FuselinkError("store_of_another_client", detail % folder)

    def _path(self, name):
        return self.folder + "/" + name

    def read(self, name):
        if not _exists(self._path(name)):
            return None
        with _open_private(self._path(name)) as file:
            return file.read()

    def write(self, name, blob):
        _write_durably(self.folder, self._path(name), blob)

    def remove(self, name):
        if _exists(self._path(name)):
            os.remove(self._path(name))

    if _MICRO:

        def lock(self, name, wait=False):
            return True

    else:

        def lock(self, name, wait=False):
            """Something to close when done: until then this process alone does what `name` stands for. None: another does."""
            try:
                import fcntl
            except ImportError:
                return io.BytesIO()
            file = os.fdopen(os.open(self._path(name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600), "wb")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError:
                file.close()
                return None
            return file


class NvsStore:
    """The same over ESP32's NVS, which is atomic for each name. Names have at most 15 characters."""

    BLOB_BYTES_MAX = 1984

    def __init__(self, namespace="fuselink"):
        from esp32 import NVS

        self._nvs = NVS(namespace)

    def read(self, name):
        blob = bytearray(self.BLOB_BYTES_MAX)
        try:
            return bytes(blob[: self._nvs.get_blob(name, blob)])
        except OSError as error:
            if error.args[0] in (-0x1102, 0x1102):  # ESP_ERR_NVS_NOT_FOUND
                return None
            raise

    def write(self, name, blob):
        if len(blob) > self.BLOB_BYTES_MAX:
            raise OSError(-0x110E, "ESP_ERR_NVS_VALUE_TOO_LONG")
        # Where there is no room this raises and both keys stay: the usual idiom of erasing the partition loses them.
        self._nvs.set_blob(name, blob)
        self._nvs.commit()

    def remove(self, name):
        try:
            self._nvs.erase_key(name)
            self._nvs.commit()
        except OSError:
            pass

    def lock(self, _name, wait=False):
        return True


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _unlock(lock):
    if hasattr(lock, "close"):
        lock.close()


if _MICRO:

    def _make_folder(folder):
        parts = folder.split("/")
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            if path and not _exists(path):
                os.mkdir(path)

    def _open_private(path):
        return open(path, "rb")

    def _open_to_append(path):
        return open(path, "ab")

    def _write_durably(folder, path, blob):
        # In place. littlefs has the old bytes until the file is closed, then the new ones. FAT cannot replace a file: its
        # rename deletes first, and cut between the two it leaves a chain of clusters that belongs to two files. Over bytes
        # of the same length it changes nothing but those.
        with open(path, "r+b" if _length(path) == len(blob) else "wb") as file:
            file.write(blob)
        _sync_file(None)

    def _length(path):
        try:
            return os.stat(path)[6]
        except OSError:
            return -1

    def _sync_file(file):
        if file:
            file.flush()
        if hasattr(os, "sync"):
            os.sync()

else:

    def _make_folder(folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _check_access(folder, os.stat(folder), 0o022, "700")

    def _check_access(path, status, forbidden, wanted):
        """Refuses what somebody else could read or replace, and says how to mend it. Windows has no such bits."""
        owner = os.getuid() if hasattr(os, "getuid") else None
        if owner is None:
            return
        if status.st_uid not in (owner, 0):
            detail = "%s: expected to belong to user %d, belongs to %d" % (path, owner, status.st_uid)
            raise FuselinkError("credentials_permissions", detail)
        if status.st_mode & forbidden:
            detail = "%s: others could read or replace the key. Run: chmod %s %s" % (path, wanted, path)
            raise FuselinkError("credentials_permissions", detail)

    def _open_private(path):
        # What was opened is checked, not what the name pointed at a moment ago.
        file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")
        try:
            _check_access(path, os.fstat(file.fileno()), 0o077, "600")
        except BaseException:
            file.close()
            raise
        return file

    def _open_to_append(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(path, flags, 0o600), "ab")

    def _write_durably(folder, path, blob):
        # Beside it, on the medium, then in its place, and the folder on the medium: in this order a cut costs nothing.
        beside = path + ".new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(blob)
            _sync_file(file)
        os.replace(beside, path)
        if hasattr(os, "O_DIRECTORY"):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _sync_file(file):
        file.flush()
        os.fsync(file.fileno())


class Slots:
    """The two durable slots (DESIGN §6.1): only ever overwritten, never erased, and each write is read back."""

    def __init__(self, store):
        self._store = store

    def pair(self):
        return [decode_record(self._store.read("slot0")), decode_record(self._store.read("slot1"))]

    def _write(self, slot, record):
        name = "slot%d" % slot
        blob = record.encode()
        if self._store.read(name) == blob:
            return
        self._store.write(name, blob)
        if self._store.read(name) != blob:
            raise FuselinkError("slot_unwritable", "slot %d does not read back as it was written" % slot)

    def provision(self, key, generation):
        record = Record(generation, NO_BASE, key)
        self._write(0, record)
        self._write(1, record)

    def stage(self, key, generation, base):
        """Writes a candidate beside its base. `staged`, `base_unknown` or `stale`; repeats are harmless."""
        record = Record(generation, base, key)
        pair = self.pair()
        kept = 0 if pair[0] and pair[0].fingerprint == base else 1
        if not pair[kept] or pair[kept].fingerprint != base:
            return "base_unknown"
        other = pair[1 - kept]
        if record.fingerprint == base or generation <= pair[kept].generation:
            return "stale"
        repeat = other and other.fingerprint == record.fingerprint and other.generation == generation
        if other and generation <= other.generation and not repeat:
            return "stale"
        self._write(1 - kept, record)
        return "staged"

    def settle(self, fingerprint):
        """Copies the record of this key over the other slot; False where no valid slot holds it."""
        pair = self.pair()
        for slot in (0, 1):
            if pair[slot] and pair[slot].fingerprint == fingerprint:
                self._write(1 - slot, pair[slot])
                return True
        return False

    def key(self, fingerprint):
        for record in self.pair():
            if record and record.fingerprint == fingerprint:
                return record.key
        return None


def provision(store, key_text, device_id=None, recovery_secret=None, replace=False):
    """Puts an enrolled key (and what recovers the device) into the store; returns the key's fingerprint."""
    key = parse_key(key_text.strip())
    if key is None:
        detail = "expected a key as 64 hex characters or pdm_ and 28 more, got neither (it is not repeated here)"
        raise FuselinkError("option_invalid", detail)
    slots = Slots(store)
    held = [record for record in slots.pair() if record]
    newest = max([record.generation for record in held] or [0])
    known = any(record.fingerprint == key.fingerprint for record in held)
    if held and not known and not replace:
        detail = "there is a key already (%s); replace=True puts this one in its place" % held[0].fingerprint
        raise FuselinkError("key_present", detail)
    if device_id or recovery_secret is not None:
        secret = None if recovery_secret is None else recovery_secret.strip().lower()
        if not device_id or (secret is not None and unhexed(secret, 32) is None):
            detail = "expected a device id and a recovery secret of 64 hex characters, got something else"
            raise FuselinkError("option_invalid", detail)
        store.write("identity", json.dumps({"device_id": device_id, "recovery_secret": secret}).encode())
    slots.provision(key, newest if known else newest + 1)
    return key.fingerprint


# --- the rotation agent -------------------------------------------------------------------------------------------

# sdk/core/rotation/table.ts row by row; a test compares. `phases events guards next actions [!]`.
DEVICE_TABLE = (
    "* booted,written noKey EMPTY -",
    "* booted twoKeys PROVING register,wake !",
    "* booted,provisioned - SETTLED wake !",
    "* written kept PROVEN backOff",
    "* written staged STAGED register,wake",
    "* written twoKeys PROVING backOff",
    "* written mirrored SETTLED wake",
    "* written - SETTLED backOff",
    "* * busy = -",
    "STAGED,PROVING wanted again = register",
    "* wanted fresh,bySelf = mint !",
    "* wanted fresh,byOffer = ask !",
    "* candidate stale = - !",
    "* candidate held = stage !",
    "STAGED due - = register,backOff",
    "STAGED registered candidate PROVING report",
    "STAGED failed - PROVING useCandidate,backOff",
    "SETTLED due torn = mirror !",
    "SETTLED,PROVING,PROVEN,LIMBO due - = report !",
    "PROVING accepted candidate PROVEN useCandidate,report !",
    "PROVING unknown candidate = register,alternate",
    "PROVING accepted,unknown,failed - = alternate !",
    "STAGED,PROVING revoked candidate,refused LIMBO backOff",
    "STAGED,PROVING,PROVEN revoked candidate SETTLED dropCandidate !",
    "STAGED,PROVING revoked base = refuse,wake",
    "PROVEN accepted - = pace",
    "PROVEN settled sameAge SETTLED dropBase",
    "PROVEN revoked base SETTLED dropBase",
    "SETTLED,PROVEN unknown - = recover,backOff",
    "SETTLED,PROVEN failed - = backOff",
    "SETTLED revoked base LIMBO refuse,backOff",
    "LIMBO recoverable fresh = mint",
    "LIMBO accepted twoKeys PROVING trust,wake",
    "LIMBO accepted - SETTLED trust,wake",
    "LIMBO revoked,unknown,failed - = alternate",
)
WAKE_MS_MAX = 2000
BACK_OFF_MS_BASE = 5000
BACK_OFF_MS_MAX = 3600000
PACE_MS = 900000
# A device with nothing to send hears of a rotation within this: it asks at a random moment of the hour's second half.
LOOK_MS = 3600000
GENERATION, BASE, FINGERPRINT = 0, 1, 2


class Agent:
    """sdk/core/rotation in Python: `step(event, …)` → effects as tuples. Slots are (generation, base, fingerprint)."""

    def __init__(self):
        self._boot()

    def _boot(self):
        self.phase = "EMPTY"
        self.base = self.candidate = self.writing = None
        self.mirrored = self.base_refused = self.recovery = False
        self.turn = "base"
        self.highest_generation = -1
        self.failures = 0

    def step(self, kind, **said):
        reads = kind in ("booted", "provisioned", "written")
        if reads:
            if kind != "written":
                self._boot()
            self._take(said["slots"])
        if kind in ("accepted", "registered"):
            self.failures = 0
        said["kind"] = kind
        effects = []
        for line in DEVICE_TABLE:
            row = line.split(" ")
            if self._fits(row, kind, said):
                if row[3] != "=":
                    self.phase = row[3]
                if reads:
                    self.writing = None
                for word in row[4].split(","):
                    if word != "-":
                        getattr(self, "_do_" + word)(said, effects)
                break
        return effects

    def _fits(self, row, kind, said):
        if row[1] != "*" and kind not in row[1].split(","):
            return False
        if row[0] != "*" and self.phase not in row[0].split(","):
            return False
        for word in row[2].split(","):
            if word != "-" and not getattr(self, "_if_" + word)(said):
                return False
        return True

    def _take(self, slots):
        first, second = slots
        second_newer = not first or (second and second[GENERATION] > first[GENERATION])
        newer, older = (second, first) if second_newer else (first, second)
        same = not older or not newer or older[FINGERPRINT] == newer[FINGERPRINT]
        self.base = newer if same else older
        self.candidate = None if same else newer
        self.mirrored = bool(older and newer and same and older[GENERATION] == newer[GENERATION])
        self.turn = "base" if same else "candidate"
        if newer and newer[GENERATION] > self.highest_generation:
            self.highest_generation = newer[GENERATION]

    def key_to_send(self):
        return self.candidate if self.turn == "candidate" and self.candidate else self.base

    def fingerprint_to_send(self):
        """The key uploads are made with now, or None: no key, or none the server takes."""
        if self.phase in ("EMPTY", "LIMBO"):
            return None
        if self.phase == "STAGED" and self.base and not self.base_refused:
            return self.base[FINGERPRINT]
        return self.key_to_send()[FINGERPRINT]

    def _holds(self, fingerprint):
        return any(slot and slot[FINGERPRINT] == fingerprint for slot in (self.base, self.candidate))

    def _if_busy(self, said):
        return self.writing is not None

    def _if_noKey(self, said):
        return not self.base

    def _if_twoKeys(self, said):
        return bool(self.candidate)

    def _if_kept(self, said):
        # The proven key was to be copied over the old one, and both still read back.
        return bool(self.candidate) and self.writing == "=" + self.candidate[FINGERPRINT]

    def _if_staged(self, said):
        return bool(self.candidate) and self.candidate[FINGERPRINT] == self.writing

    def _if_mirrored(self, said):
        return self.mirrored

    def _if_torn(self, said):
        return not self.mirrored

    def _if_refused(self, said):
        return self.base_refused

    def _if_base(self, said):
        return bool(self.base) and said.get("fingerprint") == self.base[FINGERPRINT]

    def _if_candidate(self, said):
        return bool(self.candidate) and said.get("fingerprint") == self.candidate[FINGERPRINT]

    def _if_sameAge(self, said):
        return bool(self.candidate) and said["generation"] == self.candidate[GENERATION]

    def _if_again(self, said):
        return self._if_sameAge(said) and said["base"] == self.candidate[BASE]

    def _if_stale(self, said):
        return said["generation"] <= self.highest_generation

    def _if_held(self, said):
        return self._holds(said["base"])

    def _if_fresh(self, said):
        return not self._if_stale(said) and self._if_held(said)

    def _if_bySelf(self, said):
        return said["source"] == "self"

    def _if_byOffer(self, said):
        return said["source"] == "offer"

    def _do_wake(self, said, effects):
        effects.append(("wake", WAKE_MS_MAX))

    def _do_pace(self, said, effects):
        effects.append(("wake", PACE_MS))

    def _do_backOff(self, said, effects):
        steps = min(self.failures, 10)
        self.failures = steps + 1
        effects.append(("wake", min(BACK_OFF_MS_BASE << steps, BACK_OFF_MS_MAX)))

    def _do_stage(self, said, effects):
        # A newer generation on the candidate says that the base is done with: what it refused no longer matters.
        if self.candidate and self.candidate[FINGERPRINT] == said["base"]:
            self.base_refused = False
        self.writing = said["fingerprint"]
        effects.append(("stage", said["generation"], said["base"], said["fingerprint"]))

    def _do_mint(self, said, effects):
        self.recovery = said["kind"] != "wanted" or said["recovery"]
        effects.append(("mint", said["generation"], said["base"]))

    def _do_ask(self, said, effects):
        effects.append(("ask", said["generation"], said["base"]))

    def _register(self, by, effects):
        slot = self.candidate or self.base
        effects.append(("register", slot, by and by[FINGERPRINT], not by or self.recovery))

    def _do_register(self, said, effects):
        if said["kind"] == "wanted":
            self.recovery = said["recovery"]
        self._register(None if self.base_refused else self.base, effects)

    def _do_recover(self, said, effects):
        self._register(None, effects)

    def _do_report(self, said, effects):
        generation = (self.candidate or self.base)[GENERATION]
        effects.append(("report", self.key_to_send()[FINGERPRINT], self.phase, generation))

    def _do_alternate(self, said, effects):
        skip_base = self.base_refused and self.phase != "LIMBO"
        self.turn = "candidate" if self.candidate and (skip_base or self.turn == "base") else "base"
        self._do_backOff(said, effects)

    def _do_refuse(self, said, effects):
        self.base_refused = True
        if self.candidate:
            self.turn = "candidate"

    def _do_useCandidate(self, said, effects):
        self.turn = "candidate"

    def _do_trust(self, said, effects):
        self.base_refused = False

    def _copy_over(self, slot, effects):
        self.base = slot
        self.candidate = None
        self.mirrored = self.base_refused = self.recovery = False
        self.turn = "base"
        # Another thing than that it is staged.
        self.writing = "=" + slot[FINGERPRINT]
        effects.append(("mirror", slot[FINGERPRINT]))

    def _do_mirror(self, said, effects):
        self._copy_over(self.base, effects)

    def _do_dropCandidate(self, said, effects):
        self._copy_over(self.base, effects)

    def _do_dropBase(self, said, effects):
        self._copy_over(self.candidate, effects)


def events_of(answer, used, request, registered, authentic):
    """The agent's events in one answer (None where none came), in order: sdk/core/rotation/answer.ts.

    `request` is `commit`, `register` or `other`. What nobody vouches for says nothing about keys.
    """
    if answer is None:
        return [("failed", {})]
    events = []
    if not 200 <= answer.status < 300:
        code, _, fingerprint = answer.problem()
        if code == "key_revoked" and authentic and fingerprint:
            events.append(("revoked", {"fingerprint": fingerprint}))
        elif answer.status == 401 and code != "key_not_yet_valid" and used:
            events.append(("unknown", {"fingerprint": used}))
        elif request != "other" or answer.status in (401, 429) or not 400 <= answer.status < 500:
            # A refusal of what was sent (too large, a wrong offset) says nothing of the key it came under.
            events.append(("failed", {}))
    elif not authentic:
        events.append(("failed", {}))
    elif request == "commit" and used:
        events.append(("accepted", {"fingerprint": used}))
    elif request == "register" and registered:
        events.append(("registered", {"fingerprint": registered}))
    return events + (parse_told(answer.headers.get("fuselink-rotation", "")) if authentic else [])


def _whole(text, most):
    return int(text) if text and len(text) <= 16 and all(c in "0123456789" for c in text) and int(text) <= most else None


def parse_told(text):
    """What a `Fuselink-Rotation` field tells: sdk/protocol/rotation-header.ts. What is not understood is left out."""
    told = []
    for item in text.split(","):
        words = {}
        for part in item.split(";")[1:]:
            name, _, value = part.strip().partition("=")
            words.setdefault(name, value)
        kind = item.split(";")[0].strip()
        said = {"generation": _whole(words.get("gen"), 4294967295)}
        if kind in ("wanted", "recoverable"):
            said["base"] = words.get("base")
            if unhexed(said["base"], 8) is None:
                continue
        if kind == "wanted":
            said["source"] = words.get("source")
            said["recovery"] = words.get("recovery") == ""
            if said["source"] not in ("self", "offer", "manual"):
                continue
        if kind in ("wanted", "recoverable", "settled") and said["generation"] is not None:
            told.append((kind, said))
    return told


# --- HTTP ---------------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        # Vouched for: signed by the server for this very request. And the path of the link that came wrapped with it.
        self.signed = False
        self.link = None

    def json(self):
        """The JSON object of the body, or {} for everything else (a captive portal's page, nothing, a list)."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def problem(self):
        """Code, detail and fingerprint of an RFC 9457 problem; a code of None is not one of ours."""
        body = self.json()
        words = [body.get(name) if isinstance(body.get(name), str) else None for name in ("code", "detail", "fingerprint")]
        return words[0], words[1] or "the server answered %d" % self.status, words[2]

    def number(self, name):
        return _whole(self.headers.get(name), FILE_BYTES_MAX)

    def retry_after_ms(self):
        """[RFC 9110 §10.2.3] A date is counted from the answer's own `Date`: the device's clock may be years off."""
        text = self.headers.get("retry-after", "").strip()
        seconds = _whole(text, 10**9)
        if seconds is None:
            until, now = http_seconds(text), http_seconds(self.headers.get("date", ""))
            seconds = 0 if until is None or now is None else max(0, until - now)
        return min(seconds * 1000, RETRY_AFTER_MS_MAX)


MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"


def http_seconds(text):
    """Seconds since 1970 of an IMF-fixdate [RFC 9110 §5.6.7], or None."""
    words = text.replace(":", " ").split()
    if len(words) != 8 or words[2] not in MONTHS:
        return None
    numbers = [_whole(words[i], 9999) for i in (3, 1, 4, 5, 6)]
    if None in numbers:
        return None
    year, day, hour, minute, second = numbers
    month = MONTHS.find(words[2]) // 4 + 1
    # Days from the civil calendar, with the year beginning in March.
    shifted = year - (month < 3)
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def parse_url(url):
    """Scheme, host, port and path prefix of the server's address."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    if scheme not in ("http", "https") or not authority or "@" in authority or "?" in url or "#" in url:
        raise FuselinkError("option_invalid", "expected http://HOST or https://HOST, perhaps with a port and a path")
    if authority.startswith("["):
        host, _, tail = authority[1:].partition("]")
        port = tail[1:]
    else:
        host, _, port = authority.partition(":")
    number = _whole(port, 65535) if port else (443 if scheme == "https" else 80)
    if not host or number is None:
        raise FuselinkError("option_invalid", "expected a host and perhaps a port from 0 to 65535, got %s" % authority)
    return scheme, host, number, ("/" + path).rstrip("/")


def certificates_of(ca):
    """DER certificates out of PEM text or bytes; DER as it is. Some firmware reads no PEM."""
    text = ca.encode() if isinstance(ca, str) else ca
    if b"-----BEGIN" not in text:
        return [text]
    found = []
    for part in text.split(b"-----BEGIN CERTIFICATE-----")[1:]:
        found.append(binascii.a2b_base64(part.split(b"-----END")[0].replace(b"\n", b"").replace(b"\r", b"")))
    return found


def tls_context(ca):
    """Certificates and names are always checked; there is no switch for it."""
    if ssl is None:
        raise FuselinkError("option_invalid", "this firmware has no TLS: https is not possible")
    wrong = FuselinkError("option_invalid", "ca: expected certificates in PEM or DER, got something else")
    if _MICRO:
        if ca is None:
            detail = "https needs ca=: this firmware has no list of issuers, and without one anybody could be the server"
            raise FuselinkError("option_invalid", detail)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        for certificate in certificates_of(ca):
            try:
                try:
                    context.load_verify_locations(cadata=certificate)
                except TypeError:  # the bare `tls` module
                    context.load_verify_locations(certificate)
            except (OSError, ValueError):
                raise wrong
    else:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if ca is not None:
                context.load_verify_locations(cadata=ca if isinstance(ca, str) else b"".join(certificates_of(ca)))
        except (ssl.SSLError, ValueError):
            raise wrong from None
    return context


class Wire:
    """HTTP/1.1 to one server, one request at a time. Redirects are not followed: a key goes to this host alone."""

    # Node closes an idle connection after 5 s; a request into a connection that closes is only lost time.
    IDLE_MS_MAX = 4000

    def __init__(self, url, ca=None, connect=None, silence_seconds=30, clock=None):
        self.scheme, self.host, self.port, self.prefix = parse_url(url)
        self._context = tls_context(ca) if self.scheme == "https" and connect is None else None
        # The other end has shown a certificate for this name.
        self.verified = self._context is not None
        self._connect = connect
        self._silence = silence_seconds
        self._clock = clock or Clock()
        self._stream = None
        self._used_at = 0

    def close(self):
        stream, self._stream = self._stream, None
        if stream:
            stream.close()

    def exchange(self, method, path, headers, body=None, length=0):
        """One request and its answer. `body`: bytes, or a function that gives pieces, `length` bytes in all. Throws Lost."""
        if self._stream and self._clock.ms() - self._used_at > self.IDLE_MS_MAX:
            self.close()
        # The server may have closed it meanwhile. More than one piece is not sent twice on suspicion.
        reused = self._stream is not None and not (callable(body) and length > PIECE_BYTES)
        try:
            return self._attempt(method, path, headers, body, length)
        except Lost:
            if not reused:
                raise
        return self._attempt(method, path, headers, body, length)

    def _attempt(self, method, path, headers, body, length):
        if isinstance(body, bytes):
            length = len(body)
        try:
            if self._stream is None:
                self._stream = self._connect(self.host, self.port, self._silence) if self._connect else self._open()
            answer, stays = self._talk(method, path, headers, body, length)
        except (OSError, ValueError, IndexError) as error:
            self.close()
            raise _lost(error) from None
        except BaseException:
            self.close()  # half a request is on the wire
            raise
        if not stays:
            self.close()
        self._used_at = self._clock.ms()
        return answer

    def _open(self):
        try:
            places = socket.getaddrinfo(self.host, self.port, 0, socket.SOCK_STREAM)
        except OSError:
            raise Lost("unreachable", "%s cannot be found" % self.host) from None
        failure = None
        for place in places:
            sock = socket.socket(place[0], socket.SOCK_STREAM)
            try:
                sock.settimeout(self._silence)
                sock.connect(place[-1])
                return _Stream(self._secured(sock))
            except (OSError, ValueError) as error:
                sock.close()
                if self._context and _untrusted(error):
                    detail = "the server's certificate is not to be trusted (%s)" % " ".join(str(error).split())
                    if time.gmtime()[0] < 2026:
                        detail += "; this clock says %d: set it by NTP first" % time.gmtime()[0]
                    raise Lost("tls_untrusted", detail, True) from None
                failure = error
        raise Lost("unreachable", "%s does not answer (%s)" % (self.host, failure)) from None

    def _secured(self, sock):
        if not _MICRO:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return sock
        return self._context.wrap_socket(sock, server_hostname=self.host)

    def _talk(self, method, path, headers, body, length):
        stream = self._stream
        name = "[%s]" % self.host if ":" in self.host else self.host
        usual = self.port == (443 if self.scheme == "https" else 80)
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + (name if usual else "%s:%d" % (name, self.port))]
        lines += ["%s: %s" % header for header in headers]
        if body is not None or method in ("POST", "PATCH", "PUT"):
            lines.append("Content-Length: %d" % length)
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        try:
            if callable(body):
                stream.write(head)
                for piece in body():
                    stream.write(piece)
            else:
                stream.write(head + (body or b""))
        except OSError:
            # It may have answered before it had read all: 413, 401, 429.
            try:
                return self._answer(method)[0], False
            except (OSError, ValueError, IndexError, Lost):
                raise Lost("connection_lost", "the connection broke while it was written to") from None
        return self._answer(method)

    def _line(self):
        line = b""
        while line[-1:] != b"\n":
            # MicroPython takes as much memory at once as a line may have at most.
            piece = self._stream.readline(256)
            if not piece or len(line) > LINE_BYTES_MAX:
                raise Lost("connection_lost", "the connection ended before the answer did")
            line += piece
        return line.decode().rstrip("\r\n")

    def _answer(self, method):
        status = 0
        for _ in range(6):  # a few interim answers, though none was asked for
            words = self._line().split(" ", 2)
            if not words[0].startswith("HTTP/1."):
                raise Lost("not_fuselink", "what answered does not speak HTTP")
            status = int(words[1])
            headers = {}
            while True:
                line = self._line()
                if not line:
                    break
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
                if len(headers) > HEADERS_MAX:
                    raise Lost("not_fuselink", "the answer has more than %d header fields" % HEADERS_MAX)
            if status >= 200:
                break
        stays = words[0] == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        if method == "HEAD" or status in (204, 304):
            return Answer(status, headers, b""), stays
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return Answer(status, headers, self._chunks()), stays
        if "content-length" in headers:
            return Answer(status, headers, self._exactly(int(headers["content-length"]))), stays
        body = b""
        while len(body) < ANSWER_BYTES_MAX:
            piece = self._stream.read(min(PIECE_BYTES, ANSWER_BYTES_MAX - len(body)))
            if not piece:
                break
            body += piece
        return Answer(status, headers, body), False

    def _exactly(self, count):
        if not 0 <= count <= ANSWER_BYTES_MAX:
            raise Lost("not_fuselink", "expected an answer of at most %d bytes, got %d" % (ANSWER_BYTES_MAX, count))
        body = self._stream.read(count) if count else b""
        if len(body or b"") != count:
            raise Lost("connection_lost", "the connection ended before the answer did")
        return body

    def _chunks(self):
        body = b""
        while True:
            size = int(self._line().split(";")[0], 16)
            body += self._exactly(size)
            if len(body) > ANSWER_BYTES_MAX:
                raise Lost("not_fuselink", "the answer is too long")
            if size == 0:
                while self._line():
                    pass
                return body
            self._line()


if _MICRO:

    def _Stream(sock):
        return sock

    def _untrusted(error):
        # What is wrong with a certificate comes as a ValueError in words, or as MBEDTLS_ERR_X509_CERT_VERIFY_FAILED.
        return isinstance(error, ValueError) or (error.args and error.args[0] in (-0x2700, 0x2700))

else:

    class _Stream:
        """Write all, read lines and exact lengths: what MicroPython's sockets do."""

        def __init__(self, sock):
            self._sock = sock
            self._file = sock.makefile("rb")
            self.write = sock.sendall
            self.read = self._file.read
            self.readline = self._file.readline

        def close(self):
            for one in (self._file, self._sock):
                try:
                    one.close()
                except OSError:
                    pass

    def _untrusted(error):
        return isinstance(error, ssl.SSLCertVerificationError)


def _lost(error):
    if isinstance(error, OSError):
        number = error.args[0] if error.args else 0
        # EAGAIN and ETIMEDOUT as MicroPython has them; CPython's timeout is a class.
        if number in (11, 110, 116) or isinstance(error, getattr(socket, "timeout", ())):
            return Lost("silent", "nothing came for too long")
        return Lost("connection_lost", "the connection broke (%s)" % error)
    return Lost("not_fuselink", "what came is not an HTTP answer")


# --- signed requests ----------------------------------------------------------------------------------------------

# sdk/SIGNED.md; test/conformance/vectors/signed-requests.json.
SIGNED_BODY_BYTES_MAX = 65536
SIGNED_PATCH_BYTES_MAX = 1024
# The first is the nonce's own, the second may be lost to a race; a third time something is wrong.
NONCE_TRIES = 3
ANSWER_STARTS = 'fl=("signature";req;key="fl" "@status" "content-digest"'


def device_secret(key):
    """D."""
    return hmac_sha256(key.raw, b"fuselink device v1")


def device_key(key, label):
    """One of the keys derived from D: "fuselink sign v1", "fuselink answer v1", "fuselink wrap v1", "fuselink link v1"."""
    return hmac_sha256(device_secret(key), label)


def base64(data):
    return binascii.b2a_base64(data).decode().strip()


def content_digest(body):
    return "sha-256=:%s:" % base64(sha256(body))


def _mac(key, label, names, values, params):
    base = "".join("%s: %s\n" % pair for pair in zip(names, values)) + '"@signature-params": ' + params
    return ":%s:" % base64(hmac_sha256(device_key(key, label), base.encode()))


def sign_request(key, device_id, nonce, method, target, headers, body):
    """The headers to send with it, the signature last; every given one is covered."""
    headers = [("Content-Digest", content_digest(body))] + headers
    path, _, query = target.partition("?")
    names = ['"@method"', '"@path"', '"@query"'] + ['"%s"' % name.lower() for name, _ in headers]
    params = '(%s);keyid="%s:%s";alg="hmac-sha256";nonce="%s"' % (" ".join(names), device_id, key.fingerprint, nonce)
    values = [method, path, "?" + query] + [value for _, value in headers]
    mac = _mac(key, b"fuselink sign v1", names, values, params)
    return headers + [("Signature-Input", "fl=" + params), ("Signature", "fl=" + mac)]


def verified(answer, key, signature):
    """The answer with the fields that are signed and no other, or None where it is not the server's own to this request."""
    said, headers = answer.headers.get("signature-input", ""), answer.headers
    if not said.startswith(ANSWER_STARTS) or headers.get("content-digest") != content_digest(answer.body):
        return None
    names = said[4 : said.find(")")].split(" ")
    covered = {name[1:-1]: headers.get(name[1:-1], "") for name in names[2:]}
    values = [signature[3:], "%03d" % answer.status] + [covered[name[1:-1]] for name in names[2:]]
    if headers.get("signature") != "fl=" + _mac(key, b"fuselink answer v1", names, values, said[3:]):
        return None
    own = Answer(answer.status, covered, answer.body)
    own.signed = True
    wrapped = unhexed(covered.get("fuselink-wrapped-link"), 40)
    token = unwrap_key(device_key(key, b"fuselink link v1"), wrapped) if wrapped else None
    if token:
        own.link = "/get/" + base64(token).rstrip("=").replace("+", "-").replace("/", "_")
    return own


# --- uploads ------------------------------------------------------------------------------------------------------

# sdk/core/upload/verdict.ts; a test compares. Codes decide before statuses: a proxy has statuses, but not our codes.
VERDICTS = {
    "hold": "upload_limit_exceeded",
    "retry": "too_many_in_flight request_timeout storage_unavailable shutting_down internal conflict transfer_leased "
    "transfer_uploading",
    "no-room": "storage_full quota_exceeded",
    "damaged": "digest_mismatch",
    "probe": "tus_offset_mismatch upload_preempted tus_checksum_mismatch",
    "gone": "upload_unknown upload_gone",
}


def judge(kind, status, code, proven):
    """What an answer means. `proven`: a success has the form of one (a link, a location, an offset)."""
    tus = kind in ("probe", "patch")
    if 200 <= status < 300:
        return "accepted" if proven or kind == "remove" else "foreign"
    if kind == "remove":
        return "retry" if status == 429 or status >= 500 else ("refused" if status == 401 else "accepted")
    if code is not None:
        if code == "body_truncated":
            return "probe" if tus else "damaged"
        if code == "idempotency_gone":
            return "gone" if kind == "create" else "final"
        for verdict, codes in VERDICTS.items():
            if code in codes.split(" "):
                return verdict
        # Whatever is wrong with the credential, its signature or its nonce: no 401 is about the file.
        if status == 401:
            return "refused"
        return "retry" if status >= 500 or status == 429 else "final"
    if status == 413:
        return "smaller"
    if status == 429:
        return "hold"
    if status in (408, 423, 425) or status >= 500:
        return "retry"
    if tus and status in (404, 410):
        return "gone"
    if tus and status in (409, 460):
        return "probe"
    return "refused" if status == 401 else "foreign"


class Source:
    """What is sent: bytes, a path, or an open file. Hashed as it is read; `stand(offset)` reads what lies before again."""

    def __init__(self, given):
        self.path = given if isinstance(given, str) else None
        self._own = self.path is not None
        self._file = open(given, "rb") if self._own else io.BytesIO(given) if isinstance(given, (bytes, bytearray)) else given
        self.repeatable = True
        self.size = self._measure()
        self.identity = _identity(self.path) if self.path else None
        self._buffer = PIECE
        self._digest = None
        self._at = -1

    def _measure(self):
        try:
            size = self._file.seek(0, 2)
            self._file.seek(0)
            return size
        except (AttributeError, OSError):  # a pipe, a socket: sent piece by piece, once
            self.repeatable = False
            return None

    def _piece(self, most):
        view = self._buffer[:most] if most < PIECE_BYTES else self._buffer
        if hasattr(self._file, "readinto"):
            count = self._file.readinto(view) or 0
        else:
            data = self._file.read(len(view))
            count = len(data)
            view[:count] = data
        piece = view[:count]
        self._digest.update(piece)
        self._at += count
        return piece

    def stand(self, offset, most):
        """Makes ready to send from `offset`; returns how many bytes there are to send now, `most` at most (None: all)."""
        if self._at != offset or self._digest is None:
            self._file.seek(0)
            self._digest = hashlib.sha256()
            self._at = 0
            while self._at < offset:
                if not self._piece(offset - self._at):
                    raise SourceChanged()
        left = self.size - offset
        return left if most is None else min(left, most)

    def pieces(self, count):
        end = self._at + count
        while self._at < end:
            piece = self._piece(end - self._at)
            if not piece:
                raise SourceChanged()
            yield piece

    def digest(self):
        """SHA-256 of everything, once all of it was read; None before. Asked once: MicroPython's ends with it."""
        if self._at != self.size or self._digest is None:
            return None
        digest, self._digest = self._digest, None
        return hexed(digest.digest())

    def changed(self):
        return self.identity is not None and self.identity != _identity(self.path)

    def close(self):
        if self._own:
            self._file.close()


class PipedSource(Source):
    """What can be read once and has no size before its end: one piece is kept until the server has it."""

    def stand(self, offset, most):
        if self._digest is None:
            self._digest = hashlib.sha256()
            self._at, self._start, self._held = 0, 0, b""
        if offset == self._at and self.size is None:
            self._start, self._held = offset, self._fill(most or PIECE_BYTES)
        if not self._start <= offset <= self._at:
            raise FuselinkError("source_once", "this can only be read once, so it cannot be sent again from its beginning")
        return self._at - offset

    def _fill(self, most):
        held = b""
        while len(held) < most:
            piece = bytes(self._piece(most - len(held)))
            if not piece:
                self.size = self._at
                break
            held += piece
        return held

    def pieces(self, count):
        yield self._held[len(self._held) - count :]


class SourceChanged(Exception):
    pass


def _identity(path):
    status = os.stat(path)
    return [status[6], status[8]] if MICRO else [status.st_size, status.st_mtime_ns]


def header_text(text):
    """Text as a header value: what is not plain ASCII, and `%` itself, goes percent-encoded as UTF-8."""
    out = ""
    data = text.encode() if MICRO else text.encode("utf-8", "replace")
    for i, byte in enumerate(data):
        edge = byte == 0x20 and i in (0, len(data) - 1)
        out += chr(byte) if 0x20 <= byte < 0x7F and byte != 0x25 and not edge else "%%%02X" % byte
    return out


def full_jitter(attempt, random_below, low, base, high):
    """["Exponential Backoff And Jitter", AWS 2015] somewhere in [low, min(high, base · 2^attempt)]."""
    ceiling = min(high, base << min(attempt, 20))
    return low + random_below(ceiling - low + 1) if ceiling > low else low


class Upload:
    """One file on its way: sdk/core/upload, one request at a time."""

    def __init__(self, client, source, options):
        self.client = client
        self.source = source
        self.options = options
        self.key = options["key"]
        self.record = options["record"]
        self.restarts = 0
        self.location = self.transfer = None
        self.offset = 0
        self.chunk = client.chunk_bytes
        self.attempts = self.foreign = self.removals = 0
        self.after_removal = None
        self.broken = self.may_exist = False
        self.not_before = self.progress_at = client.clock.ms()
        self.next = self._first()
        self._resume()

    def _first(self):
        size = self.source.size
        return "one-shot" if size is not None and size <= self.client.one_shot_bytes_max else "create"

    def _described(self):
        words = [self.options[name] for name in ("filename", "content_type", "recipient", "ttl", "note", "burn")]
        return hexed(sha256(json.dumps(words).encode()))[:32]

    def _resume(self):
        """Goes on from what an earlier run, or an earlier boot, left of this very file for these very options."""
        if not self.record:
            return
        try:
            kept = json.loads(self.client.store.read(self.record) or b"{}")
            if [kept.get("file"), kept.get("options")] == [self.source.identity, self._described()]:
                self.key, self.location, self.restarts = kept["key"], kept["location"], kept["restarts"]
                self.may_exist = True
                self.next = "probe" if self.location else self.next
                return
        except (ValueError, KeyError, AttributeError):
            pass
        self._remember()

    def _remember(self):
        if self.record:
            kept = {"file": self.source.identity, "options": self._described(), "key": self.key}
            kept["location"], kept["restarts"] = self.location, self.restarts
            try:
                self.client.store.write(self.record, json.dumps(kept).encode())
            except OSError as error:
                # No room to remember it is no reason not to send it.
                self.record = None
                self.client.tell("%s: cannot be remembered, so a cut would send it again (%s)" % (self.options["filename"], error))

    def _forget(self):
        if self.record:
            self.client.store.remove(self.record)

    def run(self):
        """The answer's link and digest. Throws FuselinkError."""
        while True:
            if self.next in ("one-shot", "create") and self.client.hold_until > self.not_before:
                self.not_before = self.progress_at = self.client.hold_until
            self.client.wait_until(self.not_before)
            try:
                answer, digest = self._request()
            except Lost as lost:
                self._on_lost(lost)
                continue
            except SourceChanged:
                self._restart("source_changed")
                continue
            link = self._link(answer)
            found = answer.headers.get("location") if self.next == "create" else None
            offset = answer.number("upload-offset") if self.next in ("probe", "patch") else None
            code, detail, _ = answer.problem()
            code = None if 200 <= answer.status < 300 else code
            verdict = judge(self.next, answer.status, code, link or found or offset is not None)
            if verdict == "accepted":
                done = self._accepted(answer, link, found, offset, digest)
                if done:
                    self._forget()
                    return done
            else:
                self._troubled(verdict, code or "http_%d" % answer.status, detail, answer)

    def _request(self):
        """One request in the state's form; the answer, and the digest where everything was read."""
        client, source, kind = self.client, self.source, self.next
        key = self.key if self.restarts == 0 else "%s.r%d" % (self.key, self.restarts)
        tus = [("Tus-Resumable", "1.0.0")]
        if kind == "one-shot":
            length = source.stand(0, None)
            options = self.options
            headers = [("Content-Type", options["content_type"]), ("X-Filename", header_text(options["filename"]))]
            headers.append(("Idempotency-Key", key))
            for name, value in (("X-Recipient", options["recipient"]), ("X-Note", options["note"])):
                if value is not None:
                    headers.append((name, header_text(value)))
            for name, value in (("X-TTL", options["ttl"]), ("X-Burn", options["burn"])):
                if value is not None:
                    headers.append((name, str(value)))
            answer = client.call("POST", "/v1/upload", headers, self._body(0, None), length, "upload")
            return answer, source.digest()
        if kind == "create":
            size = source.size
            headers = tus + [("Upload-Defer-Length", "1") if size is None else ("Upload-Length", str(size))]
            headers += [("Upload-Metadata", self._metadata()), ("Idempotency-Key", key)]
            return client.call("POST", "/v1/uploads", headers), None
        if kind == "probe":
            answer = client.call("HEAD", self.location, tus)
            return answer, None
        if kind == "patch":
            length = source.stand(self.offset, self.chunk)
            headers = tus + [("Content-Type", "application/offset+octet-stream"), ("Upload-Offset", str(self.offset))]
            if not source.repeatable and source.size is not None:
                headers.append(("Upload-Length", str(source.size)))
            return client.call("PATCH", self.location, headers, self._body(self.offset, self.chunk), length), None
        self.removals += 1
        path = self.location if self.transfer is None else "/v1/transfers/" + self.transfer
        return client.call("DELETE", path, tus), None

    def _body(self, offset, most):
        """A function, so that the same request can go out again, under another key or over a fresh connection."""

        def pieces():
            yield from self.source.pieces(self.source.stand(offset, most))

        return pieces

    def _metadata(self):
        options = self.options
        pairs = [("filename", options["filename"]), ("filetype", options["content_type"])]
        pairs += [(name, options[name]) for name in ("recipient", "ttl", "note", "burn")]
        coded = []
        for name, value in pairs:
            if value is not None:
                coded.append(name + " " + binascii.b2a_base64(str(value).encode()).decode().strip())
        return ",".join(coded)

    def _link(self, answer):
        """What proves a finished upload, or None: a page of somebody else has none of it."""
        if not 200 <= answer.status < 300:
            return None
        headers = answer.headers
        if self.next == "one-shot":
            body = answer.json()
            proven = isinstance(body.get("size"), int) and isinstance(body.get("sha256"), str)
            # Without a link it is the repeat of an upload that was read already: its receipt.
            if not isinstance(body.get("id"), str) or "url" not in body or not (proven or body["url"] is None):
                return None
            link = {name: body.get(name) for name in ("id", "url", "expires_at", "size", "sha256")}
            link["url"] = self._url(answer, body["url"])
            return link
        if self.next not in ("probe", "patch") or "fuselink-id" not in headers:
            return None
        seconds = http_seconds(headers.get("expires", ""))
        return {
            "id": headers["fuselink-id"],
            "url": self._url(answer, headers.get("fuselink-url")),
            "expires_at": None if seconds is None else _rfc3339(seconds),
            "size": answer.number("upload-length") if "upload-length" in headers else answer.number("upload-offset"),
            "sha256": _digest_of(headers.get("repr-digest", "")),
        }

    def _url(self, answer, said):
        return self.client.url.rstrip("/") + answer.link if answer.link else said

    def _accepted(self, answer, link, found, offset, digest):
        kind = self.next
        if kind == "remove":
            return self._removed()
        if kind == "one-shot":
            return self._complete(link, digest)
        if kind == "create":
            self.location = self.client.path_of(found)
            self.next = "probe" if self.may_exist else "patch"
            self.offset = 0
            self.may_exist = True
            self._progress()
            self._remember()
            return None
        if link:
            return self._complete(link, None)
        size = self.source.size
        if size is not None and offset > size:
            return self._restart("digest_mismatch")
        moved = offset > self.offset
        self.offset = offset
        if moved:
            self._progress()
        if kind == "probe":
            if self.broken and not moved:
                self._shrink()
            self.next = "patch"
        elif not moved or (self.source.repeatable and offset == size):
            self.next = "probe"
            if not moved and size != offset:
                self._back_off("no_progress", "the server stays at byte %d" % offset, answer)
        self.broken = False
        return None

    def _complete(self, link, digest):
        """The digest the server computed is the only proof that it holds what was meant."""
        source = self.source
        if digest is None:
            try:
                source.stand(source.size, 0)
                digest = source.digest()
            except SourceChanged:
                digest = None
        size, stored = link["size"], link["sha256"]
        differs = (size is not None and size != source.size) or (stored is not None and stored.lower() != digest)
        if source.changed() or differs:
            self.transfer = link["id"]
            return self._restart("source_changed" if source.changed() else "digest_mismatch")
        done = dict(link)
        done["size"], done["sha256"] = source.size, digest
        done["filename"] = self.options["filename"]
        return done

    def _progress(self):
        self.attempts = self.foreign = 0
        self.broken = False
        self.progress_at = self.client.clock.ms()

    def _shrink(self):
        """One PATCH broke and brought nothing: a proxy may be collecting whole bodies before it passes them on."""
        now = self.chunk
        smaller = CHUNK_BYTES_SHRUNK if now is None or now > CHUNK_BYTES_SHRUNK else max(now // 4, CHUNK_BYTES_MIN)
        if now is not None and smaller >= now:
            return False
        self.chunk = smaller
        return True

    def _on_lost(self, lost):
        if self.next == "remove" and self.removals >= REMOVALS_MAX:
            self._removed()
            return
        if self.next == "patch":
            self.broken = True
            self.next = "probe"
        self.may_exist = True
        if lost.permanent and not self.options["patient"]:
            raise FuselinkError(lost.code, lost.detail, resumable=True)
        self._back_off(lost.code, lost.detail, None, lost.permanent)

    def _troubled(self, verdict, code, detail, answer):
        patient = self.options["patient"]
        if verdict == "refused":
            if not patient:
                raise FuselinkError(code, detail, answer.status, True)
            self._back_off(code, detail, answer, True)
        elif verdict == "hold":
            self.progress_at = self.client.clock.ms()
            self._back_off(code, detail, answer, least=RETRY_MS_BASE)
        elif verdict == "probe":
            self.next = "probe"
            if self.attempts:
                self._back_off(code, detail, answer)
            self.attempts = self.attempts or 1
        elif verdict == "gone":
            self.location = None
            self._restart("upload_gone")
        elif verdict == "smaller":
            self._smaller()
        elif verdict == "damaged" and self.attempts < RESTARTS_MAX:
            self._back_off(code, detail, answer)
        elif verdict in ("foreign", "no-room"):
            if verdict == "foreign":
                self.foreign += 1
                code = "not_fuselink"
                detail = "expected the answer of a Fuselink server, got status %d without its form" % answer.status
            if not patient and (verdict == "no-room" or self.foreign >= FOREIGN_MAX):
                raise FuselinkError(code, detail, answer.status, True)
            self._back_off(code, detail, answer, patient)
        elif verdict in ("final", "damaged"):
            self._forget()
            raise FuselinkError(code, detail, answer.status)
        elif self.next == "remove" and self.removals >= REMOVALS_MAX:
            self._removed()
        else:
            self._back_off(code, detail, answer)

    def _smaller(self):
        self.may_exist = True
        if self.next == "one-shot":
            self.next = "create"
            self.chunk = self.chunk or CHUNK_BYTES_MIN * 4
        elif self.next == "create" or not self._shrink():
            detail = "something before the server refuses even %d bytes at once" % CHUNK_BYTES_MIN
            raise FuselinkError("proxy_body_limit", detail, 413)
        elif self.next == "patch":
            self.next = "probe"

    def _back_off(self, code, detail, answer, slow=False, least=0):
        pace = (SLOW_MS_MIN, SLOW_MS_BASE, SLOW_MS_MAX) if slow else (RETRY_MS_MIN, RETRY_MS_BASE, RETRY_MS_MAX)
        jitter = full_jitter(self.attempts, self.client.random_below, *pace)
        asked = answer.retry_after_ms() if answer else 0
        asked = max(asked, least)
        wait = asked + jitter // 4 if asked else jitter
        self.attempts += 1
        self.not_before = self.client.clock.ms() + wait
        give_up = self.options["give_up_ms"]
        if give_up is not None and self.not_before - self.progress_at > give_up:
            raise FuselinkError(code, detail, answer.status if answer else None, True)
        self.client.tell("%s: %s; trying again in %d s" % (self.options["filename"], detail, max(1, wait // 1000)))

    def _restart(self, reason):
        """Takes away what the server holds of this job, then starts it again under a new key."""
        if self.after_removal is None and (self.location or self.transfer):
            self.after_removal = reason
            self.next = "remove"
            self.attempts = 0
            return
        source = self.source
        if not source.repeatable:
            raise FuselinkError(reason, "this can only be read once, so it cannot be sent again from its beginning")
        if self.restarts >= RESTARTS_MAX:
            self._forget()
            raise FuselinkError(reason, "started afresh %d times, and it happened again" % self.restarts)
        self.restarts += 1
        self.client.tell("%s: starting afresh (%s)" % (self.options["filename"], reason))
        if source.path:
            source.close()
            source.__init__(source.path)
        self.location = self.transfer = self.after_removal = None
        self.offset = self.removals = 0
        self.chunk = self.client.chunk_bytes
        self.may_exist = self.broken = False
        self.next = self._first()
        self.not_before = self.progress_at = self.client.clock.ms()
        self._remember()

    def _removed(self):
        # What could not be removed expires by itself.
        self.location = self.transfer = None
        self._restart(self.after_removal)


def _digest_of(field):
    """[RFC 9530] SHA-256 of a `Repr-Digest` as hex, or None."""
    at = field.find("sha-256=:")
    try:
        return hexed(binascii.a2b_base64(field[at + 9 :].split(":")[0].encode())) if at >= 0 else None
    except ValueError:
        return None


def _rfc3339(seconds):
    days, rest = seconds // 86400, seconds % 86400
    era = days + 719468
    day_of_era = era % 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era // 146097 * 400 + (month <= 2)
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (year, month, day, rest // 3600, rest // 60 % 60, rest % 60)


# --- the rotation's driver ----------------------------------------------------------------------------------------


class Rotation:
    """Performs what the agent asks for, with the two slots and HTTP. Whatever a cut stops is worked out again at boot."""

    # Requests in one go; what is left goes on at the next tick.
    EFFECTS_MAX = 32

    def __init__(self, client, store):
        self._client = client
        self.slots = Slots(store)
        self.agent = Agent()
        # One process drives the store; others follow what it writes, and never write a slot.
        self._lock = store.lock("rotation")
        self.due_at = None
        self._look_later()
        self._drawn = None
        self._todo = []
        try:
            self._identity = json.loads(store.read("identity") or b"null")
        except ValueError:
            self._identity = None
        self.feed("booted", {"slots": self._read()})

    def _read(self):
        return [record and record.slot() for record in self.slots.pair()]

    def device_id(self):
        return self._identity["device_id"] if self._identity else None

    def _recovery_secret(self):
        return self._identity and unhexed(self._identity["recovery_secret"], 32)

    def feed(self, kind, said):
        for effect in self.agent.step(kind, **said):
            # The same request asked for twice is made once: the first to be answered is enough.
            if self._lock and effect not in self._todo:
                self._todo.append(effect)
        if not self._lock and self.agent.writing is not None:
            self.feed("written", {"slots": self._read()})

    def key(self):
        """The key the next request is made with. Throws `key_missing` or `credentials_refused`."""
        if not self._lock and self._moved():
            self.agent = Agent()
            self.feed("booted", {"slots": self._read()})
        fingerprint = self.agent.fingerprint_to_send()
        key = self.slots.key(fingerprint) if fingerprint else None
        if key:
            return key
        if self.agent.phase == "LIMBO":
            detail = "the server takes neither of this device's keys; what is to be sent is kept until it does"
            raise FuselinkError("credentials_refused", detail, resumable=True)
        raise FuselinkError("key_missing", "there is no API key in the credential store")

    def _moved(self):
        held = {slot[FINGERPRINT] for slot in self._read() if slot}
        return held != {slot[FINGERPRINT] for slot in (self.agent.base, self.agent.candidate) if slot}

    def heard(self, answer, used, request, registered=None):
        for kind, said in events_of(answer, used, request, registered, self._client.believes(answer)):
            self.feed(kind, said)
        if answer is not None:
            self._look_later()

    def tick(self):
        """Does what is due; returns in how many ms it wants to be called again."""
        now = self._client.clock.ms()
        if self.due_at is not None and now >= self.due_at:
            self.due_at = None
            self.feed("due", {})
        elif self.due_at is None and self._lock and now >= self._look_at:
            self._look()
        self.work()
        due = self._look_at if self.due_at is None else self.due_at
        return max(0, due - self._client.clock.ms())

    def _look_later(self):
        """Whatever the server answers tells of a rotation; it is only asked where it had nothing to answer."""
        self._look_at = self._client.clock.ms() + LOOK_MS // 2 + self._client.random_below(LOOK_MS // 2)

    def _look(self):
        self._look_later()
        try:
            key = self.key()
        except FuselinkError:
            return
        try:
            answer = self._client.exchange(key, "GET", "/v1/device", [])
        except Lost:
            answer = None
        self.heard(answer, key.fingerprint, "other")

    def work(self):
        for _ in range(self.EFFECTS_MAX):
            if not self._todo:
                return
            effect = self._todo[0]
            try:
                getattr(self, "_" + effect[0])(*effect[1:])
            finally:
                self._todo.remove(effect)

    def _wake(self, most):
        self.due_at = self._client.clock.ms() + self._client.random_below(most + 1)

    def _mint(self, generation, base):
        try:
            self._candidate(generation, base, self._client.random(32))
        except FuselinkError as error:
            self._client.tell(error.detail)

    def _candidate(self, generation, base, raw):
        self._drawn = Key(FORM_HEX, raw)
        self.feed("candidate", {"generation": generation, "base": base, "fingerprint": self._drawn.fingerprint})

    def _stage(self, generation, base, fingerprint):
        key = self._drawn
        if key and key.fingerprint == fingerprint:
            self._write(lambda: self.slots.stage(key, generation, base))

    def _mirror(self, fingerprint):
        self._write(lambda: self.slots.settle(fingerprint))

    def _write(self, write):
        """Both slots are read back, whatever came of the writing: what reads back is what is true."""
        try:
            write()
        except (OSError, FuselinkError) as error:
            self._client.tell("a key slot could not be written: %s" % error)
        self.feed("written", {"slots": self._read()})

    def _post(self, path, said, key, request, registered=None, phase=None):
        """A request of the rotation's own; the answer, or None. `key` is None where a recovery proof vouches."""
        used = key.fingerprint if key else None
        try:
            headers = [("Content-Type", "application/json")]
            answer = self._client.exchange(key, "POST", path, headers, json.dumps(said).encode(), 0, phase)
        except Lost:
            answer = None
        if request != "offer":
            self.heard(answer, used, request, registered)
        return answer

    def _register(self, slot, by, recovery):
        key = self.slots.key(slot[FINGERPRINT])
        vouching = self.slots.key(by) if by else None
        secret = self._recovery_secret() if recovery else None
        if key is None or (vouching is None and not secret):
            return self.feed("failed", {})
        digest = hexed(sha256(key.raw))
        generation, base, fingerprint = slot
        said = {"generation": generation, "fingerprint": fingerprint, "sha256": digest}
        if not secret:
            return self._post("/v1/device/rotation", said, vouching, "register", fingerprint)
        device = self.device_id()
        words = ["fuselink recovery proof v1", device, str(generation), base, fingerprint, digest]
        root = sha256(b"fuselink recovery v1", secret)
        proof = hmac_sha256(root, "\n".join(words).encode())
        if self._client.signed:
            # What this key's signatures are checked by: of a key that was minted here the server has the digest alone.
            said["wrapped_secret"] = hexed(wrap_key(hmac_sha256(root, b"fuselink secret wrap v1"), device_secret(key)))
        said["device_id"], said["base"], said["proof"] = device, base, hexed(proof)
        return self._post("/v1/device/recovery", said, None, "register", fingerprint)

    def _report(self, by, phase, generation):
        key = self.slots.key(by)
        if key is None:
            return self.feed("failed", {})
        boot, sequence, tag = self._client.position()
        said = {"phase": phase, "generation": generation, "boot": boot, "sequence": sequence, "boot_tag": tag}
        return self._post("/v1/device/status", said, key, "commit", phase=phase)

    def _ask(self, generation, by):
        key = self.slots.key(by)
        if key is None:
            return self.feed("failed", {})
        answer = self._post("/v1/device/rotation", {"generation": generation, "offer": True}, key, "offer")
        # The offer before what else the answer tells: it tells the wish once more, and that is now at hand.
        if answer and answer.status == 200 and self._client.believes(answer):
            self._take_offer(answer.json(), key)
        return self.heard(answer, by, "other")

    def _take_offer(self, offer, key):
        wrapped, generation = unhexed(offer.get("wrapped_key"), 40), offer.get("generation")
        if wrapped is None or not isinstance(generation, int):
            return
        raw = unwrap_key(device_key(key, b"fuselink wrap v1"), wrapped)
        if raw is None or Key(FORM_HEX, raw).fingerprint != offer.get("fingerprint"):
            self._client.tell("the offered key was not wrapped for this device's key; asking again")
            self.feed("failed", {})
        else:
            self._candidate(generation, key.fingerprint, raw)


# --- readings -----------------------------------------------------------------------------------------------------


class Queue:
    """Readings on the file system until the server has them: a line each with its CRC, sealed into batches.

    A batch goes out under a key that is part of its file's name, so a repeat is the same transfer. Over `bytes_max` the
    oldest batch is dropped, and counted.
    """

    OPEN = "open.log"
    # Boots in one batch: the manifest has to fit the 1000 characters of a note.
    BOOTS_MAX = 4

    def __init__(self, client, folder, bytes_max=65536 if MICRO else 67108864, batch_bytes=8192 if MICRO else 65536):
        # A folder of its own with the modes and the durable writing of a store.
        self._files = FileStore(folder)
        self._client = client
        self._folder = self._files.folder
        self._bytes_max = bytes_max
        self._batch_bytes = batch_bytes
        self.damaged = 0

    def _sealed(self):
        return sorted(name for name in os.listdir(self._folder) if name.endswith(".batch"))

    def _counts(self):
        """What is numbered and counted over boots: the next sequence, and the name of this spool."""
        try:
            counts = json.loads(self._files.read("counts") or b"{}")
        except ValueError:
            counts = {}
        spool = counts.get("spool") or hexed(self._client.random(8))
        return {"next": counts.get("next", 1), "spool": spool, "dropped": counts.get("dropped", 0)}

    def _count(self, counts):
        # Always as long, as the number of the boot is.
        self._files.write("counts", b"%-96s" % json.dumps(counts).encode())

    def record(self, value):
        """Keeps one reading; returns once it is on the medium. The sequence it got."""
        lock = self._files.lock("queue", wait=True)
        try:
            entries = self._entries(self.OPEN)
            boot = self._client.position()[0]
            if entries and len({entry[0] for entry in entries} | {boot}) > self.BOOTS_MAX:
                self._seal()
                entries = []
            sequence = entries[-1][1] + 1 if entries else self._counts()["next"]
            line = "%d %d %d %s" % (boot, sequence, self._client.clock.ms(), json.dumps(value))
            data = ("%08x %s\n" % (binascii.crc32(line.encode()) & 0xFFFFFFFF, line)).encode()
            if len(data) > self._batch_bytes:
                raise FuselinkError("reading_too_large", "expected a reading of at most %d bytes" % self._batch_bytes)
            with _open_to_append(self._folder + "/" + self.OPEN) as file:
                # A line that a cut left without its end must not take this one with it.
                file.write(b"\n" + data if file.seek(0, 2) else data)
                _sync_file(file)
                size = file.tell()
            if size >= self._batch_bytes:
                self._seal()
                self._drop_oldest()
            return sequence
        finally:
            _unlock(lock)

    def _entries(self, name):
        """(boot, sequence, milliseconds, text) of every sound line; the others are counted."""
        entries = []
        for line in (self._files.read(name) or b"").split(b"\n"):
            if not line:
                continue
            rest = line[9:]
            words = rest.split(b" ", 3)
            if len(words) < 4 or line[:9] != ("%08x " % (binascii.crc32(rest) & 0xFFFFFFFF)).encode():
                self.damaged += 1
            else:
                entries.append((int(words[0]), int(words[1]), int(words[2]), words[3]))
        return entries

    def _seal(self):
        entries = self._entries(self.OPEN)
        if entries:
            # The number first: after a cut between the two it is at worst written again.
            counts = self._counts()
            counts["next"] = entries[-1][1] + 1
            self._count(counts)
            name = "%010d-%s.batch" % (entries[0][1], hexed(self._client.random(16)))
            os.rename(self._folder + "/" + self.OPEN, self._folder + "/" + name)
        else:
            self._files.remove(self.OPEN)

    def _drop_oldest(self):
        """Makes room for the next batch; what is lost by it is counted, over boots too."""
        names = self._sealed()
        sizes = [os.stat(self._folder + "/" + name)[6] for name in names]
        while names and sum(sizes) > self._bytes_max - self._batch_bytes:
            lost = len(self._entries(names[0]))
            counts = self._counts()
            counts["dropped"] += lost
            self._count(counts)
            self._files.remove(names.pop(0))
            sizes.pop(0)
            self._client.tell("the queue is full: %d readings were dropped" % lost)

    def dropped(self):
        """Readings lost for want of room since the queue was made."""
        return self._counts()["dropped"]

    def flush(self, told=None, **options):
        """Sends everything recorded before; returns the transfers. What cannot be sent now stays.

        `told(transfer)` hears of each as soon as it is there: a link is given once, whatever becomes of the next batch.
        """
        lock = self._files.lock("queue", wait=True)
        try:
            self._seal()
        finally:
            _unlock(lock)
        sending = self._files.lock("sending", wait=True)
        try:
            done = []
            for name in self._sealed():
                sent = self._send(name, told, options)
                if sent:
                    done.append(sent)
            return done
        finally:
            _unlock(sending)

    def _send(self, name, told, options):
        entries = self._entries(name)
        if not entries:
            # Dropped meanwhile to make room, or nothing in it is sound: what was damaged is counted.
            self._files.remove(name)
            return None
        counts = self._counts()
        first, last = entries[0], entries[-1]
        spans = []
        for boot, sequence, ms, _ in entries:
            if not spans or spans[-1]["boot"] != boot:
                spans.append({"boot": boot, "first_sequence": sequence, "first_monotonic_ms": ms})
            spans[-1]["last_sequence"], spans[-1]["last_monotonic_ms"] = sequence, ms
        missing = last[1] - first[1] + 1 - len(entries)
        manifest = {"version": 1, "device": self._client.device, "spool": counts["spool"], "format": "ndjson"}
        manifest.update({"count": len(entries), "first_sequence": first[1], "last_sequence": last[1]})
        manifest.update({"missing": missing, "boots": spans, "time_trust": "none"})
        sent = None
        try:
            sent = self._client.send(
                b"".join(entry[3] + b"\n" for entry in entries),
                filename="readings-%d.ndjson" % first[1],
                content_type="application/x-ndjson",
                note=json.dumps(manifest),
                idempotency_key="%s.%s.%s" % (self._client.device, counts["spool"], name.split(".")[0]),
                **options
            )
        except FuselinkError as error:
            # Sent by a run that was cut before it could remove the file, and read by somebody since.
            if error.code != "idempotency_gone":
                raise
        if sent and told:
            # Before it is forgotten here: cut between the two, the next run hears of the same link again.
            told(sent)
        self._files.remove(name)
        return sent


# --- the client ---------------------------------------------------------------------------------------------------


class Client:
    """One device at one server.

    `store`: where its keys are (then they rotate as the server wants), or `key`: one key as text. `ca`: PEM or DER of
    the issuer to trust. `state`: where uploads under way are remembered (default: the store). `queue`: the folder for
    `record`. `signed`: the key never travels, requests and answers are signed instead (for a line that no TLS protects);
    this needs the device's id, from the store or as `device`. `connect(host, port, seconds)`, `random(count)`, `clock` stand
    in for the platform's own. `tell(text)` hears what a person may want to know; no key and no link is ever in it.
    """

    def __init__(
        self, url, key=None, store=None, ca=None, state=None, queue=None, device=None, trust_plain_http=False,
        silence_seconds=30, connect=None, random=None, clock=None, tell=None, one_shot_bytes_max=ONE_SHOT_BYTES_MAX,
        signed=False,
    ):  # fmt: skip
        self.clock = clock or Clock()
        self.random = random or system_random
        self.tell = tell or (lambda text: None)
        self.url = url
        self.wire = Wire(url, ca, connect, silence_seconds, self.clock)
        self.store = state or store
        # What is signed has to be in memory whole.
        self.one_shot_bytes_max = min(one_shot_bytes_max, PIECE_BYTES) if signed else one_shot_bytes_max
        self.chunk_bytes = SIGNED_PATCH_BYTES_MAX if signed else None
        self.signed = signed
        self._nonce = ""
        self.hold_until = 0
        # Nobody is between: TLS says so, or it is this very machine. Plain HTTP only where the caller vouches for it.
        self._private = self.wire.scheme == "https" or _is_loopback(self.wire.host) or trust_plain_http
        self._key = parse_key(key.strip()) if key else None
        if key and self._key is None:
            raise FuselinkError("option_invalid", "expected a key as 64 hex characters or pdm_ and 28 more, got neither")
        if self._key is None and store is None:
            raise FuselinkError("key_missing", "expected a key or a store with one, got neither")
        self._sequence = 0
        self._tag = hexed(self.random(8))
        self._boot = self._count_boot(store or state)
        self.rotation = None if self._key else Rotation(self, store)
        self.device = (self.rotation and self.rotation.device_id()) or device or "python"
        if signed and self.device == "python":
            raise FuselinkError("option_invalid", "signed requests need the device's id: in the store, or as `device`")
        self.queue = Queue(self, queue) if queue else None

    def _count_boot(self, store):
        """The number of this start, durable before anything is sent under it; 0 where nothing can be written."""
        if store is None:
            return 0
        lock = store.lock("boot", wait=True)
        try:
            boot = (_whole((store.read("boot") or b"").decode(), 4294967294) or 0) + 1
            # Always as long: FAT then changes these bytes and nothing else.
            store.write("boot", b"%010d" % boot)
            return boot
        except OSError as error:
            self.tell("this start could not be counted: %s" % error)
            return 0
        finally:
            _unlock(lock)

    def random_below(self, bound):
        return int.from_bytes(self.random(4), "big") % bound

    def position(self):
        """Boot, sequence and tag of the next request: taken when it is made, so that what goes out later says so."""
        self._sequence += 1
        return self._boot, self._sequence, self._tag

    def believes(self, answer):
        return answer is not None and (answer.signed if self.signed else self._private)

    def exchange(self, key, method, path, headers, body=None, length=0, phase=None):
        """One request under `key` (None: under no key)."""
        if key and self.signed:
            return self._exchange_signed(key, method, path, headers, body, phase)
        return self._exchange_plain(key, method, path, headers, body, length, phase)

    def _exchange_plain(self, key, method, path, headers, body, length, phase):
        if key:
            headers = headers + [("Authorization", "Bearer " + key.text())]
            if self.rotation and self._boot:
                headers.append(("Fuselink-Device", self._device_field(phase)))
        return self.wire.exchange(method, self.wire.prefix + path, headers, body, length)

    def _device_field(self, phase):
        said = "boot=%d;seq=%d;tag=%s" % self.position()
        phase = phase or (self.rotation and self.rotation.agent.phase)
        return said + ";phase=" + phase if phase else said

    def _exchange_signed(self, key, method, path, headers, body, phase):
        if callable(body):
            body = b"".join([bytes(piece) for piece in body()])
        if not self._nonce:
            self._attempt_signed(key, "GET", "/v1/device", [], None, phase)
        for tries in range(NONCE_TRIES):
            answer = self._attempt_signed(key, method, path, headers, body, phase)
            if not answer.signed or answer.status != 401 or tries == NONCE_TRIES - 1:
                break
            if not (answer.problem()[0] or "").startswith("nonce_"):
                break
        if self.wire.verified and answer.status == 401 and answer.problem()[0] == "signature_key_unseen":
            # The server has only the digest of this key, and no signature can be checked by that. It is told once, by TLS
            # that was checked; from then on it knows this key's signatures.
            answer = self._exchange_plain(key, method, path, headers, body, len(body or b""), phase)
            answer.signed = True
        return answer

    def _attempt_signed(self, key, method, path, headers, body, phase):
        headers = headers + [("Fuselink-Device", self._device_field(phase))]
        headers = sign_request(key, self.device, self._nonce, method, path, headers, body or b"")
        answer = self.wire.exchange(method, self.wire.prefix + path, headers, body)
        nonce = answer.headers.get("fuselink-nonce", "")
        told = verified(answer, key, headers[-1][1])
        number = _whole(nonce.split(".")[0], 0xFFFFFFFF)
        if number and len(nonce) <= 100:
            # Whoever gave it: a wrong one costs another request and nothing else.
            self._nonce = nonce
            if self._boot == 0 and told:
                # Nothing durable counts the boots here; the nonce's expiry rises from one to the next.
                self._boot = number
        return told or answer

    def call(self, method, path, headers, body=None, length=0, request="other"):
        """A request of an upload. A 401 that only makes the agent take its other key is tried again with that, once."""
        for last in (False, True):
            key = self._key or self.rotation.key()
            try:
                answer = self.exchange(key, method, path, headers, body, length)
            except Lost:
                self._hear(None, key, "other")
                raise
            # A repeat of an earlier upload, or the end of a resumable one, proves nothing here; a status report does then.
            stored = answer.status == 201 and answer.headers.get("idempotency-replayed") != "true"
            self._hear(answer, key, "commit" if request == "upload" and stored else "other")
            if last or answer.status != 401 or not self._other_key(key):
                break
        if self.signed and not answer.signed:
            said = answer.problem()[0] or "status %d" % answer.status
            raise Lost("answer_unsigned", "an answer that the server did not sign (%s)" % said)
        self._note_limit(answer)
        return answer

    def _hear(self, answer, key, request):
        if self.rotation:
            self.rotation.heard(answer, key.fingerprint, request)
            self.rotation.work()

    def _other_key(self, used):
        try:
            return self.rotation is not None and self.rotation.key().fingerprint != used.fingerprint
        except FuselinkError:
            return False

    def _note_limit(self, answer):
        """The budget is used up: the next upload waits for it instead of being refused."""
        told = answer.headers.get("ratelimit", "").replace(" ", "")
        if told.startswith('"uploads";r=0;t='):
            seconds = _whole(told[16:].split(";")[0].split(",")[0], 3600) or 0
            self.hold_until = self.clock.ms() + seconds * 1000

    def path_of(self, location):
        """A `Location` as this client may use it: its path alone, so that no answer sends key or bytes elsewhere."""
        if "://" in location:
            location = "/" + location.split("://", 1)[1].partition("/")[2]
        if not location.startswith("/") or " " in location:
            raise FuselinkError("not_fuselink", "the Location of the upload is not a URL")
        prefix = self.wire.prefix
        return location[len(prefix) :] if prefix and location.startswith(prefix + "/") else location

    def send(
        self, source, filename=None, recipient=None, ttl=None, note=None, burn=None, idempotency_key=None,
        content_type="application/octet-stream", give_up_seconds=900, patient=False,
    ):  # fmt: skip
        """Sends bytes, the file of a path, or an open file; returns id, url, expires_at, filename, size and sha256.

        It returns once the server says that it holds exactly what was read. A path is remembered: after a cut, a kill or
        a reboot the same call goes on. `give_up_seconds` counts from the last progress (None: never); `patient` waits out
        refused keys and full stores as well, instead of raising.
        """
        if ttl is not None and not (isinstance(ttl, int) and 60 <= ttl <= 604800):
            raise FuselinkError("option_invalid", "ttl is expected as a whole number from 60 to 604800, got %r" % (ttl,))
        try:
            source_ = Source(source)
        except OSError as error:
            raise FuselinkError("source_unreadable", "%s: cannot be read (%s)" % (source, error)) from None
        if not source_.repeatable:
            source_ = PipedSource(source)
        try:
            if source_.size is not None and source_.size > FILE_BYTES_MAX:
                detail = "a file may have at most %d bytes, and this one has %d" % (FILE_BYTES_MAX, source_.size)
                raise FuselinkError("payload_too_large", detail)
            name = filename or (source_.path.split("/")[-1] if source_.path else "data.bin")
            options = {
                "filename": name, "recipient": recipient, "ttl": ttl, "note": note, "burn": burn, "content_type": content_type,
                "key": idempotency_key or self._idempotency_key(), "patient": patient, "record": None,
                "give_up_ms": None if give_up_seconds is None else give_up_seconds * 1000,
            }  # fmt: skip
            return self._send(source_, options)
        finally:
            source_.close()

    def _send(self, source, options):
        # Small files of a device are not worth a flash write each: what a cut stops is sent again under another key.
        durable = source.path and self.store and (not MICRO or source.size > self.one_shot_bytes_max)
        lock = None
        if durable:
            place = source.path if MICRO else os.path.abspath(source.path)
            name = "u" + hexed(sha256(self.url.encode(), b"\n", place.encode()))[:14]
            lock = self.store.lock(name)
            # Another process sends this very file: then this one is a transfer of its own.
            options["record"] = name if lock else None
        try:
            return Upload(self, source, options).run()
        finally:
            if lock and not _MICRO:
                self.store.remove(name + ".lock")
            _unlock(lock)

    def _idempotency_key(self):
        """Device, boot, sequence, and what nobody can guess: whoever guesses a key could ask for its link again."""
        device = "".join(c if c in PDM_CHARACTERS[:62] + "-_" else "_" for c in self.device)[:64]
        boot, sequence, _ = self.position()
        return "%s.%d.%d.%s" % (device, boot, sequence, hexed(self.random(16)))

    def wait_until(self, at):
        """Sleeps until the clock's `at`, with the rotation going on meanwhile."""
        while True:
            due = self.tick()
            left = at - self.clock.ms()
            if left <= 0:
                return
            self.clock.sleep(min(left, 1000 if due is None else max(due, 1)))

    def tick(self):
        """Lets the rotation do what is due: call it from the main loop. In how many ms again; None: a fixed key has no rotation."""
        return self.rotation.tick() if self.rotation else None

    def status(self):
        """Reports to the server now; returns its answer about this device. Throws Lost or FuselinkError."""
        key = self._key or self.rotation.key()
        answer = self.exchange(key, "GET", "/v1/device", [])
        self._hear(answer, key, "other")
        if answer.status != 200 or not self.believes(answer):
            code, detail, _ = answer.problem()
            raise FuselinkError(code or "not_fuselink", detail, answer.status, True)
        return answer.json()

    def record(self, value):
        """Keeps a reading (anything JSON can say) until `flush` has sent it; returns once it is on the medium."""
        return self._queue().record(value)

    def flush(self, told=None, **options):
        """Sends what was recorded before; `told(transfer)` hears of each batch as it goes. Returns the transfers."""
        return self._queue().flush(told, **options)

    def _queue(self):
        if self.queue is None:
            raise FuselinkError("option_invalid", "expected `queue`, the folder for readings, when the client was made")
        return self.queue

    def close(self):
        self.wire.close()


def _is_loopback(host):
    if host in ("localhost", "::1"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(_whole(part, 255) is not None for part in parts)


# --- the command line ---------------------------------------------------------------------------------------------

if not _MICRO:
    import argparse
    import signal

    EXIT_HELP = """exit status:
  0         done
  1         failed on this machine: a file, the disk, a wrong digest
  2         the command line or the settings are wrong
  3         refused by the server: the key, the size, the room
  4         the upload is gone: expired, revoked, or read already
  5         not now: the server cannot be reached or is busy; the same command goes on
  130, 143  stopped by a signal; the same command goes on

environment:
  FUSELINK_URL          the server
  FUSELINK_KEY          the API key as text; FUSELINK_KEY_FILE: the file it is in
  FUSELINK_CREDENTIALS  folder of the credential store (default ~/.config/fuselink-python)
  FUSELINK_STATE        folder of uploads under way and readings (default ~/.local/state/fuselink-python)
  FUSELINK_CA           PEM file with the issuer to trust beside the system's

A key is never taken from the command line, where every process could read it."""

    KEY_HELP = """import takes `fuselink-server device enrol --json` whole: then the recovery secret is kept, too. stage puts
the key of `device issue --json` beside the present one, which is dropped only when the new one has proven itself.
A key is never shown again and never taken from the command line. The store is a folder of files of mode 0600."""

    def exit_code_of(error):
        """The exit status for what went wrong: sdk/cli/exit-codes.ts."""
        if isinstance(error, Lost):
            return 5
        code, status = error.code, error.status
        if code in ("option_invalid", "key_missing", "key_present", "store_of_another_client"):
            return 2
        if code in ("upload_gone", "idempotency_gone"):
            return 4
        if code in ("unreachable", "connection_lost", "silent", "answer_unsigned", "transfer_uploading"):
            return 5
        if status is None:
            return 3 if code in ("payload_too_large", "credentials_refused") else 1
        return 5 if status >= 500 and status != 507 else 3

    def without_keys(text):
        """What is told to a person, with every word that is a key left out: it may stand where a path was meant."""
        for word in text.replace("'", " ").replace("=", " ").replace(":", " ").replace(",", " ").split():
            if parse_key(word):
                text = text.replace(word, "(a key)")
        return text

    class Parser(argparse.ArgumentParser):
        """Complaints in the words of the other client, and no key in them."""

        def __init__(self, *words, **options):
            super().__init__(*words, allow_abbrev=False, **options)

        def error(self, message):
            self.exit(2, "fuselink: %s (see %s --help)\n" % (without_keys(message), self.prog))

    class Interrupted(BaseException):
        def __init__(self, number):
            super().__init__()
            self.number = number

    def seconds_of(text):
        """`90`, `90s`, `15m`, `12h`, `7d` → seconds."""
        number, unit = (text[:-1], text[-1]) if text[-1:] in ("s", "m", "h", "d") else (text, "s")
        whole = _whole(number, 999999999)
        if whole is None:
            raise argparse.ArgumentTypeError("expected seconds or a number with a unit (90, 15m, 12h, 7d), got %r" % text)
        return whole * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]

    def wait_of(text):
        return None if text == "forever" else seconds_of(text)

    def _text_of(path, what):
        try:
            with open(path) as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise FuselinkError("option_invalid", "%s: %s" % (what, error)) from None

    def _folder(variable, fallback):
        return os.environ.get(variable) or os.path.expanduser(fallback)

    def _store(folder=None):
        return FileStore(folder or _folder("FUSELINK_CREDENTIALS", "~/.config/fuselink-python"))

    def _given_key(words):
        path = words.key_file or (None if os.environ.get("FUSELINK_KEY") else os.environ.get("FUSELINK_KEY_FILE"))
        return _text_of(path, "--key-file") if path else os.environ.get("FUSELINK_KEY")

    def _client(words):
        url = words.url or os.environ.get("FUSELINK_URL")
        if not url:
            raise FuselinkError("option_invalid", "which server? give --url or set FUSELINK_URL")
        ca, key = words.ca or os.environ.get("FUSELINK_CA"), _given_key(words)
        state = _folder("FUSELINK_STATE", "~/.local/state/fuselink-python")
        return Client(
            url, key=key, store=None if key else _store(), ca=_text_of(ca, "--ca") if ca else None,
            state=FileStore(state), queue=os.path.join(state, "queue"), tell=_say, signed=words.signed, device=words.device,
        )  # fmt: skip

    def _say(text):
        print(text, file=sys.stderr, flush=True)

    def _complain(words, error, file=None):
        again = "; the same command goes on where this stopped" if getattr(error, "resumable", False) else ""
        detail = without_keys(error.detail)
        file = file and without_keys(file)
        named = "fuselink: " if file is None else "" if error.detail.startswith(str(file)) else "%s: " % file
        _say("%s%s [%s]%s" % (named, detail, error.code, again))
        if words.json:
            told = {"code": error.code, "detail": detail, "status": getattr(error, "status", None)}
            told["resumable"] = getattr(error, "resumable", True)
            print(json.dumps({"error": told} if file is None else {"file": file, "error": told}), flush=True)
        return exit_code_of(error)

    def run_send(words):
        if words.name and len(words.files) > 1:
            raise FuselinkError("option_invalid", "--name is for one file")
        client = _client(words)
        worst = 0
        for file in words.files:
            try:
                done = client.send(
                    sys.stdin.buffer if file == "-" else file, filename=words.name, recipient=words.recipient,
                    ttl=words.ttl, note=words.note, burn=words.burn, content_type=words.type, give_up_seconds=words.wait,
                )  # fmt: skip
            except (FuselinkError, Lost) as error:
                worst = worst or _complain(words, error, file)
                continue
            print(json.dumps(dict(done, file=file)) if words.json else done["url"] or "(read already)", flush=True)
            if not words.json:
                _say("%s: %d bytes, until %s" % (done["filename"], done["size"], done["expires_at"] or "it is read"))
        client.close()
        return worst

    def run_status(words):
        client = _client(words)
        told = client.status()
        agent = client.rotation and client.rotation.agent
        kept = {"phase": agent.phase, "key": agent.base, "candidate": agent.candidate} if agent else None
        if words.json:
            print(json.dumps({"device": told, "rotation": kept}))
        else:
            print("device      %s (%s)" % (told.get("name"), told.get("device_id")))
            print("key         %s, %s" % (told["key"]["fingerprint"], told["key"]["state"]))
            print("rotation    %s at the server, %s here" % (told["rotation"]["state"], agent.phase if agent else "a fixed key"))
        client.close()
        return 0

    def run_record(words):
        """A line of standard input is a reading: JSON, or else text. One that cannot be kept is told, and the next is taken."""
        client = _client(words)
        refused = 0
        for raw in sys.stdin.buffer:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if line:
                try:
                    value = json.loads(line)
                except ValueError:
                    value = line
                try:
                    client.record(value)
                except FuselinkError as error:
                    refused = _complain(words, error)
        return refused

    def run_flush(words):
        client = _client(words)
        client.flush(lambda done: print(json.dumps(done) if words.json else done["url"], flush=True), give_up_seconds=words.wait)
        client.close()
        return 0

    def run_daemon(words):
        """Lets the key rotate and sends what is recorded, until it is stopped."""
        client = _client(words)

        def told(done):
            _say("%s: %d bytes" % (done["filename"], done["size"]))
            if words.links:
                with _open_to_append(words.links) as file:
                    file.write(json.dumps(done).encode() + b"\n")
                    _sync_file(file)

        next_flush = 0
        while True:
            due = client.tick()
            now = client.clock.ms()
            if now >= next_flush:
                next_flush = now + words.every * 1000
                try:
                    client.flush(told, give_up_seconds=words.every)
                except (FuselinkError, Lost) as error:
                    _say("%s; kept, and tried again" % error)
            time.sleep(max(0.05, min(next_flush - now, 60000 if due is None else due) / 1000))

    # A key is 64 or 32 characters, and its JSON a few hundred; more than this on standard input is something else.
    INPUT_BYTES_MAX = 4096

    def _given(words):
        """The text of a key, and what came with it where it is the JSON of `device enrol`, `issue` or `reprovision`."""
        if words.key_file:
            text = _text_of(words.key_file, "--key-file")
        else:
            text = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1).decode("utf-8", "replace")
        text = text.strip()
        if len(text) > INPUT_BYTES_MAX:
            raise FuselinkError("option_invalid", "expected a key, got far more than one")
        said = {"api_key": text}
        if text.startswith("{"):
            try:
                said = json.loads(text)
            except ValueError:
                detail = "expected the JSON of `fuselink-server device enrol --json`, got something that is none"
                raise FuselinkError("option_invalid", detail) from None
        rotation = said.get("rotation") if isinstance(said.get("rotation"), dict) else {}
        said["device_id"] = words.device or said.get("device_id") or rotation.get("device_id")
        if words.recovery_file:
            said["recovery_secret"] = _text_of(words.recovery_file, "--recovery-file")
        said["key"] = str(said.get("api_key") or said.get("key") or "")
        return said

    def _key_import(words, store):
        given = _given(words)
        try:
            print_ = provision(store, given["key"], given["device_id"], given.get("recovery_secret"), words.replace)
        except FuselinkError as error:
            if error.code != "key_present":
                raise
            detail = error.detail.replace("replace=True", "--replace")
            raise FuselinkError(error.code, detail) from None
        recovery = given.get("recovery_secret") is not None
        told = {"fingerprint": print_, "folder": store.folder, "recovery": recovery}
        print(json.dumps(told) if words.json else print_)
        also = ", and the recovery secret beside it" if recovery else ""
        _say("The key is in %s%s. Delete where it came from." % (store.folder, also))
        return 0

    def _key_stage(words, store):
        """A key that an operator carried here goes beside the present one: both stay until the new one has proven itself."""
        given = _given(words)
        key, generation = parse_key(given["key"]), given.get("generation")
        base = _slots_at_boot(store).base
        if key is None:
            raise FuselinkError("option_invalid", "expected a key, or the JSON that has one, got neither (it is not repeated here)")
        if base is None:
            raise FuselinkError("key_missing", "expected a key to stand beside, got an empty store: `key import`")
        if not isinstance(generation, int) or generation <= base[GENERATION]:
            detail = "expected the JSON of `fuselink-server device issue --json` with a generation above %d, got %s"
            raise FuselinkError("option_invalid", detail % (base[GENERATION], generation or "a key alone"))
        answer = Slots(store).stage(key, generation, base[FINGERPRINT])
        if answer != "staged":
            raise FuselinkError("option_invalid", "the key cannot stand beside the present one (%s)" % answer)
        told = {"fingerprint": key.fingerprint, "generation": generation, "folder": store.folder}
        print(json.dumps(told) if words.json else key.fingerprint)
        _say("Staged beside the present key. What runs on this store takes it at its next start.")
        return 0

    def _slots_at_boot(store):
        agent = Agent()
        agent.step("booted", slots=[record and record.slot() for record in Slots(store).pair()])
        return agent

    def _key_show(words, store, full):
        agent = _slots_at_boot(store)
        base, candidate = agent.base, agent.candidate
        state = "two-keys" if candidate else "settled" if base else "empty"
        if words.json:
            told = {"folder": store.folder, "state": state, "mirrored": agent.mirrored}
            for name, slot in (("key", base), ("candidate", candidate)):
                told[name] = slot and {"fingerprint": slot[FINGERPRINT], "generation": slot[GENERATION]}
            print(json.dumps(told))
        elif full:
            print("folder      %s\nstate       %s" % (store.folder, state))
            for name, slot in (("key", base), ("candidate", candidate)):
                if slot:
                    print("%-11s %s, generation %d" % (name, slot[FINGERPRINT], slot[GENERATION]))
            if base:
                print("mirrored    %s" % ("yes" if agent.mirrored else "no: one slot holds it; the next start heals that"))
        elif base:
            print(base[FINGERPRINT])
        if not base:
            _say("There is no key in %s. `python3 -m fuselink key import` puts one there." % store.folder)
        return 0 if base else 1

    def run_key(words):
        # Whatever else stands there may be a key: it is not repeated.
        if len(words.verb) != 1 or words.verb[0] not in ("import", "stage", "show", "status"):
            detail = "expected import, stage, show or status alone: a key is never given on the command line"
            raise FuselinkError("option_invalid", detail)
        verb, store = words.verb[0], _store(words.folder)
        if verb == "import":
            return _key_import(words, store)
        if verb == "stage":
            return _key_stage(words, store)
        return _key_show(words, store, verb == "status")

    def parser_of():
        usual = Parser(add_help=False)
        usual.add_argument("--url", help="the server (or FUSELINK_URL)")
        usual.add_argument("--key-file", metavar="FILE", help="file with the API key (or FUSELINK_KEY, or the credential store)")
        usual.add_argument("--ca", metavar="FILE", help="PEM certificates to trust beside the system's (or FUSELINK_CA)")
        usual.add_argument(
            "--signed", action="store_true", help="sign requests: the key never travels (for a line that no TLS protects)"
        )
        usual.add_argument("--device", metavar="ID", help="the device's id, for --signed where the credential store does not know it")
        usual.add_argument("--json", action="store_true", help="print results and errors as JSON, one object a line")
        usual.add_argument(
            "--wait", type=wait_of, default=60, metavar="DURATION", help="give up after so long without progress (1m; `forever`)"
        )
        whole = Parser(
            prog="fuselink", description="Send files that burn when they are read.", epilog=EXIT_HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        whole.add_argument("--version", action="version", version=VERSION)
        verbs = whole.add_subparsers(metavar="COMMAND", required=True)

        send = verbs.add_parser("send", parents=[usual], help="send files; prints one link a line, in the order given")
        send.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
        send.add_argument("--recipient", metavar="WHO", help="whom it is for; shown in lists, mails nobody")
        send.add_argument("--ttl", type=seconds_of, metavar="DURATION", help="how long the link lives: 60 s to 7d (24h)")
        send.add_argument("--note", metavar="TEXT", help="a line for the receiver")
        send.add_argument("--name", help="the name the receiver sees (for - and for one file)")
        send.add_argument("--type", default="application/octet-stream", help="content type (application/octet-stream)")
        send.add_argument("--burn", choices=["on-delivery", "on-first-byte"], help="when a read ends the file")
        send.set_defaults(run=run_send)

        status = verbs.add_parser("status", parents=[usual], help="what the server says of this device, and its rotation")
        status.set_defaults(run=run_status)
        record = verbs.add_parser("record", parents=[usual], help="keep each line of standard input as a reading")
        record.set_defaults(run=run_record)
        flush = verbs.add_parser("flush", parents=[usual], help="send the readings recorded so far")
        flush.set_defaults(run=run_flush)
        daemon = verbs.add_parser("daemon", parents=[usual], help="send readings and let the key rotate, until stopped")
        daemon.add_argument("--every", type=seconds_of, default=60, metavar="DURATION", help="between two sends (1m)")
        daemon.add_argument("--links", metavar="FILE", help="append what was sent and its link, a JSON object a line")
        daemon.set_defaults(run=run_daemon)
        key = verbs.add_parser(
            "key", help="the credential store: put a key in, or see which one is there", epilog=KEY_HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        key.add_argument("verb", nargs="*", metavar="import|stage|show|status", help="show: the fingerprint; status: all of it")
        key.add_argument(
            "--key-file", metavar="FILE",
            help="import, stage: the file with the key, or with the JSON it came in (default: standard input)",
        )  # fmt: skip
        key.add_argument("--device", metavar="ID", help="import: the device's id, where the JSON does not say it")
        key.add_argument("--recovery-file", metavar="FILE", help="import: the file with its recovery secret, likewise")
        key.add_argument("--replace", action="store_true", help="import: put it in the place of another key")
        key.add_argument("--folder", metavar="DIR", help="the store (or FUSELINK_CREDENTIALS)")
        key.add_argument("--json", action="store_true", help="print JSON")
        key.set_defaults(run=run_key)
        return whole

    def main(argv=None):
        parser = parser_of()
        if not (sys.argv[1:] if argv is None else argv):
            parser.print_help(sys.stderr)
            return 2
        words = parser.parse_args(argv)

        def stop(number, _frame):
            raise Interrupted(number)

        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, stop)
        try:
            return words.run(words)
        except Interrupted as stopped:
            return 128 + stopped.number
        except (FuselinkError, Lost) as error:
            return _complain(words, error)
        except BrokenPipeError:
            # Whoever read has gone; what Python would still flush goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except OSError as error:
            return _complain(words, FuselinkError("io", str(error)))

    if __name__ == "__main__":
        sys.exit(main())
