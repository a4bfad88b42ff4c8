import { describe, expect, it } from "vitest";
import { addressOf, commandOf, fieldOf, filtersOf, secondsOf } from "./filters";

describe("filters", () => {
  it("are those of the address, and lead back to it", () => {
    const given = { outcome: "deny", subject: "dev-a b&c", since: "1800000000", reason: " ", unknown: "x" };
    const filters = filtersOf(given);
    expect(filters).toEqual({ outcome: "deny", subject: "dev-a b&c", since: "1800000000" });
    const address = new URL(addressOf(filters, "dec-1"), "http://localhost");
    expect(address.pathname).toBe("/console/decisions/dec-1");
    expect(filtersOf(Object.fromEntries(address.searchParams))).toEqual(filters);
    expect(addressOf({})).toBe("/console/decisions");
  });

  it("are those of a command, whatever is in them", () => {
    expect(commandOf({})).toBe("ztfm decisions list");
    expect(commandOf({ outcome: "deny", subject: "it's; rm", since: "1800000000" })).toBe(
      "ztfm decisions list --outcome deny --subject 'it'\\''s; rm' --since 2027-01-15T08:00:00Z",
    );
    expect(commandOf({ until: "soon" })).toBe("ztfm decisions list --until soon");
  });

  it("show a time in the field where it is set, and nothing where it is none", () => {
    for (const seconds of ["1800000000", "1800000059"]) expect(secondsOf(fieldOf(seconds))).toBe(seconds);
    expect([fieldOf(undefined), fieldOf("soon"), secondsOf("")]).toEqual(["", "", ""]);
  });
});
