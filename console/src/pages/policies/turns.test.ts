import { expect, test } from "vitest";
import { Refusal } from "../../api/client";
import { inTurn } from "./turns";

test("questions are asked one after the other, whatever became of those before", async () => {
  const said: string[] = [];
  const first = inTurn(async () => {
    await Promise.resolve();
    said.push("first");
    throw new Error("no");
  });
  const second = inTurn(async () => said.push("second"));
  await expect(first).rejects.toThrow("no");
  await second;
  expect(said).toEqual(["first", "second"]);
});

test("a bench that others keep busy is asked again, and any other refusal is told", async () => {
  let tries = 0;
  const waited: number[] = [];
  const busyTwice = async () => {
    tries += 1;
    if (tries < 3) throw new Refusal(429, "Busy", "", {});
    return tries;
  };
  expect(await inTurn(busyTwice, async (milliseconds) => void waited.push(milliseconds))).toBe(3);
  expect(waited).toHaveLength(2);
  const refused = inTurn(() => Promise.reject(new Refusal(403, "No", "", {})));
  await expect(refused).rejects.toThrow("No");
});
