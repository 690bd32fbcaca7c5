/**
 * 256 words, one a byte value, for reading a fingerprint aloud. Frozen with format version 1. No two begin with the same
 * three letters and every two differ in two letters or more (a test says so), so that a word half heard or half read is
 * still known; plain English nouns, because people compare words better than hexadecimal digits.
 */
const TEXT =
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

/** The word of each byte value. */
export const WORDS: readonly string[] = TEXT.split(' ');
