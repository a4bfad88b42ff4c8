/** Bundles for keys that lie elsewhere. */

import type * as wire from "./wire";

/** Returns the unsigned archive, for a key that lies elsewhere. */
export function unsignedBundle(bundle: wire.Bundle): Blob {
  const body = Uint8Array.from(atob(bundle.bundle), (character) => character.charCodeAt(0));
  return new Blob([body], { type: "application/gzip" });
}

/** The commands that sign and publish a bundle that was downloaded. */
export const ELSEWHERE: readonly string[] = [
  "mkdir looked-at && tar -xOzf base.tar.gz source.tar | tar -x -C looked-at",
  "ztfm policy check --policies looked-at && ztfm policy test --policies looked-at",
  "ztfm policy sign base.tar.gz --key release.key --layer base",
  "ztfm policy publish base.tar.gz",
];
