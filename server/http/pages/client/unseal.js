/** Files that are sealed to their link: the key stands behind the # of this page's address, which no server sees. */

const KEY_FORM = /^#k\d+\./;
const address = document.getElementById('sealed')?.dataset.unseal;

/** Whether this page can open the file it is about. */
export function opensHere() {
  return address !== undefined && KEY_FORM.test(location.hash);
}

/** What opens it. Throws in words for people when the link was cut, or when the code for it does not come. */
export async function unsealer() {
  const { unsealerOf } = await import(new URL(address, document.baseURI).href).catch(() => {
    throw new Error('What opens this file could not be loaded. Nothing was burned: try again.');
  });
  try {
    return unsealerOf(location.hash);
  } catch {
    throw new Error(
      'The end of this link was cut or mistyped, so the file could not be opened. Nothing was burned: ask for the whole link.',
    );
  }
}
