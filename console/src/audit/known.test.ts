import { beforeEach, describe, expect, it } from "vitest";
import { toBase64 } from "./bytes";
import { type KnownLog, recall, remember, trusting } from "./known";

/** Storage as browsers have it, without a browser. */
class Kept implements Storage {
  private readonly items = new Map<string, string>();
  get length(): number {
    return this.items.size;
  }
  clear = () => this.items.clear();
  getItem = (name: string) => this.items.get(name) ?? null;
  key = (at: number) => [...this.items.keys()][at] ?? null;
  removeItem = (name: string) => void this.items.delete(name);
  setItem = (name: string, value: string) => void this.items.set(name, value);
}

const keys = { log: "log+1+a", witnesses: ["w+1+a", "w+2+b"], needed: 1 };
const root = toBase64(new Uint8Array(32));

function known(size: number): KnownLog {
  return { keys, since: 5, isCompared: true, head: { size, root, note: "note" } };
}

describe("what this browser remembers", () => {
  let storage: Storage;
  beforeEach(() => {
    storage = new Kept();
  });

  it("is nothing at first, then the log as it was", () => {
    expect(recall(storage)).toBeUndefined();
    remember(storage, known(9));
    expect(recall(storage)).toEqual(known(9));
  });

  it("keeps the larger head, whichever page saw it", () => {
    remember(storage, known(9));
    remember(storage, known(4));
    expect(recall(storage)?.head?.size).toBe(9);
    remember(storage, known(12));
    expect(recall(storage)?.head?.size).toBe(12);
  });

  it("is nothing where somebody wrote something else there", () => {
    const wrongs = ["no JSON", "[]", "{}", JSON.stringify({ ...known(9), head: { size: -0.5, root, note: "" } })];
    for (const wrong of [...wrongs, JSON.stringify({ ...known(9), keys: { ...keys, needed: 7 } })]) {
      storage.setItem("ztfm-log", wrong);
      expect(recall(storage)).toBeUndefined();
    }
  });

  it("forgets the heads of a log whose key is another, and keeps those of one with other witnesses", () => {
    expect(trusting(known(9), { ...keys, witnesses: [], needed: 0 }, 7)).toMatchObject({ since: 7, head: { size: 9 } });
    expect(trusting(known(9), { ...keys, log: "log+2+b" }, 7)).toMatchObject({ isCompared: true, head: null });
  });
});
