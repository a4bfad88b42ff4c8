/** The commands that do the same from a shell. */

export function Shell({ title = "From a shell", commands }: { title?: string; commands: readonly string[] }) {
  const text = commands.join("\n");
  return (
    <details class="shell">
      <summary>{title}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      <button type="button" onClick={() => navigator.clipboard?.writeText(text)}>
        Copy
      </button>
    </details>
  );
}
