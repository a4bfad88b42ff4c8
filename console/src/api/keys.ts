/** Keys that this browser makes and keeps (IndexedDB): P-256, for signing alone, and never to be read out of it. */

const DATABASE = "ztfm";
const STORE = "keys";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;

/** A key, and what it is known as. */
export interface KeptKey {
  readonly pair: CryptoKeyPair;
  readonly known: Readonly<Record<string, unknown>>;
}

/** The public half (RFC 7517), with the members that a proof's header has and no others. */
export interface PublicJwk {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y: string;
}

/** Whether this browser can keep keys here: it does so over HTTPS, or on this machine. */
export function canKeepKeys(): boolean {
  return globalThis.isSecureContext === true && "indexedDB" in globalThis && crypto.subtle !== undefined;
}

export function makeKey(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
}

export async function publicJwk(pair: CryptoKeyPair): Promise<PublicJwk> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  if (kty === undefined || crv === undefined || x === undefined || y === undefined) throw new Error("no key on P-256");
  return { kty, crv, x, y };
}

/** Signs with ES256: the signature is r and s, as JOSE has it. */
export async function sign(pair: CryptoKeyPair, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const made = await crypto.subtle.sign(
    { name: "ECDSA", hash: "SHA-256" },
    pair.privateKey,
    new TextEncoder().encode(text),
  );
  return new Uint8Array(made);
}

export async function readKey(name: string): Promise<KeptKey | undefined> {
  return (await within("readonly", (store) => store.get(name))) as KeptKey | undefined;
}

export async function keepKey(name: string, key: KeptKey): Promise<void> {
  await within("readwrite", (store) => store.put(key, name));
}

export async function forgetKey(name: string): Promise<void> {
  await within("readwrite", (store) => store.delete(name));
}

async function within(mode: IDBTransactionMode, asked: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const database = await opened();
  try {
    const transaction = database.transaction(STORE, mode);
    const request = asked(transaction.objectStore(STORE));
    await new Promise<void>((kept, lost) => {
      transaction.oncomplete = () => kept();
      transaction.onerror = () => lost(transaction.error);
      transaction.onabort = () => lost(transaction.error);
    });
    return request.result;
  } finally {
    database.close();
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((found, failed) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => found(request.result);
    request.onerror = () => failed(request.error);
  });
}
