// Reads objects as JSON, one in each line, and writes for each a line: the list of what is wrong with it.
import { createInterface } from "node:readline";

import { validate } from "@kubernetes-models/cilium/_schemas/ComGithubCiliumCiliumPkgK8sApisCiliumIoV2CiliumNetworkPolicy";

// Of a JSON pointer (RFC 6901), so that no name can pass for a path.
const below = (path, name) => `${path}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;

// The validators pass over fields that they do not know. They ask for each that they do know: what they never asked for
// is unknown.
function watched(part, path, asked) {
  if (part === null || typeof part !== "object") {
    return part;
  }
  return new Proxy(part, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (!Object.hasOwn(target, name)) {
        return value;
      }
      asked.add(below(path, name));
      return watched(value, below(path, name), asked);
    },
  });
}

// They take null for anything, which the definition of the resource does not.
function* unknown(part, path, asked) {
  if (part === null) {
    yield `${path}: null`;
  } else if (typeof part === "object") {
    for (const [name, value] of Object.entries(part)) {
      const place = below(path, name);
      if (asked.has(place)) {
        yield* unknown(value, place, asked);
      } else {
        yield `${place}: unknown field`;
      }
    }
  }
}

function wrong(given) {
  const asked = new Set();
  const told = validate(watched(given, "", asked))
    ? []
    : validate.errors.map((error) => `${error.instancePath}: ${error.keyword} ${JSON.stringify(error.params)}`);
  return [...told, ...unknown(given, "", asked)];
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(wrong(JSON.parse(line)))}\n`);
}
