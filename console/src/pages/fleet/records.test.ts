import { expect, test } from "vitest";
import { quoted } from "../../ui/command";
import { commandOf, filtersOf } from "./filters";
import { payloadOf } from "./records";

test("a statement is read whatever letters are in it", () => {
  const said = { subject: "dev-1", act: "rotated", note: "Zürich ✓ ???>>>" };
  const part = Buffer.from(JSON.stringify(said)).toString("base64url");
  expect(payloadOf(`e30.${part}.c2ln`)).toEqual(said);
});

test("only known filters are taken from the address, and the command names them all", () => {
  const filters = filtersOf({ text: "dev-1", state: "", round: "r-1", sort: "trust" });
  expect(filters).toEqual({ text: "dev-1", sort: "trust" });
  expect(commandOf(filters)).toBe("ztfm devices list --text dev-1 --sort trust");
});

test("a reason is quoted so that a shell runs none of it", () => {
  expect(quoted("it's $(odd)")).toBe("'it'\\''s $(odd)'");
});
