/** Published vectors of RFC 6962's tree, every proof of every small tree, and what differs from them by one bit. */

import { describe, expect, it } from "vitest";
import { type Bytes, fromHex, sha256, toHex } from "./bytes";
import { leafHash, nodeHash, ProofFailed, verifyConsistency, verifyInclusion } from "./merkle";
import { flippedBits, Tree } from "./testing";

/** The reference entries of Certificate Transparency's own tests, and the roots of the trees over the first of them. */
const ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
] as const;
const LARGEST = 24;

describe("published vectors", () => {
  it("verify for the first of eight", async () => {
    const proof = [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ].map(fromHex);
    await verifyInclusion(await leafHash(fromHex("")), 0, 8, proof, fromHex(ROOTS[7]));
  });

  it("verify for the growth from six to eight", async () => {
    const proof = [
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ].map(fromHex);
    await verifyConsistency(6, 8, proof, fromHex(ROOTS[5]), fromHex(ROOTS[7]));
  });

  it("are those of the tree that the other tests compare with", async () => {
    const tree = await Tree.over(ENTRIES.map(fromHex));
    for (const [number, root] of ROOTS.entries()) expect(toHex(await tree.root(0, number + 1))).toBe(root);
  });
});

describe("every small tree", { timeout: 60_000 }, async () => {
  const tree = await Tree.over(Array.from({ length: LARGEST }, (_, number) => Uint8Array.of(number)));

  it("proves each of its entries, and nothing else", async () => {
    const stranger = await leafHash(Uint8Array.of(99));
    for (let size = 1; size <= LARGEST; size++) {
      const root = await tree.root(0, size);
      for (let index = 0; index < size; index++) {
        const [leaf, proof] = [tree.leaves[index] as Bytes, await tree.inclusion(index, 0, size)];
        await verifyInclusion(leaf, index, size, proof, root);
        await refused(verifyInclusion(stranger, index, size, proof, root));
        await refused(verifyInclusion(leaf, index, size, [...proof, root], root));
        await refused(verifyInclusion(leaf, size, size, proof, root));
        if (proof.length === 0) continue;
        await refused(verifyInclusion(leaf, index, size, proof.slice(0, -1), root));
        await refused(verifyInclusion(leaf, index ^ 1, size, proof, root));
      }
    }
  });

  it("proves that it only grew", async () => {
    for (let later = 0; later <= LARGEST; later++) {
      for (let earlier = 0; earlier <= later; earlier++) {
        const [before, after] = [await tree.root(0, earlier), await tree.root(0, later)];
        await verifyConsistency(earlier, later, await tree.consistency(earlier, later), before, after);
      }
    }
  });

  it("never proves a history that was rewritten", async () => {
    for (let changed = 0; changed < 12; changed++) {
      const entries = Array.from({ length: LARGEST }, (_, number) => Uint8Array.of(number === changed ? 99 : number));
      const other = await Tree.over(entries);
      for (let later = changed + 1; later <= LARGEST; later++) {
        const [before, after] = [await tree.root(0, changed + 1), await other.root(0, later)];
        await refused(
          verifyConsistency(changed + 1, later, await other.consistency(changed + 1, later), before, after),
        );
      }
    }
  });

  it("refuses every proof of an entry that has one other bit", async () => {
    const [leaf, root, proof] = [tree.leaves[6] as Bytes, await tree.root(0, 13), await tree.inclusion(6, 0, 13)];
    expect(proof).toHaveLength(4);
    for (const wrong of flippedBits(leaf)) await refused(verifyInclusion(wrong, 6, 13, proof, root));
    for (const wrong of flippedBits(root)) await refused(verifyInclusion(leaf, 6, 13, proof, wrong));
    for (const [at, part] of proof.entries()) {
      for (const wrong of flippedBits(part)) await refused(verifyInclusion(leaf, 6, 13, proof.with(at, wrong), root));
    }
  });

  it("refuses every proof of growth that has one other bit", async () => {
    const [before, after, proof] = [await tree.root(0, 6), await tree.root(0, 13), await tree.consistency(6, 13)];
    expect(proof.length).toBeGreaterThan(2);
    for (const wrong of flippedBits(before)) await refused(verifyConsistency(6, 13, proof, wrong, after));
    for (const wrong of flippedBits(after)) await refused(verifyConsistency(6, 13, proof, before, wrong));
    for (const [at, part] of proof.entries()) {
      for (const wrong of flippedBits(part)) {
        await refused(verifyConsistency(6, 13, proof.with(at, wrong), before, after));
      }
    }
  });

  it("is not taken for another of its size", async () => {
    const root = await tree.root(0, 8);
    await expect(verifyConsistency(8, 8, [], root, await tree.root(0, 7))).rejects.toThrow("two trees of 8 entries");
    await expect(verifyConsistency(9, 8, [], await tree.root(0, 9), root)).rejects.toThrow("entries are gone");
    await expect(verifyConsistency(4, 8, [], await tree.root(0, 4), root)).rejects.toThrow(ProofFailed);
  });

  it("has no hashes of another length, and no entry passes for a node", async () => {
    const [root, proof] = [await tree.root(0, 8), await tree.inclusion(3, 0, 8)];
    const long = new Uint8Array([...(proof[0] as Bytes), 0]);
    for (const wrong of [proof.with(0, long), proof.with(2, new Uint8Array())]) {
      await expect(verifyInclusion(tree.leaves[3] as Bytes, 3, 8, wrong, root)).rejects.toThrow("something else");
    }
    const [left, right] = tree.leaves as [Bytes, Bytes];
    expect(toHex(await leafHash(new Uint8Array([...left, ...right])))).not.toBe(toHex(await nodeHash(left, right)));
  });
});

describe("a log of more entries than 32 bits count", () => {
  it("proves its last entry", async () => {
    const size = 2 ** 40 + 1;
    const [leaf, left] = [await leafHash(Uint8Array.of(1)), await sha256(Uint8Array.of(2))];
    await verifyInclusion(leaf, size - 1, size, [left], await nodeHash(left, leaf));
    await refused(verifyInclusion(leaf, size - 2 ** 32, size, [left], await nodeHash(left, leaf)));
  });

  it("counts nothing that no number holds", async () => {
    const hash = await sha256();
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await refused(verifyInclusion(hash, wrong, 2 ** 53, [], hash));
      await refused(verifyConsistency(wrong, wrong, [], hash, hash));
    }
  });
});

async function refused(promise: Promise<void>): Promise<void> {
  await expect(promise).rejects.toThrow(ProofFailed);
}
