import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/**
 * A `socket` module for MicroPython in WebAssembly, which has none: it collects what is written and, at the first read,
 * has it exchanged over a real TCP connection by a helper process (the interpreter cannot wait for ours).
 */
const SOCKET_MODULE = `
import _exchange

def getaddrinfo(host, port, *rest):
    return [(2, 1, 0, host, (host, port))]

class socket:
    def __init__(self, *rest):
        self._out = b""
        self._in = None

    def connect(self, address):
        self._address = address

    def write(self, data):
        self._out += data
        return len(data)

    send = write
    sendall = write

    def settimeout(self, seconds):
        pass

    def _fill(self):
        if self._in is None:
            answer = _exchange.run(self._address[0], str(self._address[1]), "".join("%02x" % b for b in self._out))
            self._in = bytes(int(answer[i:i + 2], 16) for i in range(0, len(answer), 2))

    def read(self, size=-1):
        self._fill()
        size = len(self._in) if size < 0 else size
        data, self._in = self._in[:size], self._in[size:]
        return data

    recv = read

    def readline(self):
        self._fill()
        end = self._in.find(b"\\n") + 1 or len(self._in)
        return self.read(end)

    def close(self):
        pass
`;

/** Runs a MicroPython program; resolves with what it printed; rejects with its traceback. */
export async function runMicroPython(program: string): Promise<string> {
  const path = join(
    import.meta.dirname,
    '../../node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs',
  );
  const { loadMicroPython } = (await import(path)) as {
    loadMicroPython(options: object): Promise<{
      FS: { writeFile(path: string, text: string): void };
      registerJsModule(name: string, module: object): void;
      runPython(code: string): unknown;
    }>;
  };
  const lines: string[] = [];
  const interpreter = await loadMicroPython({
    heapsize: 4 * 1024 * 1024,
    linebuffer: true,
    stdout: (line: string) => lines.push(line),
  });
  interpreter.registerJsModule('_exchange', { run: exchange });
  interpreter.FS.writeFile('/socket.py', SOCKET_MODULE);
  interpreter.runPython('import sys\nsys.path.insert(0, "/")');
  interpreter.runPython(program);
  return lines.join('\n');
}

/** One request and its answer over TCP, both in hex; blocks until the server closes or has answered in full. */
function exchange(host: string, port: string, hex: string): string {
  const script = `
    const [host, port] = process.argv.slice(1);
    const socket = require('node:net').connect({ host, port: Number(port) });
    const parts = [];
    socket.on('data', (part) => parts.push(part));
    socket.on('close', () => process.stdout.write(Buffer.concat(parts).toString('hex')));
    socket.on('error', (error) => { process.stderr.write(error.message); process.exitCode = 1; });
    process.stdin.on('data', (part) => socket.write(Buffer.from(part.toString(), 'hex')));
  `;
  return execFileSync(process.execPath, ['-e', script, host, port], { input: hex, encoding: 'utf8', timeout: 20_000 });
}
