/** What this browser keeps for a person between visits (IndexedDB): drafts, and the key that signs policies. */

const NAME = "ztfm-policies";
const STORES = ["drafts", "keys"] as const;

type Store = (typeof STORES)[number];

export async function read<T>(store: Store, key: IDBValidKey): Promise<T | undefined> {
  return (await within(store, "readonly", (kept) => kept.get(key))) as T | undefined;
}

export async function write(store: Store, key: IDBValidKey, value: unknown): Promise<void> {
  await within(store, "readwrite", (kept) => kept.put(value, key));
}

/** Keeps a value where none is kept, and returns the one that is; two windows at once agree. */
export async function writeOnce<T>(store: Store, key: IDBValidKey, value: T): Promise<T> {
  const database = await open();
  try {
    const kept = database.transaction(store, "readwrite").objectStore(store);
    const found = (await answer(kept.get(key))) as T | undefined;
    if (found !== undefined) return found;
    await answer(kept.put(value, key));
    return value;
  } finally {
    database.close();
  }
}

export async function remove(store: Store, key: IDBValidKey): Promise<void> {
  await within(store, "readwrite", (kept) => kept.delete(key));
}

/** Returns all keys of a store. */
export async function keysOf(store: Store): Promise<readonly IDBValidKey[]> {
  return (await within(store, "readonly", (kept) => kept.getAllKeys())) as IDBValidKey[];
}

async function within(
  store: Store,
  mode: IDBTransactionMode,
  work: (kept: IDBObjectStore) => IDBRequest,
): Promise<unknown> {
  const database = await open();
  try {
    return await answer(work(database.transaction(store, mode).objectStore(store)));
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    for (const store of STORES) request.result.createObjectStore(store);
  };
  return answer(request) as Promise<IDBDatabase>;
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser keeps nothing"));
  });
}
