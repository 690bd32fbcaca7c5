"""A device that rotates its key on a medium whose every change is one at which the power may go.

A medium has `fresh()`, an image with the first key in both slots, and `boot(image, done)`, which gives the slots on it, the
device below them (`done`, and in `cuts` what a cut at each change would have left) and how to leave it.
"""

import fuselink
from testkit import KEYS, rotations


def live(medium, image, done):
    """A boot on this image, and the steps from `done` on: what went wrong, or None; and the device."""
    try:
        slots, device, leave = medium.boot(image, done)
    except OSError as error:
        return "no boot: %s" % error, None
    try:
        steps = rotations(slots)
        if steps[done][0] not in [record.fingerprint for record in slots.pair() if record]:
            return "the needed key", device
        for device.done in range(done, len(steps)):
            steps[device.done][1]()
        held = {record and record.fingerprint for record in slots.pair()}
        return None if held == {KEYS[2].fingerprint} else "not finished", device
    except (OSError, fuselink.FuselinkError) as error:
        return str(error), device
    finally:
        leave()


def cut_everywhere(medium, stride=1):
    """Two rotations cut at every change, and every `stride`-th of the lives after cut at every change once more."""
    trouble, whole = live(medium, medium.fresh(), 0)
    lost = [["uncut", trouble]] if trouble else []
    tried = 0
    for first, (done, image) in enumerate(whole.cuts):
        trouble, device = live(medium, image, done)
        tried += 1
        if trouble:
            lost.append([first, None, trouble])
            continue
        for second in range(first % stride, len(device.cuts), stride):
            trouble, _ = live(medium, device.cuts[second][1], device.cuts[second][0])
            tried += 1
            if trouble:
                lost.append([first, second, trouble])
    return {"tried": tried, "lost": lost, "erased": whole.erased}


LIVES_MAX = 30


def walk(medium, seed):
    """A life after life, each cut somewhere, with other files written between the steps: what went wrong, or None."""
    state = seed

    def chance(below):
        nonlocal state
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (state >> 8) % below

    image, generation = medium.fresh(), 1
    for life in range(LIVES_MAX):
        slots, device, leave = medium.boot(image, generation)
        try:
            held = [record for record in slots.pair() if record]
            key = _key(generation)
            if key.fingerprint not in [record.fingerprint for record in held]:
                return "seed %d, life %d: the key of generation %d" % (seed, life, generation)
            for _ in range(4):
                slots._store.write("u%d" % chance(4), bytes(10 + chance(600)))
                slots.stage(_key(generation + 1), generation + 1, _key(generation).fingerprint)
                generation += 1
                device.done = generation
                slots.settle(_key(generation).fingerprint)
        except (OSError, fuselink.FuselinkError) as error:
            return "seed %d, life %d: %s" % (seed, life, error)
        finally:
            leave()
        # Early: so that what one cut left is met by the next.
        generation, image = device.cuts[chance(min(len(device.cuts), 80))]
    return None


def _key(generation):
    return fuselink.Key(fuselink.FORM_HEX, bytes([generation & 255]) * 32)
