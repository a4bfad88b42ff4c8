/** The policy files: what was changed is marked, in words too. */

import { useEffect, useRef, useState } from "preact/hooks";
import { markOf } from "./drafts";
import { foldersOf, inSight, type Node } from "./shown";
import type { Workbench } from "./workbench";

const SIGNS = { new: "+", changed: "●", deleted: "−" } as const;

export function Tree({ bench }: { bench: Workbench }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [looked, setLooked] = useState("");
  const [onlyChanged, setOnlyChanged] = useState(false);
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const shouldFocus = useRef(false);
  const chosen = bench.path.value;
  const changes = bench.changes.value;
  const paths = new Set([...bench.files.value.keys(), ...Object.keys(changes)]);
  const opensAll = onlyChanged || looked !== "";
  const nodes = inSight(onlyChanged ? Object.keys(changes) : paths, opensAll ? "all" : open, looked);
  const current = Math.min(at, nodes.length - 1);

  useEffect(() => {
    if (chosen !== undefined) setOpen((before) => new Set([...before, ...foldersOf(chosen)]));
  }, [chosen]);
  useEffect(() => {
    if (!shouldFocus.current) return;
    shouldFocus.current = false;
    list.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  });

  const go = (to: number) => {
    shouldFocus.current = true;
    setAt(Math.max(0, Math.min(to, nodes.length - 1)));
  };
  const turn = (node: Node, isOpen: boolean) => {
    const others = [...open].filter((path) => path !== node.path);
    setOpen(new Set(isOpen ? [...others, node.path] : others));
  };
  const act = (node: Node, index: number) => {
    setAt(index);
    if (node.isFolder) turn(node, !open.has(node.path));
    else bench.open(node.path);
  };
  const onKey = (event: KeyboardEvent) => {
    const node = nodes[current];
    if (node === undefined) return;
    const parent = nodes.findLastIndex((other, index) => index < current && other.level < node.level);
    const keys: Record<string, () => void> = {
      ArrowDown: () => go(current + 1),
      ArrowUp: () => go(current - 1),
      Home: () => go(0),
      End: () => go(nodes.length - 1),
      Enter: () => act(node, current),
      " ": () => act(node, current),
      ArrowRight: () => (node.isFolder && !open.has(node.path) ? turn(node, true) : go(current + 1)),
      ArrowLeft: () => (node.isFolder && open.has(node.path) ? turn(node, false) : go(parent)),
    };
    const done = keys[event.key];
    if (done === undefined) return;
    event.preventDefault();
    done();
  };

  return (
    <div class="tree">
      <input
        type="search"
        placeholder="Find a file"
        aria-label="Find a file"
        value={looked}
        onInput={(event) => setLooked(event.currentTarget.value)}
      />
      <label class="check">
        <input type="checkbox" checked={onlyChanged} onChange={() => setOnlyChanged(!onlyChanged)} /> Changed files
        alone ({Object.keys(changes).length})
      </label>
      <div role="tree" aria-label="Policy files" ref={list} onKeyDown={onKey}>
        {nodes.map((node, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the tree takes the keys for all of them
          <div
            key={node.path}
            role="treeitem"
            aria-level={node.level}
            aria-expanded={node.isFolder ? opensAll || open.has(node.path) : undefined}
            aria-selected={node.path === chosen}
            tabIndex={index === current ? 0 : -1}
            style={{ paddingLeft: `${node.level * 0.8 - 0.4}rem` }}
            onClick={() => act(node, index)}
          >
            <span aria-hidden="true" class="twist">
              {node.isFolder ? (opensAll || open.has(node.path) ? "▾" : "▸") : ""}
            </span>
            {node.name}
            <Marks bench={bench} node={node} />
          </div>
        ))}
      </div>
    </div>
  );
}

function Marks({ bench, node }: { bench: Workbench; node: Node }) {
  const within = (path: string) => path === node.path || (node.isFolder && path.startsWith(`${node.path}/`));
  const findings = bench.findings.value.filter((found) => within(found.path)).length;
  const mark = node.isFolder
    ? Object.keys(bench.changes.value).some(within) && "changed"
    : markOf(bench.files.value, bench.changes.value, node.path);
  return (
    <>
      {mark ? (
        <span class="mark" title={mark}>
          <span aria-hidden="true"> {SIGNS[mark]}</span>
          <span class="unseen"> {mark}</span>
        </span>
      ) : null}
      {findings > 0 ? (
        <span class="count" title={`${findings} found`}>
          {findings}
          <span class="unseen"> found</span>
        </span>
      ) : null}
    </>
  );
}
