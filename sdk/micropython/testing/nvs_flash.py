"""ESP-IDF's NVS in flash, as far as `esp32.NVS` reaches it: pages, entries, blobs in chunks, compaction, and what a boot mends.

Layout and order of writes are those of nvs_flash (format version 2): what they order is what a cut may leave. A page is 4096
bytes: a header (state, sequence, version, CRC), two bits of state for each entry, 126 entries of 32 bytes. A blob is chunks of
up to 4000 bytes and, written after them, an index; its next version has its own chunks, and the old one is erased last.
"""

import binascii
import struct

PAGE_BYTES, ENTRY_BYTES, ENTRIES = 4096, 32, 126
CHUNK_BYTES_MAX = ENTRY_BYTES * (ENTRIES - 1)
UNINITIALIZED, ACTIVE, FULL, FREEING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
EMPTY, WRITTEN, ERASED = 3, 2, 0
U8, BLOB_DATA, BLOB_INDEX = 0x01, 0x42, 0x48
VERSION_2 = 0xFE
NAMES = {
    0x1102: "NOT_FOUND",
    0x1105: "NOT_ENOUGH_SPACE",
    0x1106: "INVALID_NAME",
    0x1109: "KEY_TOO_LONG",
    0x110A: "PAGE_FULL",
    0x110C: "INVALID_LENGTH",
    0x110D: "NO_FREE_PAGES",
    0x110E: "VALUE_TOO_LONG",
}
NOT_FOUND, NOT_ENOUGH_SPACE, INVALID_NAME, KEY_TOO_LONG = 0x1102, 0x1105, 0x1106, 0x1109
INVALID_LENGTH, NO_FREE_PAGES, VALUE_TOO_LONG = 0x110C, 0x110D, 0x110E


def refusal(code):
    """As MicroPython raises it: the number negative, the name beside it."""
    return OSError(-code, "ESP_ERR_NVS_" + NAMES[code])


def crc(data):
    # Both start from 0xFFFFFFFF as ESP-IDF's crc32_le(0xFFFFFFFF) does.
    return binascii.crc32(data) & 0xFFFFFFFF


