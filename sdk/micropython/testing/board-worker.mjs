import { readFileSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

/**
 * MicroPython in WebAssembly, in a thread of its own: it has no sockets, so whatever it asks of one is asked of the main
 * thread, and this one sleeps until the answer is there, as a board does.
 */
const { modules, port, bell, interpreter: path } = workerData;

function ask(what, ...words) {
  Atomics.store(bell, 0, 0);
  port.postMessage({ what, words });
  // The bell may still ring for the answer before: that one was taken as soon as it was there.
  let answer = receiveMessageOnPort(port);
  while (answer === undefined) {
    Atomics.wait(bell, 0, 0);
    answer = receiveMessageOnPort(port);
  }
  return answer.message;
}

let printed = [];
const { loadMicroPython } = await import(path);
const board = await loadMicroPython({
  heapsize: workerData.heapBytes,
  linebuffer: true,
  stdout: (line) => printed.push(line),
});
board.registerJsModule('_board', {
  connect: (host, number) => ask('connect', host, number),
  write: (id, hex) => ask('write', id, hex),
  read: (id, count) => ask('read', id, count),
  readline: (id, most) => ask('readline', id, most),
  close: (id) => ask('close', id),
  random: (count) => ask('random', count),
});
for (const [name, file] of Object.entries(modules)) board.FS.writeFile(`/${name}`, readFileSync(file));
board.runPython('import sys\nsys.path.insert(0, "/")');
parentPort.on('message', (code) => {
  printed = [];
  try {
    board.runPython(code);
    parentPort.postMessage({ printed: printed.join('\n') });
  } catch (error) {
    parentPort.postMessage({ printed: printed.join('\n'), error: String(error.message ?? error) });
  }
});
board.runPython(
  'import gc\ngc.collect()\nbefore = gc.mem_alloc()\nimport fuselink\ngc.collect()\nprint(gc.mem_alloc() - before)',
);
parentPort.postMessage({ heapBytes: Number(printed.join('')) });
