/**
 * What of the sealed file (sdk/SPEC.md) the server has to know without opening one: its first bytes, and the form of
 * public keys and their fingerprints. `sdk/seal` builds on the same constants, so that both cannot differ.
 */

/** The first eight bytes of every sealed file (SPEC §3). */
export const SEALED_FILE_MAGIC: readonly number[] = [0xf5, 0x53, 0x45, 0x41, 0x4c, 0x0d, 0x0a, 0x1a];

/** What a key pair is for: `recipient` keys open files, `signer` keys sign them. */
export type SealKeyPurpose = 'recipient' | 'signer';

/** Public keys as text: prefix ‖ base64url(id u16 ‖ key ‖ check[4]) (SPEC §2.2). */
export const SEAL_PUBLIC_KEY_PREFIXES: { readonly [P in SealKeyPurpose]: string } = {
  recipient: 'fuselink_pub1_',
  signer: 'fuselink_verify1_',
};

/** check = the first 4 bytes of SHA-256(label ‖ 00 ‖ prefix ‖ id ‖ key). */
export const SEAL_KEY_TEXT_LABEL = 'fuselink key text v1';
export const SEAL_KEY_CHECK_BYTES = 4;

export interface SealAlgorithm {
  name: 'x-wing' | 'ml-kem-768' | 'ed25519' | 'ml-dsa-65';
  purpose: SealKeyPurpose;
  /** HPKE code point of a KEM, TLS code point of a signature scheme (SPEC §2.1). */
  id: number;
  publicKeyBytes: number;
}

export const SEAL_ALGORITHMS: readonly SealAlgorithm[] = [
  { name: 'x-wing', purpose: 'recipient', id: 0x647a, publicKeyBytes: 1216 },
  { name: 'ml-kem-768', purpose: 'recipient', id: 0x0041, publicKeyBytes: 1184 },
  { name: 'ed25519', purpose: 'signer', id: 0x0807, publicKeyBytes: 32 },
  { name: 'ml-dsa-65', purpose: 'signer', id: 0x0905, publicKeyBytes: 1952 },
];

/** fingerprint = SHA-256(label ‖ 00 ‖ id ‖ key); people compare its first bytes as words (SPEC §2.4). */
export const SEAL_FINGERPRINT_LABEL = 'fuselink key fingerprint v1';
export const SEAL_FINGERPRINT_WORDS = 12;

/**
 * 256 words, one a byte value, divided by spaces. Frozen with format version 1. No two begin with the same three
 * letters and every two differ in two letters or more (a test of `sdk/seal` says so), so that a word half heard or half
 * read is still known; plain English nouns, because people compare words better than hexadecimal digits.
 */
export const SEAL_WORDS =
  'acid album anchor apple apron aspen atlas bacon badge baker bamboo banjo barrel basil beach bishop blanket ' +
  'bonfire border bottle bridge bronze bucket cabin cactus castle cedar cement cherry chimney cinema circle clover ' +
  'coffee comet copper coral cotton cousin coyote crater cricket crystal curtain cycle daisy dancer decade delta ' +
  'denim desert diamond dinner doctor dolphin domino dragon drum dust eagle earth echo elbow elder ember emerald ' +
  'engine envelope epoch falcon farmer feather fender fiddle flame flute forest fossil fountain frost fungus galaxy ' +
  'garden gentle ghost giant ginger glacier goblet goose granite guitar gypsum hammer harbor hawk hazel helmet ' +
  'hermit horizon hotel hunter hydrant iceberg igloo indigo insect iris island ivory jaguar jasmine jelly jigsaw ' +
  'jockey jungle kangaroo kernel kettle kidney kiwi knight koala ladder lagoon lantern laser lemon leopard lettuce ' +
  'lilac lobster lyric magnet mango marble meadow melon mercury mirror mitten monkey mosaic motor muffin museum ' +
  'napkin nectar needle nephew nickel ninja noodle nutmeg nylon oasis object ocean octopus olive onion opera orange ' +
  'orbit orchid otter panther parrot peanut pebble pelican pencil pepper piano pigeon pilot pirate planet plumber ' +
  'pocket pony poplar prairie prism pumpkin puzzle pyramid quartz quilt rabbit radish raven recipe ribbon river ' +
  'robot rodeo rooster ruby rumble saddle salmon sandal saturn sausage scarf school shadow silver skate snail sofa ' +
  'spider squid statue sugar summer syrup table tailor teapot temple thunder timber toast tomato topaz tower ' +
  'tractor trumpet tulip tunnel turtle umbrella uncle unicorn uranium urchin valley vanilla velvet violin vulture ' +
  'waffle walnut whale willow window wizard wombat yacht yellow yogurt zebra zenith zipper';

/** Recipients an account's directory may hold: a page of people, not a mailing list. */
export const RECIPIENTS_MAX = 1000;
/** Fingerprints of earlier keys kept with a key. */
export const KEY_HISTORY_MAX = 20;
