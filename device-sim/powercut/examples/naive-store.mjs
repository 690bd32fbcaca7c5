/**
 * A store as it is often written, and fails: it keeps every name in one file, and replaces the file by removing it and
 * writing it again. A cut between the two loses both keys.
 *
 *   npm run -s sim -- powercut --store device-sim/powercut/examples/naive-store.mjs
 */
export default {
  name: 'all names in one file, removed and written again',
  medium: 'files',
  open(files) {
    const load = () => {
      const bytes = files.read('keys.json');
      try {
        return bytes === null ? {} : JSON.parse(Buffer.from(bytes).toString());
      } catch {
        return {};
      }
    };
    return {
      open: () => {
        const changed = {};
        return {
          get(name) {
            const hex = changed[name] ?? load()[name];
            if (hex === undefined) throw Object.assign(new Error(`nothing is stored as ${name}`), { code: 0x1102 });
            return new Uint8Array(Buffer.from(hex, 'hex'));
          },
          set(name, blob) {
            changed[name] = Buffer.from(blob).toString('hex');
          },
          erase(name) {
            changed[name] = undefined;
          },
          commit() {
            const all = { ...load(), ...changed };
            files.remove('keys.json');
            files.append('keys.json', new Uint8Array(Buffer.from(JSON.stringify(all))));
            files.sync('keys.json');
            files.syncFolder();
          },
          close() {},
        };
      },
    };
  },
};