class Flash:
    """NOR flash. `cuts`: where it is `watched`, what a cut at each change would
    have left (before it, in the middle of it), and `done` at that time."""

    def __init__(self, pages=6, cells=None):
        self.cells = bytearray(cells or b"\xff" * (pages * PAGE_BYTES))
        self.watched = False
        self.done = self.erased = 0
        self.cuts = []

    def _cut(self, start, data):
        for kept in (0, len(data) // 2) if self.watched else ():
            left = bytearray(self.cells)
            left[start : start + kept] = data[:kept]
            self.cuts.append((self.done, left))

    def program(self, start, data):
        cleared = bytes([old & new for old, new in zip(self.cells[start : start + len(data)], data)])
        if cleared != bytes(data):
            raise AssertionError("a write that would have to set bits")
        self._cut(start, cleared)
        self.cells[start : start + len(data)] = cleared

    def erase(self, page):
        self.erased += 1
        self._cut(page * PAGE_BYTES, b"\xff" * PAGE_BYTES)
        self.cells[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = b"\xff" * PAGE_BYTES


class Item:
    def __init__(self, namespace, kind, span, chunk, key, data):
        self.namespace, self.kind, self.span, self.chunk, self.key, self.data = namespace, kind, span, chunk, key, data
        self.page = self.at = None

    def encode(self):
        head = bytes([self.namespace, self.kind, self.span, self.chunk])
        tail = self.key.encode() + bytes(16 - len(self.key)) + self.data
        return head + struct.pack("<I", crc(head + tail)) + tail


class Page:
    def __init__(self, flash, number):
        self.flash, self.number, self.start = flash, number, number * PAGE_BYTES
        head = flash.cells[self.start : self.start + 32]
        self.state, self.sequence = struct.unpack("<II", head[:8])
        if self.state != UNINITIALIZED and struct.unpack("<I", head[28:])[0] != crc(head[4:28]):
            self.state = None  # corrupt
        if self.state == UNINITIALIZED and flash.cells[self.start : self.start + 64] != b"\xff" * 64:
            self.state = None
        self._next = ENTRIES
        while self._next and self._state(self._next - 1) == EMPTY:
            self._next -= 1
        if self.state in (ACTIVE, FULL, FREEING):
            self._mend()

    def _state(self, entry):
        return self.flash.cells[self.start + 32 + entry // 4] >> entry % 4 * 2 & 3

    def _mark(self, first, count, state):
        # Word by word, as the driver does.
        entry = first
        while entry < first + count:
            word = self.start + 32 + entry // 16 * 4
            bits = int.from_bytes(self.flash.cells[word : word + 4], "little")
            while entry < first + count and self.start + 32 + entry // 16 * 4 == word:
                bits &= ~((state ^ 3) << entry % 16 * 2)
                entry += 1
            self.flash.program(word, bits.to_bytes(4, "little"))

    def _place(self, entry):
        return self.start + 64 + entry * ENTRY_BYTES

    def _entry(self, entry, count=1):
        return self.flash.cells[self._place(entry) : self._place(entry) + count * ENTRY_BYTES]

    def _read(self, entry):
        raw = self._entry(entry)
        if struct.unpack("<I", raw[4:8])[0] != crc(raw[:4] + raw[8:]):
            return None
        item = Item(raw[0], raw[1], raw[2], raw[3], bytes(raw[8:24]).split(b"\0")[0].decode(), bytes(raw[24:]))
        item.page, item.at = self, entry
        return item

    def _mend(self):
        """Erases what a cut left half written."""
        while self._next < ENTRIES and bytes(self._entry(self._next)) != b"\xff" * ENTRY_BYTES:
            self._mark(self._next, 1, ERASED)
            self._next += 1
        entry = 0
        while entry < self._next:
            state = self._state(entry)
            if state == EMPTY:
                self._mark(entry, 1, ERASED)
            if state == WRITTEN:
                item = self._read(entry)
                whole = item and all(self._state(i) == WRITTEN for i in range(entry, min(entry + item.span, ENTRIES)))
                span = min(item.span, ENTRIES - entry) if item else 1
                if not whole:
                    self._mark(entry, span, ERASED)
                entry += span
                self._next = max(self._next, entry)
            else:
                entry += 1

    def items(self):
        entry = 0
        while entry < self._next:
            item = self._read(entry) if self._state(entry) == WRITTEN else None
            if item:
                yield item
            entry += item.span if item else 1

    def next_free(self):
        return self._next

    def erased(self):
        return sum(1 for entry in range(ENTRIES) if self._state(entry) == ERASED)

    def activate(self, sequence):
        head = struct.pack("<IB", sequence, VERSION_2) + b"\xff" * 19
        self.flash.program(self.start, struct.pack("<I", ACTIVE) + head + struct.pack("<I", crc(head)))
        self.state, self.sequence = ACTIVE, sequence

    def become(self, state):
        self.flash.program(self.start, struct.pack("<I", state))
        self.state = state

    def erase(self):
        self.flash.erase(self.number)
        self.state, self._next = UNINITIALIZED, 0

    def write(self, item, data=b""):
        at = self.next_free()
        self.flash.program(self._place(at), item.encode())
        self._next += item.span
        self._mark(at, 1, WRITTEN)
        if data:
            self.flash.program(self._place(at + 1), data + b"\xff" * (-len(data) % ENTRY_BYTES))
            self._mark(at + 1, item.span - 1, WRITTEN)

    def data_of(self, item):
        size, _, check = struct.unpack("<HHI", item.data)
        data = bytes(self._entry(item.at + 1, item.span - 1))[:size]
        return data if crc(data) == check else None

    def drop(self, item):
        self._mark(item.at, item.span, ERASED)

    def copy_to(self, other):
        for item in self.items():
            other.write(item, bytes(self._entry(item.at + 1, item.span - 1)))


class Partition:
    """nvs_flash_init, and what is asked of it later. `refusal(NO_FREE_PAGES)` where the driver answers that."""

    def __init__(self, flash):
        self.flash = flash
        pages = [Page(flash, number) for number in range(len(flash.cells) // PAGE_BYTES)]
        self.used = sorted([page for page in pages if page.state in (ACTIVE, FULL, FREEING)], key=lambda page: page.sequence)
        self.free = [page for page in pages if page.state == UNINITIALIZED]
        for page in pages:
            if page.state is None:  # an erase or an activation that was cut
                page.erase()
                self.free.append(page)
        self._finish_update()
        self._finish_compaction()
        if not self.used:
            self._activate()
        if not self.free:
            raise refusal(NO_FREE_PAGES)
        self._drop_orphans()

    def _finish_update(self):
        last = None
        for last in self.used[-1].items() if self.used else ():
            pass
        if last:
            for item in self._all():
                same = (item.namespace, item.kind, item.key) == (last.namespace, last.kind, last.key)
                same = same and (item.kind != BLOB_DATA or item.chunk == last.chunk)
                if same and (item.page, item.at) != (last.page, last.at):
                    item.page.drop(item)

    def _finish_compaction(self):
        for page in self.used:
            if page.state == FREEING:
                newest = self.used[-1]
                if newest.state == ACTIVE:
                    newest.erase()
                    self.used.remove(newest)
                    self.free.append(newest)
                self._move(page)
                break

    def _drop_orphans(self):
        live = {}
        for item in self._all():
            if item.kind == BLOB_INDEX:
                size, count, start = struct.unpack("<IBB", item.data[:6])
                chunks = [self._find(item.namespace, BLOB_DATA, item.key, start + i) for i in range(count)]
                held = [chunk and struct.unpack("<H", chunk.data[:2])[0] for chunk in chunks]
                if None in held or sum(held) != size:
                    item.page.drop(item)
                else:
                    live[item.namespace, item.key] = range(start, start + count)
        for item in self._all():
            if item.kind == BLOB_DATA and item.chunk not in live.get((item.namespace, item.key), ()):
                item.page.drop(item)

    def _all(self):
        return [item for page in self.used for item in page.items()]

    def _find(self, namespace, kind, key, chunk=None):
        for item in self._all():
            if (item.namespace, item.kind, item.key) == (namespace, kind, key) and chunk in (None, item.chunk):
                return item
        return None

    def _activate(self):
        page = self.free.pop(0)
        page.activate(self.used[-1].sequence + 1 if self.used else 0)
        self.used.append(page)
        return page

    def _move(self, page):
        target = self._activate()
        page.copy_to(target)
        page.erase()
        self.used.remove(page)
        self.free.append(page)

    def _new_page(self):
        """One page is always kept free, to compact into."""
        if len(self.free) >= 2:
            return self._activate()
        worst = max(self.used, key=lambda page: page.erased())
        if not self.free or not worst.erased():
            raise refusal(NOT_ENOUGH_SPACE)
        worst.become(FREEING)
        self._move(worst)
        return self.used[-1]

    def _page_for(self, entries):
        page = self.used[-1]
        for _ in range(len(self.used) + len(self.free)):
            if ENTRIES - page.next_free() >= entries:
                return page
            if page.state == ACTIVE:
                page.become(FULL)
            page = self._new_page()
        raise refusal(NOT_ENOUGH_SPACE)

    def open(self, name):
        if not name:
            raise refusal(INVALID_NAME)
        if len(name) > 15:
            raise refusal(KEY_TOO_LONG)
        spaces = {item.key: item.data[0] for item in self._all() if item.namespace == 0}
        if name not in spaces:
            free = [index for index in range(1, 255) if index not in spaces.values()]
            if not free:
                raise refusal(NOT_ENOUGH_SPACE)
            item = Item(0, U8, 1, 0xFF, name, bytes([free[0]]) + b"\xff" * 7)
            self._page_for(1).write(item)
            return free[0]
        return spaces[name]

    def _index(self, namespace, key):
        if len(key) > 15:
            raise refusal(KEY_TOO_LONG)
        return self._find(namespace, BLOB_INDEX, key)

    def get(self, namespace, key):
        index = self._index(namespace, key)
        if not index:
            raise refusal(NOT_FOUND)
        size, count, start = struct.unpack("<IBB", index.data[:6])
        chunks = [self._find(namespace, BLOB_DATA, key, start + i) for i in range(count)]
        data = [chunk.page.data_of(chunk) for chunk in chunks]
        if None in data:
            raise refusal(NOT_FOUND)
        return b"".join(data)

    def set(self, namespace, key, blob):
        index = self._index(namespace, key)
        if index and self.get(namespace, key) == blob:
            return
        pages = len(self.used) + len(self.free)
        if len(blob) > CHUNK_BYTES_MAX * (pages - 1):
            raise refusal(VALUE_TOO_LONG)
        start = 0 if index is None else struct.unpack("<IBB", index.data[:6])[2] ^ 0x80
        left, count = blob, 0
        try:
            while left or count == 0:
                room = ENTRY_BYTES * max(0, ENTRIES - self.used[-1].next_free() - 1)
                if room < min(len(left), CHUNK_BYTES_MAX // 10) or not room and left:
                    self._page_for(1 + min(len(left) + 31, CHUNK_BYTES_MAX) // ENTRY_BYTES)
                    room = ENTRY_BYTES * (ENTRIES - self.used[-1].next_free() - 1)
                piece, left = left[:room], left[room:]
                span = 1 + (len(piece) + ENTRY_BYTES - 1) // ENTRY_BYTES
                said = struct.pack("<HHI", len(piece), 0xFFFF, crc(piece))
                self._page_for(span).write(Item(namespace, BLOB_DATA, span, start + count, key, piece and said or said), piece)
                count += 1
            said = struct.pack("<IBBH", len(blob), count, start, 0xFFFF)
            self._page_for(1).write(Item(namespace, BLOB_INDEX, 1, 0xFF, key, said))
        except OSError:
            for number in range(count):
                chunk = self._find(namespace, BLOB_DATA, key, start + number)
                chunk.page.drop(chunk)
            raise
        if index:
            self._drop_blob(namespace, key, start ^ 0x80)

    def _drop_blob(self, namespace, key, start):
        for item in self._all():
            own = (item.namespace, item.key) == (namespace, key)
            if own and item.kind == BLOB_INDEX and item.data[5] == start:
                item.page.drop(item)
        for item in self._all():
            own = (item.namespace, item.key) == (namespace, key)
            if own and item.kind == BLOB_DATA and item.chunk & 0x80 == start:
                item.page.drop(item)

    def erase(self, namespace, key):
        index = self._index(namespace, key)
        if not index:
            raise refusal(NOT_FOUND)
        self._drop_blob(namespace, key, index.data[5])
