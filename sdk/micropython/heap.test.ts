import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startTestServer } from '../../test/support/test-server.ts';
import { INTERPRETERS, literal, UNIX_PORT, UNIX_PORT_MISSING } from './testing/interpreters.ts';

const FILE_BYTES = 3_000_000;
/** Of what can be filled in pieces, all but so much is; what is left in holes stays, as on a board. */
const ROOM_BYTES = 8192;
/** Left in all, holes included, where a word has 64 bits; less where it has 32. */
const FREE_BYTES_MAX = 96 * 1024;
const ENV = { MICROPYPATH: import.meta.dirname };

describe.skipIf(UNIX_PORT_MISSING !== null)(
  `a heap that is nearly full${UNIX_PORT_MISSING === null ? '' : ` (${UNIX_PORT_MISSING})`}`,
  () => {
    test('three files of 3 MB in pieces of 4 KB, two rotations between them → sent, settled, and no more is held at the end', async () => {
      const server = await startTestServer();
      const made = await enrolDevice(server.deps, server.operator, { name: 'small' });
      const id = made.device.id as DeviceId;
      const program = join(import.meta.dirname, 'testing/heap_board.py');
      const sizes = [String(FILE_BYTES), String(ROOM_BYTES)];
      const words = ['-X', 'heapsize=512k', program, server.url, made.key, id, ...sizes];
      const board = spawn(UNIX_PORT, words, { env: ENV, stdio: ['pipe', 'pipe', 'inherit'] });
      board.stdin.on('error', () => {});
      const gone = once(board, 'exit');
      const told: Record<string, number | string>[] = [];
      for await (const line of createInterface({ input: board.stdout })) {
        told.push(JSON.parse(line));
        if (told.length < 3) {
          await orderRotation(server.deps, server.operator, id, { verb: 'rotate', plan: { soakMs: 0 } });
        }
        board.stdin.write('\n');
      }
      expect(await gone).toEqual([0, null]);
      expect(told.map(({ size, largest, generation, phase }) => [size, largest, generation, phase])).toEqual(
        [1, 2, 3].map((generation) => [FILE_BYTES, 4096, generation, 'SETTLED']),
      );
      const [first, , last] = told;
      expect(Number(last?.['live']) - Number(first?.['live'])).toBeLessThan(4096);
      for (const { free } of told) expect(Number(free)).toBeLessThan(FREE_BYTES_MAX);
      expect(await lookAtRotation(server.deps, server.operator, id)).toMatchObject({ state: 'IDLE', generation: 3 });
      await server.close();
    });
  },
);

/** In WebAssembly memory is collected between two runs alone, so what is held meanwhile cannot be seen there. */
const COLLECTS = INTERPRETERS.filter(({ name }) => name === 'MicroPython (unix)');

describe.each(COLLECTS)('what an upload holds of the heap ($name)', ({ open }) => {
  test('1 MB from a source, looked at while it is read → a few KB over what the client holds, at every moment', async () => {
    const server = await startTestServer();
    const { key } = await server.device();
    const board = await open();
    await board.run(`
import gc

class Sensor:
    def __init__(self, count):
        self.count, self.at, self.most, self.pieces = count, 0, 0, 0
    def seek(self, offset, whence=0):
        self.at = self.count if whence == 2 else offset
        return self.at
    def readinto(self, view):
        self.pieces += 1
        if self.pieces % 16 == 0:
            gc.collect()
            self.most = max(self.most, gc.mem_alloc())
        count = min(len(view), self.count - self.at)
        self.at += count
        return count

client = testkit.client(${literal(server.url)}, key=${literal(key)})
client.send(b"first")
sensor = Sensor(1000000)
gc.collect()
before = gc.mem_alloc()
sent = client.send(sensor)
`);
    const [size, rise, pieces] = JSON.parse(
      await board.run('print(testkit.show([sent["size"], sensor.most - before, sensor.pieces]))'),
    );
    expect(size).toBe(1_000_000);
    expect(pieces).toBeGreaterThanOrEqual(1_000_000 / 4096);
    console.info(`an upload: ${rise} B of heap over an idle client`);
    expect(rise).toBeLessThan(12 * 1024);
    await board.close();
    await server.close();
  });
});
